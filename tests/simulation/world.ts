import type { Clock, Timer } from "@/server/clock";
import { Random } from "./random";

/** Real macrotasks, whatever the simulation does with time. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
/** By the real clock: whatever leaves this process, to the database or another thread, is back long before. */
const PATIENCE_MS = 20_000;
const KEPT_LINES = 400;

interface Planned {
  at: number;
  order: number;
  run: (() => void) | null;
}

/** A promise that the simulation was found to break. */
export class BrokenPromise extends Error {}

/**
 * Time, chance and the order of what happens. A step takes the next planned event, runs it, and lets everything that
 * follows from it without time passing settle.
 */
export class World {
  readonly random: Random;
  /** Milliseconds since 1970. */
  now = Date.UTC(2026, 0, 1);
  readonly startedAt = this.now;
  steps = 0;
  /** Calls to the database and to other threads that have not returned. */
  busy = 0;
  /** What happened last, in words. */
  readonly lines: string[] = [];
  /** Runs after every step. */
  onstep: () => void = () => {};
  /** Of everything said, so that two runs can be compared. */
  digest = 0;
  verbose = false;
  readonly #plan: Planned[] = [];
  #order = 0;

  constructor(readonly seed: number | string) {
    this.random = new Random(seed);
  }

  /** Writes a line of the story. */
  say(line: string): void {
    const seconds = ((this.now - this.startedAt) / 1000).toFixed(3);
    const text = `${seconds.padStart(12)} ${line}`;
    for (let at = 0; at < text.length; at++)
      this.digest = (Math.imul(this.digest, 31) + text.charCodeAt(at)) | 0;
    if (this.lines.push(text) > KEPT_LINES) this.lines.shift();
    if (this.verbose) console.log(text);
  }

  /** Plans an event; of several at one moment chance says which comes first, unless `order` does. */
  after(ms: number, run: () => void, order?: number): Timer {
    const planned: Planned = {
      at: this.now + Math.max(0, ms),
      order: order ?? this.random.next(),
      run,
    };
    this.#push(planned);
    return {
      cancel: () => {
        planned.run = null;
      },
    };
  }

  /** A number that sorts behind those before: events of one moment keep the order in which they were planned. */
  nextOrder(): number {
    return 1 + ++this.#order;
  }

  /** Goes on until this time. */
  async run(until: number): Promise<void> {
    await this.settle();
    for (;;) {
      const next = this.#plan[0];
      if (!next || next.at > until) break;
      this.#pop();
      const { run } = next;
      if (!run) continue;
      this.now = Math.max(this.now, next.at);
      this.steps++;
      run();
      await this.settle();
      this.onstep();
    }
    this.now = Math.max(this.now, until);
  }

  /** Lets everything run that waits for nothing but its turn. */
  async settle(): Promise<void> {
    const since = performance.now();
    for (;;) {
      await turn();
      if (this.busy === 0) return;
      if (performance.now() - since > PATIENCE_MS)
        throw new Error("Something that was called does not return.");
    }
  }

  // A binary heap by time, then order.

  #before(a: Planned, b: Planned): boolean {
    return a.at < b.at || (a.at === b.at && a.order < b.order);
  }

  #push(planned: Planned): void {
    const heap = this.#plan;
    let at = heap.push(planned) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(planned, heap[parent] as Planned)) break;
      heap[at] = heap[parent] as Planned;
      at = parent;
    }
    heap[at] = planned;
  }

  #pop(): void {
    const heap = this.#plan;
    const last = heap.pop() as Planned;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#before(heap[child + 1] as Planned, heap[child] as Planned))
        child++;
      if (!this.#before(heap[child] as Planned, last)) break;
      heap[at] = heap[child] as Planned;
      at = child;
    }
    heap[at] = last;
  }
}

/** One life of a process: its timers end with it, and what it awaits never comes. */
export class Life {
  alive = true;
  readonly #ends: (() => void)[] = [];

  constructor(
    readonly world: World,
    readonly name: string,
    /** How far its clock is off, ms. */
    public skew = 0,
  ) {}

  readonly clock: Clock = {
    now: () => Math.floor(this.world.now + this.skew),
    after: (ms, run) => {
      // Timers of one process that are due at once run in the order in which they were set.
      return this.world.after(ms, () => this.alive && run(), this.world.nextOrder());
    },
  };

  /** Runs when it ends. */
  onend(run: () => void): void {
    if (this.alive) this.#ends.push(run);
    else run();
  }

  kill(): void {
    if (!this.alive) return;
    this.alive = false;
    for (const end of this.#ends.splice(0)) end();
  }
}
