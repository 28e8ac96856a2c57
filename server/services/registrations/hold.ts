/** More than this many registrations or updates of one device… */
export const HOLD_COUNT = 10;
/** …within this many milliseconds… */
export const HOLD_WINDOW_MS = 10_000;
/** …put it on hold for this long. */
export const HOLD_MS = 60_000;

interface Pace {
  start: number;
  count: number;
  heldUntil: number;
}

export type Pacing = { held: false } | { held: true; retryAfterMs: number; first: boolean };

/** Keeps count of how often each device registers and updates. */
export class HoldKeeper {
  readonly #paces = new Map<string, Pace>();

  /** Counts one registration or update of `deviceId` at `now` (ms) and says whether it has to wait. */
  count(deviceId: string, now: number): Pacing {
    const pace = this.#paces.get(deviceId);
    if (!pace) {
      this.#paces.set(deviceId, { start: now, count: 1, heldUntil: 0 });
      return { held: false };
    }
    if (now < pace.heldUntil) return { held: true, retryAfterMs: pace.heldUntil - now, first: false };
    if (now - pace.start >= HOLD_WINDOW_MS || pace.heldUntil > 0) {
      pace.start = now;
      pace.count = 1;
      pace.heldUntil = 0;
      return { held: false };
    }
    pace.count += 1;
    if (pace.count <= HOLD_COUNT) return { held: false };
    pace.heldUntil = now + HOLD_MS;
    return { held: true, retryAfterMs: HOLD_MS, first: true };
  }

  /** Forgets devices whose window and hold are over. */
  sweep(now: number): void {
    for (const [deviceId, pace] of this.#paces)
      if (now - pace.start >= HOLD_WINDOW_MS && now >= pace.heldUntil) this.#paces.delete(deviceId);
  }
}
