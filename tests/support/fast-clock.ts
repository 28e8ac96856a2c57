import { type Clock, systemClock } from "@/server/clock";

/** The real clock, running `factor` times as fast: waits of a device that last minutes end in seconds. */
export function fastClock(factor: number): Clock {
  const start = systemClock.now();
  return {
    now: () => start + (systemClock.now() - start) * factor,
    after: (ms, run) => systemClock.after(ms / factor, run),
  };
}
