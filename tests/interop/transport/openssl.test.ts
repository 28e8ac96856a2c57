import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@/server/clock";
import { type Listener, listenDtls, listenTls, type Peer } from "@/server/transport";
import {
  type Failures,
  inbox,
  Mailbox,
  MemoryStore,
  makeAuthority,
  pem,
  trust,
  UdpProxy,
} from "@/tests/unit/transport/support";

const folder = mkdtempSync(join(tmpdir(), "transport-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string) => join(folder, name);

let authority: Awaited<ReturnType<typeof makeAuthority>>;
let server: Awaited<ReturnType<typeof authority.issue>>;
beforeAll(async () => {
  authority = await makeAuthority("root");
  server = await authority.issue("server");
  writeFileSync(file("ca.pem"), pem("CERTIFICATE", authority.certificate));
  for (const [name, issuer] of [
    ["device", authority],
    ["foreign", await makeAuthority("other")],
  ] as const) {
    const { chain, privateKey } = await issuer.issue(name);
    writeFileSync(
      file(`${name}.pem`),
      pem("CERTIFICATE", chain[0] as Uint8Array) + pem("PRIVATE KEY", privateKey),
    );
  }
});

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** `openssl s_client` with its input held open. */
class SClient {
  readonly process: ChildProcess;
  readonly ended: Promise<void>;
  output = "";
  #wake: (() => void)[] = [];

  constructor(port: number, flags: string[], name: string | null = "device", quiet = true) {
    const own = name === null ? [] : ["-cert", file(`${name}.pem`), "-key", file(`${name}.pem`)];
    const common = [
      "s_client",
      "-connect",
      `127.0.0.1:${port}`,
      "-CAfile",
      file("ca.pem"),
      "-verify_return_error",
    ];
    this.process = spawn("openssl", [...common, ...(quiet ? ["-quiet"] : []), ...own, ...flags]);
    closers.push(() => this.process.kill());
    const take = (chunk: Buffer) => {
      this.output += chunk;
      for (const wake of this.#wake.splice(0)) wake();
    };
    this.process.stdout?.on("data", take);
    this.process.stderr?.on("data", take);
    this.ended = new Promise((resolve) => this.process.on("close", () => resolve()));
  }

  write(line: string): void {
    this.process.stdin?.write(`${line}\n`);
  }

  async says(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.output)) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }
}

/** What a peer sent; collected from the start, as its first message may come with its Finished. */
const received = new WeakMap<Peer, Mailbox<string>>();

async function start(kind: "dtls" | "tls", store?: MemoryStore) {
  const peers = new Mailbox<Peer>();
  const failures: Failures = new Mailbox();
  const options = {
    host: "127.0.0.1",
    port: 0,
    credentials: server,
    verify: trust(authority),
    clock: systemClock,
    onpeer(peer: Peer) {
      received.set(peer, inbox(peer));
      peers.put(peer);
    },
    onfailure: failures.put,
  };
  const listener: Listener =
    kind === "tls" ? await listenTls(options) : await listenDtls({ ...options, ...(store ? { store } : {}) });
  closers.push(() => listener.close());
  return { listener, peers, failures, port: listener.local.port };
}

async function echo(client: SClient, peers: Mailbox<Peer>): Promise<Peer> {
  client.write("hello");
  const peer = await peers.next();
  expect(await received.get(peer)?.next()).toBe("hello\n");
  peer.send(Buffer.from("welcome\n"));
  await client.says(/welcome/);
  return peer;
}

describe("openssl s_client", () => {
  it.each([
    ["dtls", ["-dtls1_2"]],
    ["dtls", ["-dtls1_2", "-cipher", "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0"]],
    ["dtls", ["-dtls1_2", "-cipher", "ECDHE-ECDSA-AES128-CCM"]],
    ["dtls", ["-dtls1_2", "-mtu", "300"]],
    ["tls", ["-tls1_2"]],
    ["tls", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0"]],
    ["tls", ["-tls1_3"]],
    ["tls", ["-tls1_3", "-groups", "X25519:P-256"]],
  ] as const)("%s %j", async (kind, flags) => {
    const { peers, port } = await start(kind);
    const client = new SClient(port, [...flags]);
    const peer = await echo(client, peers);
    expect(peer.identity).toEqual({ name: "CN=device" });
  });

  it.each([
    ["dtls", "-dtls1_2"],
    ["tls", "-tls1_2"],
    ["tls", "-tls1_3"],
  ] as const)("%s %s: a foreign certificate gets the alert unknown_ca", async (kind, flag) => {
    const { failures, port } = await start(kind);
    const client = new SClient(port, [flag], "foreign");
    await client.says(/alert unknown ca/);
    expect(await failures.next()).toMatchObject({ alert: "unknown_ca", alertBy: "us" });
  });

  it.each([
    ["dtls", "-dtls1_2"],
    ["tls", "-tls1_2"],
  ] as const)("%s %s: no certificate gets an alert", async (kind, flag) => {
    const { failures, port } = await start(kind);
    const client = new SClient(port, [flag], null);
    await client.says(/alert handshake failure/);
    expect((await failures.next()).message).toBe("The peer sent no certificate.");
  });

  it("too old a version gets an alert and words", async () => {
    const { failures, port } = await start("tls");
    const client = new SClient(port, ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    await client.says(/alert protocol version|protocol version/);
    const failure = await failures.next();
    expect(failure).toMatchObject({ alert: "protocol_version", alertBy: "us" });
    expect(failure.message).toContain("TLS 1.2");
  });

  it.each(["dtls", "tls"] as const)("%s: renegotiates before the first application record", async (kind) => {
    const { peers, port } = await start(kind);
    const client = new SClient(port, [kind === "dtls" ? "-dtls1_2" : "-tls1_2"], "device", false);
    await client.says(/Verify return code/);
    const peer = await peers.next();
    client.write("R");
    await client.says(/RENEGOTIATING/);
    await client.says(/(verify return:1[\s\S]*){2}/);
    client.write("after it");
    expect(await received.get(peer)?.next()).toBe("after it\n");
    peer.send(Buffer.from("welcome\n"));
    await client.says(/welcome/);
    expect(peers.all).toHaveLength(1);
  });

  it("refuses a renegotiation after that, and the session goes on", async () => {
    const { peers, port } = await start("dtls");
    const client = new SClient(port, ["-dtls1_2"], "device", false);
    await client.says(/Verify return code/);
    await echo(client, peers);
    client.write("R");
    await client.says(/no renegotiation|RENEGOTIATING/);
  });

  it("goes on with its session after a restart of the listener", async () => {
    const store = new MemoryStore();
    const first = await start("dtls", store);
    const proxy = await UdpProxy.start(first.port);
    closers.push(() => proxy.close());
    const client = new SClient(proxy.port, ["-dtls1_2"]);
    const peer = await echo(client, first.peers);
    await first.listener.close();
    const second = await start("dtls", store);
    proxy.server = second.port;
    client.write("still here");
    const restored = await second.peers.next();
    expect(restored.id).toBe(peer.id);
    restored.send(Buffer.from("good to see you\n"));
    await client.says(/good to see you/);
  });

  it("is known again behind other ports, though it has no connection id", async () => {
    const { peers, port } = await start("dtls");
    const clients = [];
    for (let index = 0; index < 3; index++) {
      const proxy = await UdpProxy.start(port);
      closers.push(() => proxy.close());
      const client = new SClient(proxy.port, ["-dtls1_2"]);
      clients.push({ proxy, client, peer: await echo(client, peers) });
    }
    for (const { proxy } of clients) await proxy.move();
    for (const [index, { proxy, client, peer }] of clients.entries()) {
      client.write(`still ${index}`);
      expect(await received.get(peer)?.next()).toBe(`still ${index}\n`);
      expect(peer.remote.port).toBe(proxy.outside);
      peer.send(Buffer.from("good to see you\n"));
      await client.says(/good to see you/);
    }
    expect(peers.all).toHaveLength(3);
  });

  it("sends the real time in ServerHello.random", async () => {
    const { peers, port } = await start("tls");
    const client = new SClient(port, ["-tls1_2", "-msg"], "device", false);
    await client.says(/Verify return code/);
    await peers.next();
    const [, hex = ""] = /ServerHello\s+02 00 00 .. 03 03 ([0-9a-f ]{11})/.exec(client.output) ?? [];
    const seconds = Number.parseInt(hex.replaceAll(" ", ""), 16);
    expect(Math.abs(seconds - Date.now() / 1000)).toBeLessThan(60);
    expect(client.output).toContain("Session-ID: \n");
  });
});
