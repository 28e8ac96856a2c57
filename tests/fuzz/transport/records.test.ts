import { createSocket } from "node:dgram";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { systemClock } from "@/server/clock";
import { connectDtls, listenDtls, type Peer } from "@/server/transport";
import { readClientHello } from "@/server/transport/client-hello";
import { liveHandles } from "@/server/transport/openssl";
import { openRecord, parseRecords, suiteOf } from "@/server/transport/record-layer";
import { inbox, Mailbox, makeAuthority, trust, UdpProxy } from "@/tests/unit/transport/support";

/** Datagrams that look like DTLS at their beginning. */
const datagram = fc
  .array(
    fc.record({
      type: fc.integer({ min: 18, max: 27 }),
      version: fc.constantFrom(0xfefd, 0xfeff, 0x0303),
      epoch: fc.nat({ max: 3 }),
      body: fc.uint8Array({ maxLength: 80 }),
      lie: fc.integer({ min: -3, max: 3 }),
    }),
    { maxLength: 4 },
  )
  .map((records) =>
    Buffer.concat(
      records.map(({ type, version, epoch, body, lie }) => {
        const head = Buffer.alloc(13);
        head[0] = type;
        head.writeUInt16BE(version, 1);
        head.writeUInt16BE(epoch, 3);
        head.writeUInt16BE(Math.max(0, body.length + lie), 11);
        return Buffer.concat([head, body]);
      }),
    ),
  );
const anything = fc.oneof(
  datagram,
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
);

describe("record parser", () => {
  it("never reads outside the datagram", () => {
    const suites = [0xc02b, 0xc0ac, 0xc0ae].map(suiteOf);
    fc.assert(
      fc.property(anything, fc.nat({ max: 20 }), (bytes, cidBytes) => {
        let end = 0;
        for (const view of parseRecords(bytes, cidBytes) ?? []) {
          expect(view.start).toBe(end);
          expect(view.fragment).toBeGreaterThanOrEqual(view.start + 13);
          expect(view.end).toBeGreaterThanOrEqual(view.fragment);
          expect(view.end).toBeLessThanOrEqual(bytes.length);
          end = view.end;
          readClientHello(bytes, view);
          for (const suite of suites)
            for (const form of ["rfc9146", "draft"] as const)
              if (suite) expect(openRecord(suite, "k".repeat(40), true, bytes, view, form)).toBeNull();
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("listener under fire", () => {
  it("survives changed, cut and repeated handshakes and serves the next device", async () => {
    const authority = await makeAuthority("root");
    const [server, device] = await Promise.all([authority.issue("server"), authority.issue("device")]);
    const peers = new Mailbox<Peer>();
    const before = liveHandles();
    const listener = await listenDtls({
      host: "127.0.0.1",
      port: 0,
      credentials: server,
      verify: trust(authority),
      clock: systemClock,
      onpeer: peers.put,
      onfailure: () => {},
    });
    const options = {
      host: "127.0.0.1",
      credentials: device,
      ca: [authority.certificate],
      clock: systemClock,
    };
    // A clean run gives the datagrams to play with.
    const proxy = await UdpProxy.start(listener.local.port);
    const first = await connectDtls({ ...options, port: proxy.port });
    const recorded = [...proxy.toServer];
    const noise = createSocket("udp4");
    const send = (bytes: Buffer) =>
      new Promise<void>((resolve) => noise.send(bytes, listener.local.port, "127.0.0.1", () => resolve()));
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            anything,
            fc.record({ which: fc.nat(), at: fc.nat(), to: fc.nat({ max: 255 }), cut: fc.nat() }),
          ),
          {
            maxLength: 8,
          },
        ),
        async (steps) => {
          for (const step of steps) {
            if (Buffer.isBuffer(step)) {
              await send(step);
              proxy.sendToServer(step);
              continue;
            }
            const { which, at, to, cut } = step as { which: number; at: number; to: number; cut: number };
            const copy = Buffer.from(recorded[which % recorded.length] as Buffer);
            copy[at % copy.length] = to;
            const changed = copy.subarray(0, 1 + (cut % copy.length));
            await send(changed);
            proxy.sendToServer(changed);
          }
        },
      ),
      { numRuns: 150 },
    );
    const peer = await peers.next();
    const received = inbox(peer);
    first.send(Buffer.from("still in session"));
    expect(await received.next()).toBe("still in session");
    const second = await connectDtls({ ...options, port: listener.local.port });
    await peers.next();
    for (const client of [first, second]) client.close();
    noise.close();
    proxy.close();
    await listener.close();
    // One configuration is kept for the next client.
    expect(liveHandles()).toBe(before + 1);
  });

  it("survives handshakes changed on the way by a man in the middle", async () => {
    const authority = await makeAuthority("root");
    const [server, device] = await Promise.all([authority.issue("server"), authority.issue("device")]);
    const listener = await listenDtls({
      host: "127.0.0.1",
      port: 0,
      credentials: server,
      verify: trust(authority),
      clock: systemClock,
      onpeer: () => {},
      onfailure: () => {},
    });
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 3 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (which, at, change) => {
          const proxy = await UdpProxy.start(listener.local.port);
          let count = 0;
          proxy.pass = (bytes) => {
            if (count++ === which) bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ change;
            return true;
          };
          const options = {
            host: "127.0.0.1",
            port: proxy.port,
            credentials: device,
            ca: [authority.certificate],
          };
          const peer = await connectDtls({ ...options, clock: systemClock, timeoutMs: 100 }).catch(
            () => null,
          );
          peer?.close();
          proxy.close();
        },
      ),
      { numRuns: 25 },
    );
    const peer = await connectDtls({
      host: "127.0.0.1",
      port: listener.local.port,
      credentials: device,
      ca: [authority.certificate],
      clock: systemClock,
    });
    peer.close();
    await listener.close();
  });
});
