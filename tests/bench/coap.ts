import { systemClock } from "@/server/clock";
import { CoapEndpoint, encodeMessage, type OutgoingResponse, Type } from "@/server/coap";
import type { Peer } from "@/server/transport/types";

export const name = "CoAP codec and exchanges";

function sink(id: number, onsend: () => void): Peer {
  return {
    id: String(id),
    transport: "udp",
    remote: { address: "192.0.2.1", port: id },
    identity: null,
    restored: false,
    closed: false,
    messageIdSeed: id,
    send: onsend,
    close() {},
    onmessage: null,
    onclose: null,
  };
}

/** A registration update as Pelion's client sends it, through codec, deduplication and handler, 1000 peers in turn. */
async function serve(
  count: number,
  handler: () => OutgoingResponse | Promise<OutgoingResponse>,
): Promise<number> {
  let answered = 0;
  const endpoint = new CoapEndpoint({ clock: systemClock, handler });
  const peers = Array.from({ length: 1000 }, (_, id) => sink(id, () => answered++));
  for (const peer of peers) endpoint.attach(peer);
  const options = [
    { number: 11, value: Buffer.from("rd") },
    { number: 11, value: Buffer.from("0123456789abcdef") },
    { number: 11, value: Buffer.from("0123456789abcdef0123456789abcdef") },
    { number: 12, value: Buffer.from([40]) },
    { number: 15, value: Buffer.from("et=default") },
  ];
  const messages = Array.from({ length: count }, (_, at) =>
    encodeMessage({
      type: Type.CON,
      code: 2,
      messageId: at & 0xffff,
      token: Buffer.from([at >>> 24, at >>> 16, at >>> 8, at]),
      options,
      payload: new Uint8Array(0),
    }),
  );
  const start = performance.now();
  for (let at = 0; at < count; at++) {
    peers[at % peers.length]!.onmessage!(messages[at]!);
    // As a socket would: a turn of the loop for every handful.
    if ((at & 63) === 63) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  while (answered < count) await new Promise<void>((resolve) => setImmediate(resolve));
  const rate = count / ((performance.now() - start) / 1000);
  for (const peer of peers) peer.onclose?.("done");
  return rate;
}

async function roundTrips(count: number): Promise<number> {
  const endpoint = new CoapEndpoint({ clock: systemClock, handler: () => ({ code: "2.05", payload: "ok" }) });
  const client = new CoapEndpoint({ clock: systemClock, handler: () => ({ code: "5.01" }) });
  const pairs = Array.from({ length: 64 }, (_, id) => {
    const a = sink(id, () => {});
    const b = sink(id, () => {});
    a.send = (message) => queueMicrotask(() => b.onmessage?.(message));
    b.send = (message) => queueMicrotask(() => a.onmessage?.(message));
    client.attach(a);
    endpoint.attach(b);
    return [a, b] as const;
  });
  const start = performance.now();
  await Promise.all(
    pairs.map(async ([peer]) => {
      for (let at = 0; at < count / pairs.length; at++)
        await client.request(peer, { method: "GET", path: ["3", "0", "0"] });
    }),
  );
  const rate = count / ((performance.now() - start) / 1000);
  for (const [a, b] of pairs) {
    a.onclose?.("done");
    b.onclose?.("done");
  }
  return rate;
}

async function idleBytes(count: number): Promise<number> {
  const gc = (globalThis as { gc?: () => void }).gc;
  const endpoint = new CoapEndpoint({ clock: systemClock, handler: () => ({ code: "2.04" }) });
  const peers = Array.from({ length: count }, (_, id) => sink(id, () => {}));
  gc?.();
  const before = process.memoryUsage().heapUsed;
  for (const peer of peers) endpoint.attach(peer);
  gc?.();
  const bytes = (process.memoryUsage().heapUsed - before) / count;
  for (const peer of peers) peer.onclose?.("done");
  return bytes;
}

/** Codec and exchange layer alone, no sockets, one core. */
export async function run() {
  const count = 200_000;
  const limitedBy = "allocation: a message, its options and an exchange each";
  await serve(20_000, () => ({ code: "2.04" }));
  const rate = (metric: string, value: number) => ({ metric, value, unit: "/s", limitedBy });
  return [
    rate("CoAP requests answered at once", await serve(count, () => ({ code: "2.04" }))),
    rate("CoAP requests answered later", await serve(count, async () => ({ code: "2.04" }))),
    rate("CoAP round trips, both roles in one process", await roundTrips(count / 4)),
    {
      metric: "memory of an idle CoAP peer",
      value: await idleBytes(50_000),
      unit: "bytes",
      limitedBy: "the objects that every peer has",
    },
  ];
}
