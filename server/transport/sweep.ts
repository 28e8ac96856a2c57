import type { Clock, Timer } from "../clock";

/**
 * Runs `check` every `everyMs` until stopped, or until it returns false since there is nothing left to look at: one timer
 * for all peers instead of one each.
 */
export class Sweep {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #check: (now: number) => unknown;
  #timer: Timer | null = null;

  constructor(clock: Clock, everyMs: number, check: (now: number) => unknown) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#check = check;
  }

  /** Arms the timer unless it is armed. */
  start(): void {
    this.#timer ??= this.#clock.after(this.#everyMs, () => {
      this.#timer = null;
      this.start();
      if (this.#check(this.#clock.now()) === false) this.stop();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}

/** How often to look for peers that have been idle for `idleMs`. */
export function sweepInterval(idleMs: number): number {
  return Math.min(60_000, Math.max(1_000, Math.floor(idleMs / 16)));
}
