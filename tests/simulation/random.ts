import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";

/** Numbers that follow from a seed alone (xoshiro128**). */
export class Random {
  readonly #state = new Uint32Array(4);

  constructor(seed: number | string) {
    // SplitMix over a hash of the seed fills the state.
    let hash = 0x811c9dc5;
    for (const char of String(seed)) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
    for (let at = 0; at < 4; at++) {
      hash = (hash + 0x9e3779b9) | 0;
      let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      this.#state[at] = mixed ^ (mixed >>> 16);
    }
  }

  /** 32 random bits. */
  bits(): number {
    const state = this.#state;
    const [a = 0, b = 0, c = 0, d = 0] = state;
    const times = Math.imul(b, 5);
    const result = Math.imul((times << 7) | (times >>> 25), 9) >>> 0;
    const t = b << 9;
    const e = c ^ a;
    const f = d ^ b;
    state[1] = b ^ e;
    state[0] = a ^ f;
    state[2] = e ^ t;
    state[3] = (f << 11) | (f >>> 21);
    return result;
  }

  /** From 0 to below 1. */
  next(): number {
    return this.bits() / 2 ** 32;
  }

  /** A whole number from `from` to `to`, both included. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new Error("There is nothing to pick from.");
    return list[this.int(0, list.length - 1)] as T;
  }

  fill(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at++) bytes[at] = this.bits() >>> 24;
  }
}

const SIGNATURE_BYTES = 71;
const isPlain = (byte = 0) => byte > 0 && byte < 0x80;

/**
 * Puts the seed in the place of the operating system's randomness, for this process and for good: a simulation runs in a
 * process, or a test worker, of its own. What OpenSSL draws for keys and signatures stays its own; nothing that happens
 * depends on it, but for the length of a signature.
 */
export function seedProcess(
  random: () => Random,
  now: () => number,
  /** Counts what runs on other threads: a step waits for it. */
  count: (change: 1 | -1) => void,
): void {
  const { sign } = crypto;
  const bytes = (size: number) => {
    const filled = Buffer.alloc(size);
    random().fill(filled);
    return filled;
  };
  Object.assign(crypto, {
    randomBytes: bytes,
    randomFillSync: <T extends NodeJS.ArrayBufferView>(view: T): T => {
      random().fill(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
      return view;
    },
    // ECDSA draws numbers of its own, and its signatures have 70 to 72 bytes: how long they are must not be chance.
    sign: (...args: Parameters<typeof sign>) => {
      for (;;) {
        const signature = sign(...args) as unknown as Buffer;
        if (signature.length === SIGNATURE_BYTES || signature.length < 68 || signature.length > 72)
          return signature;
      }
    },
    randomInt: (from: number, to?: number) => random().int(to === undefined ? 0 : from, (to ?? from) - 1),
    randomUUID: () => {
      const hex = bytes(16).toString("hex");
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
        "-",
      );
    },
  });
  syncBuiltinESMExports();
  const subtle = Object.getPrototypeOf(crypto.webcrypto.subtle) as Record<string, unknown>;
  for (const name of ["generateKey", "exportKey", "importKey", "sign", "verify", "digest"]) {
    const method = subtle[name] as (...args: unknown[]) => Promise<unknown>;
    subtle[name] = async function (this: SubtleCrypto, ...args: unknown[]) {
      count(1);
      try {
        for (;;) {
          const result = await method.apply(this, args);
          // Two numbers without their highest bits: in DER they always have the same length.
          if (name !== "sign" || [0, 32].every((at) => isPlain(new Uint8Array(result as ArrayBuffer)[at])))
            return result;
        }
      } finally {
        count(-1);
      }
    };
  }
  Math.random = () => random().next();
  Date.now = now;
}
