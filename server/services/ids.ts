import { randomFillSync } from "node:crypto";

const random = Buffer.alloc(10 * 512);
let used = random.length;
let lastMs = 0;
let counter = 0;

/**
 * A new id: 32 lower-case hex characters, later ids of one process sort behind earlier ones.
 * 48 bits of milliseconds, 16 bits of counter, 64 random bits.
 */
export function newId(now = Date.now()): string {
  if (now > lastMs) {
    lastMs = now;
    counter = 0;
  } else if (++counter > 0xffff) {
    lastMs += 1;
    counter = 0;
  }
  if (used + 8 > random.length) {
    randomFillSync(random);
    used = 0;
  }
  const tail = random.toString("hex", used, used + 8);
  used += 8;
  return lastMs.toString(16).padStart(12, "0") + counter.toString(16).padStart(4, "0") + tail;
}

/** 32 lower-case hex characters. */
export function isId(text: unknown): text is string {
  return typeof text === "string" && /^[0-9a-f]{32}$/.test(text);
}
