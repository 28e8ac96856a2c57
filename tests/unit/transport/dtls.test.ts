import { createSocket } from "node:dgram";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type Clock, systemClock } from "@/server/clock";
import {
  connectDtls,
  type DtlsListenOptions,
  type Listener,
  listenDtls,
  type Peer,
  type ServerCredentials,
} from "@/server/transport";
import { liveHandles } from "@/server/transport/openssl";
import { parseRecords, RecordChannel } from "@/server/transport/record-layer";
import { FakeClock, settle } from "@/tests/support/fake-clock";
import {
  type Authority,
  type Failures,
  inbox,
  Mailbox,
  MemoryStore,
  makeAuthority,
  trust,
  UdpProxy,
} from "./support";

let authority: Authority;
let server: ServerCredentials;
let device: ServerCredentials;
let otherDevice: ServerCredentials;
let foreign: ServerCredentials;
beforeAll(async () => {
  authority = await makeAuthority("root");
  [server, device, otherDevice] = await Promise.all([
    authority.issue("server"),
    authority.issue("device"),
    authority.issue("other device"),
  ]);
  foreign = await (await makeAuthority("another root")).issue("stranger");
});

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Running {
  listener: Listener;
  peers: Mailbox<Peer>;
  failures: Failures;
  port: number;
}

async function start(options: Partial<DtlsListenOptions> = {}): Promise<Running> {
  const peers = new Mailbox<Peer>();
  const failures: Failures = new Mailbox();
  const listener = await listenDtls({
    host: "127.0.0.1",
    port: 0,
    credentials: server,
    verify: trust(authority),
    clock: systemClock,
    onpeer: (peer) => peers.put(peer),
    onfailure: failures.put,
    ...options,
  });
  closers.push(() => listener.close());
  return { listener, peers, failures, port: listener.local.port };
}

async function connect(
  port: number,
  options: Partial<Parameters<typeof connectDtls>[0]> = {},
): Promise<Peer> {
  const peer = await connectDtls({
    host: "127.0.0.1",
    port,
    credentials: device,
    ca: [authority.certificate],
    clock: systemClock,
    ...options,
  });
  closers.push(() => peer.close());
  return peer;
}

const text = (message: string) => Buffer.from(message, "latin1");

/** Protected records of a datagram list, as "epoch:sequence". */
function sequences(datagrams: readonly Buffer[]): string[] {
  return datagrams.flatMap((datagram) =>
    (parseRecords(datagram, 0) ?? [])
      .filter((view) => view.epoch > 0)
      .map((view) => `${view.epoch}:${view.sequence}`),
  );
}

async function eventually(done: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await done())) await settle();
}

/** A server with one client behind a proxy, from which it has had one record. */
async function behindProxy(
  options: Partial<DtlsListenOptions> = {},
  clientOptions: Parameters<typeof connect>[1] = {},
) {
  const running = await start(options);
  const proxy = await UdpProxy.start(running.port);
  closers.push(() => proxy.close());
  const client = await connect(proxy.port, clientOptions);
  const fromServer = inbox(client);
  const peer = await running.peers.next();
  const fromClient = inbox(peer);
  client.send(text("here"));
  await fromClient.next();
  return { ...running, proxy, client, fromServer, peer, fromClient };
}

type Roaming = Awaited<ReturnType<typeof behindProxy>>;

/** The client speaks from another port, and is answered there. */
async function moves({ proxy, client, peer, fromClient, fromServer }: Roaming): Promise<void> {
  await proxy.move();
  client.send(text("there"));
  expect(await fromClient.next()).toBe("there");
  expect(peer.remote.port).toBe(proxy.outside);
  peer.send(text("seen"));
  expect(await fromServer.next()).toBe("seen");
}

/** The server is started anew on what it stored, and the client speaks from yet another port. */
async function movesOverRestart(
  { listener, proxy, client, peer, fromServer }: Roaming,
  store: MemoryStore,
): Promise<Running> {
  await listener.close();
  const again = await start({ store });
  proxy.server = again.port;
  await proxy.move();
  client.send(text("after the restart"));
  const restored = await again.peers.next();
  expect(restored.id).toBe(peer.id);
  expect(restored.remote.port).toBe(proxy.outside);
  restored.send(text("still you"));
  expect(await fromServer.next()).toBe("still you");
  return again;
}

async function rawSocket(onmessage: (datagram: Buffer) => void = () => {}, address = "127.0.0.1") {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, address, resolve));
  socket.on("message", onmessage);
  closers.push(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  return socket;
}

describe("handshake", () => {
  it.each(["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-AES128-CCM8"])(
    "makes a session with %s and carries messages both ways",
    async (cipher) => {
      const { peers, port } = await start();
      const client = await connect(port, { ciphers: `${cipher}:@SECLEVEL=0` });
      const fromServer = inbox(client);
      const peer = await peers.next();
      expect(peer.identity).toEqual({ name: "CN=device" });
      const fromClient = inbox(peer);
      client.send(text("hello"));
      expect(await fromClient.next()).toBe("hello");
      peer.send(text("welcome"));
      expect(await fromServer.next()).toBe("welcome");
    },
  );

  it("sends before the first application record through OpenSSL, and goes on with its sequence numbers", async () => {
    const { peers, port } = await start();
    const proxy = await UdpProxy.start(port);
    closers.push(() => proxy.close());
    const client = await connect(proxy.port);
    const fromServer = inbox(client);
    const peer = await peers.next();
    peer.send(text("first"));
    expect(await fromServer.next()).toBe("first");
    const fromClient = inbox(peer);
    client.send(text("now the record layer has it"));
    await fromClient.next();
    peer.send(text("second"));
    expect(await fromServer.next()).toBe("second");
    expect(sequences(proxy.toClient)).toEqual(["1:0", "1:1", "1:2"]);
  });

  it("keeps a suite that is not AEAD in OpenSSL", async () => {
    const ciphers = "ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0";
    const store = new MemoryStore();
    const { peers, port, listener } = await start({ ciphers, store });
    // Our own client only knows AEAD suites, so its handshake never ends; the server's side is what counts.
    const clientClock = new FakeClock(Date.now());
    const failed = connect(port, { ciphers, clock: clientClock }).catch((error: Error) => error);
    const peer = await peers.next();
    expect([...listener.peers()]).toEqual([peer]);
    await clientClock.advance(61_000);
    expect(await failed).toBeInstanceOf(Error);
    expect(store.log).toEqual([]);
  });

  it("answers a foreign certificate with an alert and reports it with the chain", async () => {
    const { failures, port } = await start();
    await expect(connect(port, { credentials: foreign })).rejects.toThrow("unknown_ca");
    const failure = await failures.next();
    expect(failure).toMatchObject({ transport: "dtls", alert: "unknown_ca", alertBy: "us" });
    expect(failure.message).toContain("CN=stranger is not from a trusted authority");
    expect(Buffer.from(failure.chain[0] as Uint8Array)).toEqual(Buffer.from(foreign.chain[0] as Uint8Array));
  });

  it.each([
    ["unknown_ca", "unknown_ca"],
    ["certificate_expired", "certificate_expired"],
    ["certificate_not_yet_valid", "certificate_expired"],
    ["certificate_revoked", "certificate_revoked"],
    ["bad_certificate", "bad_certificate"],
    ["access_denied", "access_denied"],
  ] as const)("turns the fault %s into the alert %s", async (fault, alert) => {
    const { failures, port } = await start({ verify: () => ({ ok: false, fault, message: "because" }) });
    await expect(connect(port)).rejects.toThrow(alert);
    expect(await failures.next()).toMatchObject({ alert, alertBy: "us", message: "because" });
  });

  it("refuses when the verifier throws", async () => {
    const { failures, port } = await start({
      verify() {
        throw new Error("out of order");
      },
    });
    await expect(connect(port)).rejects.toThrow("bad_certificate");
    expect((await failures.next()).message).toContain("out of order");
  });

  it("says that no certificate came", async () => {
    const { failures, port } = await start();
    await expect(
      connectDtls({ host: "127.0.0.1", port, ca: [authority.certificate], clock: systemClock }),
    ).rejects.toThrow("handshake_failure");
    expect((await failures.next()).message).toBe("The peer sent no certificate.");
  });

  it("says that no cipher suite is shared", async () => {
    const { failures, port } = await start();
    await expect(connect(port, { ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" })).rejects.toThrow(
      "handshake_failure",
    );
    expect(await failures.next()).toMatchObject({ alert: "handshake_failure", alertBy: "us" });
    expect(failures.all[0]?.message).toContain("none of our cipher suites");
  });

  it("names the alert of a client that does not trust us", async () => {
    const { failures, port } = await start();
    await expect(connect(port, { ca: foreign.chain })).rejects.toThrow("certificate of 127.0.0.1");
    expect(await failures.next()).toMatchObject({ alert: "unknown_ca", alertBy: "peer" });
  });

  it("repeats its flight when datagrams are lost", async () => {
    const { peers, port } = await start();
    const proxy = await UdpProxy.start(port);
    closers.push(() => proxy.close());
    let lost = 0;
    proxy.passBack = (datagram) => datagram[0] !== 22 || datagram[13] === 3 || lost++ > 0;
    const client = await connect(proxy.port);
    expect(lost).toBeGreaterThan(1);
    const fromClient = inbox(await peers.next());
    client.send(text("through"));
    expect(await fromClient.next()).toBe("through");
  });

  it("answers a repeated Finished when its own was lost", async () => {
    const { peers, port } = await start();
    const proxy = await UdpProxy.start(port);
    closers.push(() => proxy.close());
    let lost = 0;
    proxy.passBack = (datagram) =>
      !(parseRecords(datagram, 0) ?? []).some((view) => view.epoch === 1) || lost++ > 0;
    const client = await connect(proxy.port);
    expect(lost).toBeGreaterThan(1);
    const fromClient = inbox(await peers.next());
    client.send(text("through"));
    expect(await fromClient.next()).toBe("through");
    expect(peers.all).toHaveLength(1);
  });
});

describe("bounds", () => {
  it("reports a handshake that falls silent", async () => {
    const clock = new FakeClock(Date.now());
    const { failures, port } = await start({ clock, handshakeTimeoutMs: 5_000 });
    const proxy = await UdpProxy.start(port);
    closers.push(() => proxy.close());
    const answered = new Mailbox<Buffer>();
    proxy.passBack = (datagram) => {
      if (datagram[13] !== 3) answered.put(datagram);
      return datagram[13] === 3;
    };
    const clientClock = new FakeClock(Date.now());
    const client = connect(proxy.port, { clock: clientClock }).catch((error: Error) => error);
    await answered.next();
    proxy.pass = () => false;
    await clientClock.advance(61_000);
    await clock.advance(6_000);
    expect(await failures.next()).toMatchObject({
      alert: null,
      message: expect.stringContaining("fell silent"),
    });
    expect(await client).toBeInstanceOf(Error);
  });

  it("drops the oldest handshake when too many are under way", async () => {
    const { failures, peers, port } = await start({ maxHandshakes: 1 });
    const stuck = await UdpProxy.start(port);
    closers.push(() => stuck.close());
    const answered = new Mailbox<Buffer>();
    stuck.passBack = (datagram) => {
      if (datagram[13] !== 3) answered.put(datagram);
      return datagram[13] === 3;
    };
    const clientClock = new FakeClock(Date.now());
    const first = connect(stuck.port, { clock: clientClock }).catch((error: Error) => error);
    await answered.next();
    stuck.pass = () => false;
    await clientClock.advance(61_000);
    await connect(port);
    await peers.next();
    expect((await failures.next()).message).toContain("too many handshakes");
    expect(await first).toBeInstanceOf(Error);
  });

  it("turns new sessions away when full, and says so", async () => {
    const { failures, port } = await start({ maxPeers: 1 });
    await connect(port);
    await expect(connect(port)).rejects.toThrow("internal_error");
    expect((await failures.next()).message).toContain("all 1 sessions are in use");
  });

  it("lets a device that is known come back when full", async () => {
    const { peers, port } = await start({ maxPeers: 1 });
    const proxy = await UdpProxy.start(port);
    closers.push(() => proxy.close());
    await connect(proxy.port);
    await peers.next();
    await connect(proxy.port);
    await peers.next();
  });

  it("reaps idle sessions", async () => {
    const clock = new FakeClock(Date.now());
    const store = new MemoryStore();
    const { peers, port, listener } = await start({ clock, store, idleMs: 60_000 });
    const client = await connect(port);
    const peer = await peers.next();
    const fromClient = inbox(peer);
    client.send(text("x"));
    await fromClient.next();
    await settle();
    const reasons: string[] = [];
    peer.onclose = (reason) => reasons.push(reason);
    const clientClosed = new Promise<string>((resolve) => {
      client.onclose = resolve;
    });
    await clock.advance(70_000);
    expect(reasons).toEqual(["silent for too long"]);
    expect([...listener.peers()]).toEqual([]);
    expect(store.rows.size).toBe(0);
    expect(await clientClosed).toBe("the server closed the session");
  });

  it("lives through garbage, and reports a little of it", async () => {
    const { failures, peers, port } = await start();
    const socket = await rawSocket();
    for (let size = 0; size < 60; size++) socket.send(Buffer.alloc(size * 5, size * 7), port, "127.0.0.1");
    socket.send(text("@coap"), port, "127.0.0.1");
    expect((await failures.next()).message).toContain("not DTLS");
    await connect(port);
    await peers.next();
    expect(failures.all.length).toBeLessThanOrEqual(20);
  });

  it("frees every OpenSSL object", async () => {
    await connect((await start()).port);
    for (const close of closers.splice(0).reverse()) await close();
    // What is left is the client's shared configuration.
    const before = liveHandles();
    const running = await start();
    const failed = connect(running.port, { credentials: foreign }).catch(() => {});
    const clients = await Promise.all([connect(running.port), connect(running.port), connect(running.port)]);
    await failed;
    clients[0]?.send(text("handed over"));
    clients[1]?.close();
    for (const close of closers.splice(0).reverse()) await close();
    expect(liveHandles()).toBe(before);
  });
});

describe("a second handshake from the same address", () => {
  /** A client whose datagrams leave from one fixed address of the proxy. */
  async function twoClients(credentials: ServerCredentials) {
    const running = await start();
    const proxy = await UdpProxy.start(running.port);
    closers.push(() => proxy.close());
    const first = await connect(proxy.port);
    const oldPeer = await running.peers.next();
    const fromFirst = inbox(oldPeer);
    first.send(text("one"));
    await fromFirst.next();
    const lastOfFirst = proxy.toServer.length;
    return {
      ...running,
      proxy,
      first,
      oldPeer,
      fromFirst,
      lastOfFirst,
      second: () => connect(proxy.port, { credentials }),
    };
  }

  it("replaces the old session of the same device once it is verified", async () => {
    const { oldPeer, second, peers } = await twoClients(device);
    const reasons: string[] = [];
    oldPeer.onclose = (reason) => reasons.push(reason);
    await second();
    expect((await peers.next()).identity).toEqual({ name: "CN=device" });
    expect(oldPeer.closed).toBe(true);
    expect(reasons).toEqual(["replaced by a new handshake from the same address"]);
  });

  it("leaves another device its session, for its router gave away its port", async () => {
    const { first, oldPeer, fromFirst, second, peers, proxy } = await twoClients(otherDevice);
    const other = await second();
    const newPeer = await peers.next();
    const fromSecond = inbox(newPeer);
    other.send(text("here"));
    await fromSecond.next();
    await proxy.move();
    first.send(text("here too"));
    expect(await fromFirst.next()).toBe("here too");
    expect(oldPeer.remote.port).toBe(proxy.outside);
    // Both are behind one port now: the one that was not there is recognized all the same.
    other.send(text("and here"));
    expect(await fromSecond.next()).toBe("and here");
    first.send(text("back"));
    expect(await fromFirst.next()).toBe("back");
  });

  it("leaves the old session alone when it is refused", async () => {
    const { first, oldPeer, fromFirst, second } = await twoClients(foreign);
    await expect(second()).rejects.toThrow("unknown_ca");
    expect(oldPeer.closed).toBe(false);
    first.send(text("two"));
    expect(await fromFirst.next()).toBe("two");
  });
});

describe("sessions on disk", () => {
  const established = (
    store: MemoryStore,
    clock: Clock = systemClock,
    options: Parameters<typeof connect>[1] = {},
  ) => behindProxy({ store, clock }, options);

  it("goes on after a restart without a new handshake, with the same id and identity", async () => {
    const store = new MemoryStore();
    const { proxy, client, fromServer, peer, listener } = await established(store);
    peer.send(text("before"));
    await fromServer.next();
    const seed = peer.messageIdSeed;
    await listener.close();
    expect(store.rows.size).toBe(1);

    const again = await start({ store });
    proxy.server = again.port;
    const [loaded] = [...again.listener.peers()];
    expect(loaded).toMatchObject({ id: peer.id, restored: true, identity: { name: "CN=device" } });
    // The gateway may speak first.
    loaded?.send(text("are you there"));
    proxy.sendToServer(proxy.toServer.at(-1) as Buffer);
    client.send(text("still here"));
    const announced = await again.peers.next();
    expect(announced).toBe(loaded);
    const fromClient = inbox(announced);
    client.send(text("and again"));
    expect(await fromClient.next()).toBe("and again");
    announced.send(text("after"));
    const handshakes = proxy.toServer.filter((datagram) => datagram[0] === 22 && datagram[13] === 1);
    expect(handshakes).toHaveLength(2);
    expect((announced.messageIdSeed - seed) & 0xffff).toBeGreaterThanOrEqual(1);
    expect(peers(again)).toBe(1);
  });

  const peers = ({ listener }: Running) => [...listener.peers()].length;

  it("lets nothing of the record layer out before the session is saved", async () => {
    const store = new MemoryStore();
    let release = () => {};
    store.before = (what) =>
      what === "save"
        ? new Promise((resolve) => {
            release = resolve;
          })
        : Promise.resolve();
    const { proxy, peer, fromServer } = await established(store);
    const before = sequences(proxy.toClient).length;
    peer.send(text("one"));
    peer.send(text("two"));
    await settle();
    expect(sequences(proxy.toClient)).toHaveLength(before);
    release();
    expect([await fromServer.next(), await fromServer.next()]).toEqual(["one", "two"]);
    expect(store.log).toEqual(["save"]);
  });

  it("removes the row of a session that was closed while it was saved", async () => {
    const store = new MemoryStore();
    let release = () => {};
    store.before = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const { peer } = await established(store);
    peer.close();
    release();
    await settle();
    expect(store.log).toEqual(["save", "remove"]);
  });

  it("takes over and saves a session whose device says nothing after the handshake", async () => {
    const clock = new FakeClock(Date.now());
    const store = new MemoryStore();
    const { peers, port } = await start({ clock, store });
    const handles = liveHandles();
    const client = await connect(port);
    const fromServer = inbox(client);
    const peer = await peers.next();
    expect(store.rows.size).toBe(0);
    await clock.advance(70_000);
    expect([...store.rows.keys()]).toEqual([peer.id]);
    expect(liveHandles()).toBeLessThanOrEqual(handles + 1);
    peer.send(text("awake?"));
    expect(await fromServer.next()).toBe("awake?");
  });

  it("ends a session that cannot be saved", async () => {
    const store = new MemoryStore();
    store.before = async () => {
      throw new Error("disk full");
    };
    const running = await start({ store });
    const client = await connect(running.port);
    const peer = await running.peers.next();
    const closed = new Promise((resolve) => {
      peer.onclose = resolve;
    });
    client.send(text("x"));
    expect(await closed).toBe("the session could not be stored");
  });

  it("never uses a sequence number twice, over crashes at any time", async () => {
    const store = new MemoryStore();
    const first = await established(store);
    const { proxy, client, fromServer } = first;
    let { peer, listener } = first;
    let sent = 0;
    const burst = async (count: number) => {
      for (let index = 0; index < count; index++) {
        peer.send(text(`message ${sent++}`));
        // One by one, so that a lost datagram does not hide a number.
        await fromServer.next();
      }
      await settle();
    };
    for (const count of [700, 1, 1500, 40]) {
      await burst(count);
      // A crash: the store as it is on disk at this very moment, the process gone.
      const disk = store.copy();
      const dead = listener;
      store.rows.clear();
      const next = await start({ store: disk });
      proxy.server = next.port;
      await dead.close();
      client.send(text("hello again"));
      peer = await next.peers.next();
      listener = next.listener;
      for (const [id, row] of disk.rows) store.rows.set(id, row);
      disk.rows = store.rows;
    }
    await burst(10);
    const used = sequences(proxy.toClient);
    expect(used.length).toBeGreaterThan(2000);
    expect(new Set(used).size).toBe(used.length);
  });

  it("waits for a reservation on disk before it uses the numbers", async () => {
    const store = new MemoryStore();
    const { peer, fromServer, proxy } = await established(store);
    let release = () => {};
    store.before = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    for (let index = 0; index < 1100; index++) {
      peer.send(text("x"));
      if (index < 1000) await fromServer.next();
    }
    await settle();
    const top = Number([...store.rows.values()][0]?.reserved ?? 0n) % 2 ** 48;
    const highest = () => Math.max(...sequences(proxy.toClient).map((entry) => Number(entry.split(":")[1])));
    expect(highest()).toBeLessThan(top);
    release();
    while (highest() < top) await fromServer.next();
  });

  it("drops a replayed record, before and after a restart", async () => {
    const store = new MemoryStore();
    const { proxy, client, fromClient, listener } = await established(store);
    client.send(text("pay once"));
    await fromClient.next();
    const captured = proxy.toServer.at(-1) as Buffer;
    proxy.sendToServer(captured);
    client.send(text("next"));
    expect(await fromClient.next()).toBe("next");
    await listener.close();
    const again = await start({ store });
    proxy.server = again.port;
    for (const datagram of proxy.toServer) if (datagram[0] === 23) proxy.sendToServer(datagram);
    await settle();
    expect(again.peers.all).toHaveLength(0);
    client.send(text("fresh"));
    await again.peers.next();
  });

  it("forgets sessions that expired and rows that make no sense", async () => {
    const store = new MemoryStore();
    const { listener } = await established(store);
    await listener.close();
    const [row] = [...store.rows.values()];
    if (!row) throw new Error("nothing was stored");
    store.rows.set("broken", { ...row, id: "broken", state: row.state.subarray(0, 20) });
    store.rows.set("old", { ...row, id: "old", expiresAt: 1 });
    const again = await start({ store });
    expect(peers(again)).toBe(1);
    expect([...store.rows.keys()]).toEqual([row.id]);
  });

  it("removes a closed session and tells the client", async () => {
    const store = new MemoryStore();
    const { peer, client } = await established(store);
    await settle();
    const closed = new Promise((resolve) => {
      client.onclose = resolve;
    });
    peer.close();
    expect(await closed).toBe("the server closed the session");
    expect(store.rows.size).toBe(0);
  });

  it("ends when the client says close_notify", async () => {
    const store = new MemoryStore();
    const { peer, client } = await established(store);
    await settle();
    const closed = new Promise((resolve) => {
      peer.onclose = resolve;
    });
    client.close();
    expect(await closed).toBe("the peer closed the session");
    expect(store.rows.size).toBe(0);
  });
});

describe("a session without a connection id", () => {
  afterEach(() => void vi.restoreAllMocks());

  it("goes on from another port of its address, also over a restart", async () => {
    const store = new MemoryStore();
    const roaming = await behindProxy({ store });
    const { proxy, peer, peers, failures } = roaming;
    expect(proxy.toServer.at(-1)?.[0]).toBe(23);
    await moves(roaming);
    expect(store.rows.get(peer.id)?.port).toBe(proxy.outside);

    const again = await movesOverRestart(roaming, store);
    expect([peers.all.length, again.peers.all.length]).toEqual([1, 1]);
    expect([...failures.all, ...again.failures.all]).toEqual([]);
    const hellos = proxy.toServer.filter((datagram) => datagram[0] === 22 && datagram[13] === 1);
    expect(hellos).toHaveLength(2);
  });

  it("takes what was on its way from the old port, and stays at the new one", async () => {
    const { proxy, client, peer, fromClient } = await behindProxy();
    let late: Buffer | null = null;
    proxy.pass = (datagram) => {
      late ??= datagram;
      return datagram !== late;
    };
    client.send(text("late"));
    await eventually(() => late !== null);
    await proxy.move();
    client.send(text("newest"));
    expect(await fromClient.next()).toBe("newest");
    const home = peer.remote.port;
    const elsewhere = await rawSocket();
    elsewhere.send(late as unknown as Buffer, proxy.server, "127.0.0.1");
    expect(await fromClient.next()).toBe("late");
    expect(peer.remote.port).toBe(home);
  });

  it("does not follow a record that is replayed or forged, and says nothing to it", async () => {
    const { proxy, client, peer, port, failures, fromClient } = await behindProxy();
    const home = peer.remote.port;
    const captured = proxy.toServer.at(-1) as Buffer;
    const forged = Buffer.from(captured);
    forged.writeUIntBE(1000, 5, 6);
    const answers: Buffer[] = [];
    const attacker = await rawSocket((datagram) => answers.push(datagram));
    const tries = vi.spyOn(RecordChannel.prototype, "open");
    attacker.send(captured, port, "127.0.0.1");
    attacker.send(forged, port, "127.0.0.1");
    await failures.next();
    await failures.next();
    // The header of the first one says that it was read.
    expect(tries).toHaveBeenCalledTimes(1);
    client.send(text("two"));
    expect(await fromClient.next()).toBe("two");
    expect(peer.remote.port).toBe(home);
    expect(fromClient.all).toEqual(["here", "two"]);
    expect(answers).toEqual([]);
    expect(failures.all[0]?.message).toContain("a session that this server does not know");
  });

  it("is not looked for from another IP address", async () => {
    const { proxy, client, peer, port, failures, fromClient } = await behindProxy();
    const before = proxy.toServer.length;
    proxy.pass = () => false;
    client.send(text("lost"));
    await eventually(() => proxy.toServer.length > before);
    const tries = vi.spyOn(RecordChannel.prototype, "open");
    const socket = await rawSocket(() => {}, "127.0.0.2");
    socket.send(proxy.toServer.at(-1) as Buffer, port, "127.0.0.1");
    await failures.next();
    expect(tries).not.toHaveBeenCalled();
    expect(peer.remote.address).toBe("127.0.0.1");
    proxy.pass = () => true;
    client.send(text("found"));
    expect(await fromClient.next()).toBe("found");
  });

  it("is known again in a flood of strangers from its address, which costs a bounded number of tries", async () => {
    const clock = new FakeClock(Date.now());
    const { proxy, client, peer, port, fromClient } = await behindProxy({ clock });
    const socket = await rawSocket();
    const forged = Buffer.from(proxy.toServer.at(-1) as Buffer);
    let opened = 0;
    const open = RecordChannel.prototype.open;
    vi.spyOn(RecordChannel.prototype, "open").mockImplementation(function (this: RecordChannel, ...of) {
      if (this.server) opened++;
      return open.apply(this, of);
    });
    for (let n = 0; n < 2000; n++) {
      forged.writeUIntBE(1000 + n, 5, 6);
      socket.send(forged, port, "127.0.0.1");
      // The kernel drops what does not fit its buffer.
      if (n % 50 === 0) await settle();
    }
    await eventually(async () => {
      const before = opened;
      await settle();
      return opened > 400 && opened === before;
    });
    expect(opened).toBeLessThanOrEqual(512);
    await clock.advance(1000);
    await proxy.move();
    client.send(text("still me"));
    expect(await fromClient.next()).toBe("still me");
    expect(peer.remote.port).toBe(proxy.outside);
  });
});

describe("connection id", () => {
  it.each([
    ["an empty id of the client", true, "rfc9146"],
    ["an id that our records carry", Uint8Array.of(0xca, 0xfe, 0x01), "rfc9146"],
    ["an empty id of the client in the draft's form", true, "draft"],
    ["an id that our records carry in the draft's form", Uint8Array.of(0xca, 0xfe, 0x01), "draft"],
  ] as const)("follows a change of address with %s, also over a restart", async (_what, cid, cidForm) => {
    const store = new MemoryStore();
    const roaming = await behindProxy({ store }, { cid, cidForm });
    const { proxy } = roaming;
    expect(proxy.toServer.at(-1)?.[0]).toBe(25);
    await moves(roaming);
    const last = proxy.toClient.at(-1) as Buffer;
    expect(last[0]).toBe(cid === true ? 23 : 25);
    if (cid !== true) expect(last.subarray(11, 14)).toEqual(Buffer.from(cid));

    await movesOverRestart(roaming, store);
  });

  it("does not follow a record that is replayed or forged from elsewhere", async () => {
    const { peers, port } = await start();
    const proxy = await UdpProxy.start(port);
    closers.push(() => proxy.close());
    const client = await connect(proxy.port, { cid: true });
    const peer = await peers.next();
    const fromClient = inbox(peer);
    client.send(text("one"));
    await fromClient.next();
    const home = peer.remote.port;
    const captured = proxy.toServer.at(-1) as Buffer;
    const forged = Buffer.from(captured);
    forged.writeUIntBE(1000, 5, 6);
    const attacker = await rawSocket();
    attacker.send(captured, port, "127.0.0.1");
    attacker.send(forged, port, "127.0.0.1");
    client.send(text("two"));
    expect(await fromClient.next()).toBe("two");
    expect(peer.remote.port).toBe(home);
    expect(fromClient.all).toEqual(["one", "two"]);
  });

  it("is not used when the listener does not want it", async () => {
    const { peers, port } = await start({ cid: false });
    const proxy = await UdpProxy.start(port);
    closers.push(() => proxy.close());
    const client = await connect(proxy.port, { cid: true });
    const fromClient = inbox(await peers.next());
    client.send(text("plain"));
    await fromClient.next();
    expect(proxy.toServer.at(-1)?.[0]).toBe(23);
  });
});
