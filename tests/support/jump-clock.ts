import type { Clock, Timer } from "@/server/clock";

/** The time of day, but hours can be skipped: for tests on the real network. */
export class JumpClock implements Clock {
  #ahead = 0;
  readonly #timers = new Set<{ at: number; run: () => void; handle: NodeJS.Timeout | null }>();

  now(): number {
    return Date.now() + this.#ahead;
  }

  after(ms: number, run: () => void): Timer {
    const timer = { at: this.now() + ms, run: () => fire(), handle: null as NodeJS.Timeout | null };
    const fire = () => {
      this.#timers.delete(timer);
      if (timer.handle) clearTimeout(timer.handle);
      run();
    };
    this.#timers.add(timer);
    timer.handle = setTimeout(fire, Math.min(Math.max(0, ms), 0x7fffffff));
    return {
      cancel: () => {
        this.#timers.delete(timer);
        if (timer.handle) clearTimeout(timer.handle);
      },
    };
  }

  /** Skips `ms` and runs what falls due in them. */
  jump(ms: number): void {
    this.#ahead += ms;
    const due = [...this.#timers].filter(({ at }) => at <= this.now()).sort((a, b) => a.at - b.at);
    for (const timer of due) if (this.#timers.has(timer)) timer.run();
  }
}
