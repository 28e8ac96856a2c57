import type { Clock } from "./clock";
import { storageTrouble } from "./db/storage-trouble";

const WINDOW_MS = 60_000;
/** Different causes that are told apart at a time; what comes beyond is told apart by its message alone. */
const MAX_CAUSES = 200;

type Line = [object: unknown, message?: string, ...more: unknown[]];

/** What goes wrong again and again for one cause is one line in the log each minute, and one with how often it was. */
export class RepeatedErrors {
  readonly #causes = new Map<string, { count: number }>();

  constructor(private readonly clock: Clock) {}

  /** Whether this line is the first of its cause within a minute; the others are counted, and told with `log`. */
  mayLog(line: readonly unknown[], log: (...line: Line) => void): boolean {
    const [object, message] = line;
    const err = (object as { err?: unknown } | null)?.err;
    if (!(err instanceof Error)) return true;
    const cause = this.#key(err, String(message));
    const known = this.#causes.get(cause);
    if (known) {
      known.count++;
      return false;
    }
    const first = { count: 0 };
    this.#causes.set(cause, first);
    this.clock.after(WINDOW_MS, () => {
      this.#causes.delete(cause);
      if (first.count > 0)
        log({ reason: err.message, count: first.count }, `${String(message)}, and again within a minute`);
    });
    return true;
  }

  #key(err: Error, message: string): string {
    const trouble = storageTrouble(err);
    if (trouble !== null) return trouble;
    const key = `${message}: ${err.message}`.slice(0, 500);
    return this.#causes.size < MAX_CAUSES || this.#causes.has(key) ? key : message;
  }
}
