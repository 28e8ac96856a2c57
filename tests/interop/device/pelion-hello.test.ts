import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "@/server/clock";
import { ConnectError, factoryItems, pelionConnect } from "@/server/device";
import {
  createDeveloperCertificate,
  createRootAuthority,
  createServerCertificate,
  developerBundle,
  readBundle,
} from "@/server/pki";
import { listenDtls, listenTls, type Peer } from "@/server/transport";

const ACCOUNT = "0190".padEnd(32, "0");
const CCM_8 = 0xc0ae;
const RENEGOTIATION_INFO = 0x00ff;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function credentials() {
  const root = createRootAuthority("Hello CA");
  const own = createServerCertificate(root, { hosts: ["elsewhere.example"], days: 1 });
  const developer = createDeveloperCertificate({ accountId: ACCOUNT, endpointName: "dev" });
  const bundle = readBundle(
    developerBundle({
      ...{ endpointName: "dev", accountId: ACCOUNT, ...developer, serverCa: root.certificate },
      bootstrapUri: { udp: "coaps://127.0.0.1:1", tcp: "coaps+tcp://127.0.0.1:1" },
    }),
  );
  return { own, server: factoryItems(bundle, "udp").bootstrap };
}

/** Version, cipher suites and extensions of a ClientHello, from its handshake header on. */
function readHello(hello: Buffer, dtls: boolean) {
  let at = (dtls ? 12 : 4) + 2 + 32;
  const version = hello.readUInt16BE(at - 34);
  at += 1 + hello[at]!;
  if (dtls) at += 1 + hello[at]!;
  const suites: number[] = [];
  for (const end = at + 2 + hello.readUInt16BE(at); (at += 2) < end; ) suites.push(hello.readUInt16BE(at));
  at += 1 + hello[at]!;
  const extensions: number[] = [];
  for (at += 2; at < hello.length; at += 4 + hello.readUInt16BE(at + 2))
    extensions.push(hello.readUInt16BE(at));
  return { version, suites, extensions };
}

const SERVER_NAME = 0;
const ALPN = 16;
const SUPPORTED_VERSIONS = 43;
/** The registered number of connection ids, and the one that Mbed TLS 2 took for its draft. */
const CONNECTION_ID = 54;
const DRAFT_CONNECTION_ID = 254;

describe("the first message", () => {
  test("over TCP offers TLS 1.2 with CCM_8 alone, and no name", async () => {
    const heard: Buffer[] = [];
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        heard.push(chunk);
        socket.destroy();
      });
    }).listen(0, "127.0.0.1");
    closers.push(() => server.close());
    await once(server, "listening");
    const target = {
      host: "127.0.0.1",
      transport: "tcp",
      deviceTime: 0,
      server: credentials().server,
    } as const;
    const opening = pelionConnect(systemClock)({ ...target, port: (server.address() as AddressInfo).port });
    await expect(opening).rejects.toBeInstanceOf(ConnectError);
    const { version, suites, extensions } = readHello(heard[0]!.subarray(5), false);
    expect(version).toBe(0x0303);
    expect(suites).toEqual([CCM_8, RENEGOTIATION_INFO]);
    for (const extension of [SERVER_NAME, ALPN, SUPPORTED_VERSIONS])
      expect(extensions).not.toContain(extension);
  });

  test("over UDP offers DTLS 1.2 with CCM_8 alone, and connection ids of the draft", async () => {
    const socket = createSocket("udp4").bind(0, "127.0.0.1");
    closers.push(() => socket.close());
    await once(socket, "listening");
    const heard = once(socket, "message");
    const target = {
      host: "127.0.0.1",
      transport: "udp",
      deviceTime: 0,
      server: credentials().server,
    } as const;
    const jumps = {
      now: () => Date.now(),
      after: (ms: number, run: () => void) => systemClock.after(ms / 1e3, run),
    };
    const opening = pelionConnect(jumps)({ ...target, port: socket.address().port });
    opening.catch(() => {});
    const [datagram] = (await heard) as [Buffer];
    const { version, suites, extensions } = readHello(datagram.subarray(13), true);
    expect(version).toBe(0xfefd);
    expect(suites).toEqual([CCM_8, RENEGOTIATION_INFO]);
    expect(extensions).toContain(DRAFT_CONNECTION_ID);
    expect(extensions).not.toContain(CONNECTION_ID);
  });
});

describe.each(["udp", "tcp"] as const)("a connection over %s", (transport) => {
  async function listen() {
    const { own, server } = credentials();
    const messages: string[] = [];
    const peers: Peer[] = [];
    const listener = await (transport === "tcp" ? listenTls : listenDtls)({
      ...{ host: "127.0.0.1", port: 0, clock: systemClock, onfailure: () => {} },
      credentials: { chain: [own.certificate], privateKey: own.privateKey },
      verify: () => ({ ok: true, identity: {} }),
      onpeer(peer) {
        peers.push(peer);
        peer.onmessage = (message) => messages.push(Buffer.from(message).toString());
      },
    });
    closers.push(() => listener.close());
    const dial = (deviceTime: number) =>
      pelionConnect(systemClock)({ ...listener.local, host: "127.0.0.1", transport, server, deviceTime });
    return { dial, messages, peers };
  }

  test("brings the time, and each message on its own both ways", async () => {
    const { dial, messages, peers } = await listen();
    // A device out of the factory shakes hands twice over TCP: by its clock every certificate is of the future.
    for (const deviceTime of [0, Math.floor(Date.now() / 1000)]) {
      messages.length = 0;
      const { peer, serverTime } = await dial(deviceTime);
      closers.push(() => peer.close());
      expect(Math.abs((serverTime ?? 0) - Date.now() / 1000)).toBeLessThan(10);
      const heard: string[] = [];
      peer.onmessage = (message) => heard.push(Buffer.from(message).toString());
      const sent = Array.from({ length: 20 }, (_, n) => `message ${n}`);
      for (const message of sent) peer.send(Buffer.from(message));
      await eventually(() => messages.length === sent.length);
      for (const message of sent) peers.at(-1)!.send(Buffer.from(message));
      await eventually(() => heard.length === sent.length);
      expect([messages, heard]).toEqual([sent, sent]);
    }
  });

  test("lets out what was said before it is closed", async () => {
    const { dial, messages } = await listen();
    const { peer } = await dial(0);
    for (const message of ["one", "two", "three"]) peer.send(Buffer.from(message));
    peer.close();
    await eventually(() => messages.length === 3);
  });
});

async function eventually(done: () => boolean): Promise<void> {
  for (const end = Date.now() + 10_000; !done(); ) {
    if (Date.now() > end) throw new Error("It did not happen within 10 s.");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
