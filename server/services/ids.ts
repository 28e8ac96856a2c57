import { randomView } from "@/server/transport/random";

interface Ids {
  lastMs: number;
  counter: number;
}

// The portal is two module graphs in one process, and their ids sort together; a simulation begins each run anew.
const IDS = Symbol.for("gangway.ids");
const holder = globalThis as { [IDS]?: Ids };
holder[IDS] ??= { lastMs: 0, counter: 0 };
const ids = holder[IDS];

/**
 * A new id: 32 lower-case hex characters, later ids of one process sort behind earlier ones.
 * 48 bits of milliseconds, 16 bits of counter, 64 random bits.
 */
export function newId(now = Date.now()): string {
  if (now > ids.lastMs) {
    ids.lastMs = now;
    ids.counter = 0;
  } else if (++ids.counter > 0xffff) {
    ids.lastMs += 1;
    ids.counter = 0;
  }
  const tail = randomView(8).toString("hex");
  return ids.lastMs.toString(16).padStart(12, "0") + ids.counter.toString(16).padStart(4, "0") + tail;
}

/** 32 lower-case hex characters. */
export function isId(text: unknown): text is string {
  return typeof text === "string" && /^[0-9a-f]{32}$/.test(text);
}
