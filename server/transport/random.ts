import { randomFillSync } from "node:crypto";

/** One call into the generator serves many peers; used bytes are never handed out again. */
interface Pool {
  bytes: Buffer;
  used: number;
}

// One for all module graphs of a process; a simulation empties it before each run.
const POOL = Symbol.for("gangway.random");
const holder = globalThis as { [POOL]?: Pool };
holder[POOL] ??= { bytes: Buffer.allocUnsafeSlow(4096), used: 4096 };
const pool = holder[POOL];

/** Random bytes from a pool; the view is valid until the next call. */
export function randomView(length: number): Buffer {
  if (pool.used + length > pool.bytes.length) {
    randomFillSync(pool.bytes);
    pool.used = 0;
  }
  pool.used += length;
  return pool.bytes.subarray(pool.used - length, pool.used);
}

/** 96 random bits as text. */
export function randomId(): string {
  return randomView(12).toString("base64url");
}

/** A random 16-bit number: where CoAP message ids start [RFC7252 §4.4]. */
export function randomSeed(): number {
  return randomView(2).readUInt16BE(0);
}
