import type { Clock } from "@/server/clock";

/** How much one caller may ask for: a steady rate, and a burst above it. */
export interface Rate {
  perSecond: number;
  burst: number;
}

/** What a key may do. An application that needs more is better served by notifications. */
export const KEY_RATE: Rate = { perSecond: 4_000, burst: 20_000 };
/** Requests without a valid key from one address, against guessing. */
export const STRANGER_RATE: Rate = { perSecond: 10, burst: 200 };

/** Callers remembered; the one not seen for longest is forgotten first. */
const REMEMBERED = 10_000;

/** A token bucket per caller. */
export class RateLimit {
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(
    private readonly rate: Rate,
    private readonly clock: Clock,
  ) {}

  /** Takes one; returns how many seconds to wait, 0 when there was one. */
  take(caller: string): number {
    const { perSecond, burst } = this.rate;
    const now = this.clock.now();
    const known = this.#buckets.get(caller);
    const tokens = known ? Math.min(burst, known.tokens + ((now - known.at) / 1000) * perSecond) : burst;
    this.#buckets.delete(caller);
    this.#buckets.set(caller, { tokens: tokens < 1 ? tokens : tokens - 1, at: now });
    if (this.#buckets.size > REMEMBERED) {
      const [oldest] = this.#buckets.keys();
      this.#buckets.delete(oldest as string);
    }
    return tokens < 1 ? Math.max(1, Math.ceil((1 - tokens) / perSecond)) : 0;
  }
}
