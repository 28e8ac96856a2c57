/** Proof that it is this device's turn: what changes a device takes one, so that it cannot be called out of turn. */
export interface Turn {
  readonly deviceId: string;
}

/**
 * What changes a device runs in its turn, one change after the other, each from its decision to the end of its commit:
 * a decision never rests on a state that another one, not yet on disk, is about to end.
 */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs `work` when the changes before it are done; at once, within this call, when there are none. */
  run<T>(deviceId: string, work: (turn: Turn) => Promise<T>): Promise<T> {
    const turn = { deviceId };
    const before = this.#last.get(deviceId);
    const done = before ? before.then(() => work(turn)) : work(turn);
    const next = () => {
      if (this.#last.get(deviceId) === over) this.#last.delete(deviceId);
    };
    const over: Promise<void> = done.then(next, next);
    this.#last.set(deviceId, over);
    return done;
  }
}
