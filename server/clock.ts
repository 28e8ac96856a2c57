/** Something that can be called off. */
export interface Timer {
  cancel(): void;
}

/** The time source that every room takes from outside, so that tests turn hours into milliseconds. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
  /** Calls `run` once after `ms` milliseconds unless cancelled. */
  after(ms: number, run: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    // setTimeout fires at once beyond 2^31-1 ms, so longer waits are cut and continued.
    const MAX = 0x7fffffff;
    let handle: NodeJS.Timeout;
    const arm = (left: number) => {
      handle = setTimeout(() => (left > MAX ? arm(left - MAX) : run()), Math.min(left, MAX));
    };
    arm(Math.max(0, ms));
    return { cancel: () => clearTimeout(handle) };
  },
};
