import type { Clock } from "@/server/clock";

const MAX_EVENTS = 10;
const WINDOW_MS = 10_000;
const HOLD_MS = 60_000;

/** Holds registrations and updates for 60 s after more than 10 of them within 10 s. */
export class Gate {
  #stamps: number[] = [];
  #heldUntil = 0;

  constructor(private readonly clock: Clock) {}

  /** Milliseconds to wait before the next one; 0 counts it and lets it through. */
  enter(): number {
    const now = this.clock.now();
    if (now < this.#heldUntil) return this.#heldUntil - now;
    this.#stamps = this.#stamps.filter((at) => now - at < WINDOW_MS);
    if (this.#stamps.length >= MAX_EVENTS) {
      this.#stamps = [];
      this.#heldUntil = now + HOLD_MS;
      return HOLD_MS;
    }
    this.#stamps.push(now);
    return 0;
  }
}

/** How long to wait between attempts. */
export interface BackoffOptions {
  /** Default 13 s: what Pelion's client takes, 10 s and a round trip of 3 s. */
  firstMs?: number;
  /** Default 4 hours. */
  maxMs?: number;
  /** Share that chance adds or takes; default 0.1. */
  jitter?: number;
}

/** Doubling delays with a little chance in them, so that a thousand devices do not come at once. */
export class Backoff {
  #failures = 0;

  constructor(
    private readonly options: BackoffOptions,
    private readonly random: () => number,
  ) {}

  /** The next delay in ms. */
  next(): number {
    const { firstMs = 13_000, maxMs = 4 * 3_600_000, jitter = 0.1 } = this.options;
    const delay = Math.min(firstMs * 2 ** Math.min(this.#failures++, 30), maxMs);
    return Math.round(delay * (1 + jitter * (2 * this.random() - 1)));
  }

  reset(): void {
    this.#failures = 0;
  }
}
