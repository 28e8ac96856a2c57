import { connect as connectSocket } from "node:net";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@/server/clock";
import {
  connectTcp,
  connectTls,
  connectUdp,
  type Listener,
  listenTcp,
  listenTls,
  listenUdp,
  type Peer,
  type SecureListenOptions,
  type ServerCredentials,
} from "@/server/transport";
import { liveHandles } from "@/server/transport/openssl";
import { FakeClock } from "@/tests/support/fake-clock";
import { type Authority, type Failures, inbox, Mailbox, makeAuthority, trust } from "./support";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const text = (message: string) => Buffer.from(message, "latin1");

describe.each([
  ["udp", listenUdp, connectUdp],
  ["tcp", listenTcp, connectTcp],
] as const)("%s", (transport, listen, connect) => {
  async function start(
    options: { clock?: FakeClock; idleMs?: number; maxPeers?: number; host?: string } = {},
  ) {
    const peers = new Mailbox<Peer>();
    const listener = await listen({ port: 0, onpeer: peers.put, clock: systemClock, ...options });
    closers.push(() => listener.close());
    return { listener, peers, port: listener.local.port };
  }

  it("carries messages both ways, on all addresses unless told otherwise", async () => {
    const { peers, port, listener } = await start();
    const client = await connect({ host: "localhost", port, clock: systemClock });
    closers.push(() => client.close());
    const fromServer = inbox(client);
    client.send(text("hello"));
    const peer = await peers.next();
    expect(peer).toMatchObject({ transport, identity: null, restored: false });
    expect(peer.remote.address).toMatch(/^(127\.0\.0\.1|::1)$/);
    peer.send(text("welcome"));
    expect(await fromServer.next()).toBe("welcome");
    expect([...listener.peers()]).toEqual([peer]);
  });

  it("drops a silent peer", async () => {
    const clock = new FakeClock();
    const { peers, port, listener } = await start({ clock, idleMs: 10_000 });
    const client = await connect({ host: "127.0.0.1", port, clock });
    closers.push(() => client.close());
    client.send(text("x"));
    const peer = await peers.next();
    const reasons: string[] = [];
    peer.onclose = (reason) => reasons.push(reason);
    await clock.advance(12_000);
    expect(reasons).toEqual(["silent for too long"]);
    expect(peer.closed).toBe(true);
    expect([...listener.peers()]).toEqual([]);
  });

  it("keeps within its number of peers", async () => {
    const { peers, port, listener } = await start({ maxPeers: 1, host: "127.0.0.1" });
    const first = await connect({ host: "127.0.0.1", port, clock: systemClock });
    first.send(text("one"));
    await peers.next();
    const second = await connect({ host: "127.0.0.1", port, clock: systemClock });
    second.send(text("two"));
    const received = inbox(first);
    [...listener.peers()][0]?.send(text("still there"));
    expect(await received.next()).toBe("still there");
    expect([...listener.peers()]).toHaveLength(1);
    first.close();
    second.close();
  });
});

describe("tls", () => {
  let authority: Authority;
  let server: ServerCredentials;
  let device: ServerCredentials;
  let foreign: ServerCredentials;
  beforeAll(async () => {
    authority = await makeAuthority("root");
    [server, device] = await Promise.all([authority.issue("server"), authority.issue("device")]);
    foreign = await (await makeAuthority("another root")).issue("stranger");
  });

  async function start(options: Partial<SecureListenOptions> = {}) {
    const peers = new Mailbox<Peer>();
    const failures: Failures = new Mailbox();
    const listener: Listener = await listenTls({
      host: "127.0.0.1",
      port: 0,
      credentials: server,
      verify: trust(authority),
      clock: systemClock,
      onpeer: peers.put,
      onfailure: failures.put,
      ...options,
    });
    closers.push(() => listener.close());
    return { listener, peers, failures, port: listener.local.port };
  }

  async function connect(port: number, options: Partial<Parameters<typeof connectTls>[0]> = {}) {
    const ca = [authority.certificate];
    const peer = await connectTls({
      host: "127.0.0.1",
      port,
      credentials: device,
      ca,
      clock: systemClock,
      ...options,
    });
    closers.push(() => peer.close());
    return peer;
  }

  it("keeps one message per record, both ways", async () => {
    const { peers, port } = await start();
    const client = await connect(port);
    const fromServer = inbox(client);
    const peer = await peers.next();
    expect(peer.identity).toEqual({ name: "CN=device" });
    const fromClient = inbox(peer);
    const messages = ["a", "b".repeat(1152), "c".repeat(16_384), "d"];
    for (const message of messages) {
      client.send(text(message));
      peer.send(text(message));
    }
    for (const message of messages) {
      expect(await fromClient.next()).toBe(message);
      expect(await fromServer.next()).toBe(message);
    }
  });

  it("reports a foreign certificate with its chain", async () => {
    const { failures, port } = await start();
    // In TLS 1.3 the client is done before the server looks at its certificate.
    const client = await connect(port, { credentials: foreign }).catch(() => null);
    const failure = await failures.next();
    expect(failure).toMatchObject({ transport: "tls", alert: "unknown_ca", alertBy: "us" });
    expect(Buffer.from(failure.chain[0] as Uint8Array)).toEqual(Buffer.from(foreign.chain[0] as Uint8Array));
    if (client && !client.closed) {
      const reason = await new Promise<string>((resolve) => {
        client.onclose = resolve;
      });
      expect(reason).toContain("unknown_ca");
    }
  });

  it("rejects when the server's certificate is not trusted", async () => {
    const { failures, port } = await start();
    await expect(connect(port, { ca: foreign.chain })).rejects.toThrow("certificate of 127.0.0.1");
    expect(await failures.next()).toMatchObject({ alert: "unknown_ca", alertBy: "peer" });
  });

  it("says what plain CoAP or HTTP on its port is", async () => {
    const { failures, port } = await start();
    const socket = connectSocket(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\n\r\n"));
    expect((await failures.next()).message).toContain("not TLS");
    socket.destroy();
  });

  it("gives up a handshake that falls silent, but lets port scans be", async () => {
    const clock = new FakeClock(Date.now());
    const { failures, port } = await start({ clock, handshakeTimeoutMs: 5_000 });
    const gone = connectSocket(port, "127.0.0.1", () => gone.destroy());
    await new Promise((resolve) => gone.on("close", resolve));
    const socket = connectSocket(port, "127.0.0.1");
    const ended = new Promise<void>((resolve) => socket.on("end", resolve));
    socket.resume();
    socket.write(Buffer.from([22, 3, 1]));
    await new Promise((resolve) => socket.on("connect", resolve));
    // The accept is an event of its own on the server's side.
    while (failures.all.length === 0) await clock.advance(6_000);
    expect(failures.all.map(({ message }) => message)).toEqual([
      "The peer fell silent in the middle of the handshake.",
    ]);
    await ended;
  });

  it("turns connections away when full", async () => {
    const { failures, peers, port } = await start({ maxPeers: 1 });
    await connect(port);
    await peers.next();
    await expect(connect(port)).rejects.toThrow();
    expect((await failures.next()).message).toContain("all 1 connections are in use");
  });

  it("frees every OpenSSL object", async () => {
    await connect((await start()).port);
    for (const close of closers.splice(0).reverse()) await close();
    const before = liveHandles();
    const { port, peers } = await start();
    const clients = await Promise.all([connect(port), connect(port)]);
    await peers.next();
    await peers.next();
    clients[0]?.close();
    await connect(port, { credentials: foreign }).catch(() => {});
    connectSocket(port, "127.0.0.1").on("error", () => {});
    for (const close of closers.splice(0).reverse()) await close();
    expect(liveHandles()).toBe(before);
  });
});

it("tls: a client that offers TLS 1.3 but none of its suites gets TLS 1.2", async () => {
  const authority = await makeAuthority("root");
  const listener = await listenTls({
    port: 0,
    host: "127.0.0.1",
    credentials: await authority.issue("server"),
    verify: trust(authority),
    onpeer: () => {},
    onfailure: () => {},
    clock: systemClock,
  });
  closers.push(() => listener.close());
  const extension = (type: number, ...body: number[]) => [
    0,
    type,
    body.length >> 8,
    body.length & 255,
    ...body,
  ];
  const extensions = [
    ...extension(43, 4, 3, 4, 3, 3),
    ...extension(10, 0, 2, 0, 23),
    ...extension(13, 0, 2, 4, 3),
    ...extension(11, 1, 0),
  ];
  const body = [
    3,
    3,
    ...Array(32).fill(7),
    0,
    0,
    4,
    0xc0,
    0xae,
    0,
    0xff,
    1,
    0,
    0,
    extensions.length,
    ...extensions,
  ];
  const hello = [1, 0, 0, body.length, ...body];
  const socket = connectSocket(listener.local.port, "127.0.0.1");
  closers.push(() => socket.destroy());
  const first = new Promise<Buffer>((resolve) => socket.once("data", resolve));
  socket.write(Buffer.from([22, 3, 1, 0, hello.length, ...hello]));
  const answer = await first;
  // A ServerHello of 1.2 with the suite that was offered, and no alert.
  expect([answer[0], answer[5]]).toEqual([22, 2]);
  expect(answer.readUInt16BE(9)).toBe(0x0303);
  const suite = 5 + 4 + 2 + 32 + 1 + (answer[43] as number);
  expect(answer.readUInt16BE(suite)).toBe(0xc0ae);
});
