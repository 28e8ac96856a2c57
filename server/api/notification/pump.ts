import type { Clock, Timer } from "@/server/clock";

/** Does its work whenever it is woken: never twice at a time, and after a rest, so that what comes meanwhile goes along. */
export class Pump {
  #running: Promise<void> | null = null;
  #again = false;
  #stopped = false;
  #timer: Timer | null = null;
  #rested = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly clock: Clock,
    private readonly restMs: number,
    private readonly work: () => Promise<void>,
  ) {}

  wake(): void {
    if (this.#stopped || this.#timer) return;
    if (this.#running) this.#again = true;
    else this.#start(this.#rested - this.clock.now());
  }

  /** Does nothing more; resolves when what is being done has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  #start(waitMs: number): void {
    if (waitMs > 0) {
      this.#timer = this.clock.after(waitMs, () => this.#start(0));
      return;
    }
    this.#timer = null;
    this.#running = this.work().finally(() => {
      this.#running = null;
      this.#rested = this.clock.now() + this.restMs;
      if (!this.#again) return;
      this.#again = false;
      this.wake();
    });
  }
}
