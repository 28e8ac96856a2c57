import { randomFillSync } from "node:crypto";

// One call into the generator serves many peers; used bytes are never handed out again.
const pool = Buffer.allocUnsafeSlow(4096);
let used = pool.length;

/** Random bytes from a pool; the view is valid until the next call. */
export function randomView(length: number): Buffer {
  if (used + length > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += length;
  return pool.subarray(used - length, used);
}

/** 96 random bits as text. */
export function randomId(): string {
  return randomView(12).toString("base64url");
}

/** A random 16-bit number: where CoAP message ids start [RFC7252 §4.4]. */
export function randomSeed(): number {
  return randomView(2).readUInt16BE(0);
}
