import type { Clock, Timer } from "@/server/clock";

interface Entry {
  at: number;
  order: number;
  run: () => void;
}

/** A clock that stands still until told to go on. */
export class FakeClock implements Clock {
  #now: number;
  #order = 0;
  #entries: Entry[] = [];

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): Timer {
    const entry: Entry = { at: this.#now + Math.max(0, ms), order: this.#order++, run };
    this.#entries.push(entry);
    return {
      cancel: () => {
        this.#entries = this.#entries.filter((other) => other !== entry);
      },
    };
  }

  /** Timers that are still armed. */
  get pending(): number {
    return this.#entries.length;
  }

  /** Moves on by `ms`, running what falls due in order and letting promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const due = this.#entries
        .filter((entry) => entry.at <= end)
        .sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (!due) break;
      this.#entries = this.#entries.filter((entry) => entry !== due);
      this.#now = Math.max(this.#now, due.at);
      due.run();
      await settle();
    }
    // Two may advance at a time, and time does not go back.
    this.#now = Math.max(this.#now, end);
    await settle();
  }
}

/** Lets everything that is already resolved run. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
