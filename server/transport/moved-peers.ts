import type { Clock } from "../clock";
import type { OpenedRecord, RecordChannel, RecordView } from "./record-layer";

/** Sessions that one record is tried against: those whose next number is nearest to its own. */
const CANDIDATES = 32;
/** Tries a second for one address, and for all of them. */
const TRIES_PER_ADDRESS = 512;
const TRIES = 2048;
const WINDOW_MS = 1000;
/** Looking at so many headers, or deciphering so many bytes, costs as much as one try. */
const HEADERS_PER_TRY = 512;
const BYTES_PER_TRY = 1024;

/** A session that may go on from another port. */
export interface Movable {
  readonly address: string;
  readonly channel: RecordChannel | null;
}

/**
 * Knows whose a record without a connection id is when it comes from a port where that session is not: of a device that
 * was started anew, or whose router forgot it. Only the keys can tell, so the sessions last seen at the same IP address
 * are tried, within bounds that nobody can exceed who sends from made-up addresses.
 */
export class MovedPeers<S extends Movable> {
  readonly #clock: Clock;
  // Most addresses have one session, which a set of its own would double in size.
  readonly #byAddress = new Map<string, S | Set<S>>();
  /** Tries in the window that began at `#from`. */
  #from = Number.NEGATIVE_INFINITY;
  #tries = 0;
  readonly #triesBy = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes a session under its present address. */
  add(session: S): void {
    const here = this.#byAddress.get(session.address);
    if (here instanceof Set) here.add(session);
    else this.#byAddress.set(session.address, here && here !== session ? new Set([here, session]) : session);
  }

  /** Forgets a session; its address is still the one it was added with. */
  remove(session: S): void {
    const here = this.#byAddress.get(session.address);
    if (here === session) this.#byAddress.delete(session.address);
    else if (here instanceof Set && here.delete(session) && here.size === 1) {
      const [last] = here;
      this.#byAddress.set(session.address, last as S);
    }
  }

  /**
   * Opens a record with the keys of a session last seen at this address; null when none fits or the tries are used up.
   * `here` is the session of the very port it came from, whose repeated records are nobody else's.
   */
  open(
    datagram: Buffer,
    view: RecordView,
    address: string,
    here: S | null,
  ): { session: S; opened: OpenedRecord } | null {
    const sessions = this.#byAddress.get(address);
    if (!sessions) return null;
    const size = sessions instanceof Set ? sessions.size : 1;
    if (!this.#spend(address, size / HEADERS_PER_TRY)) return null;
    const tryCost = 1 + (view.end - view.start) / BYTES_PER_TRY;
    for (const session of nearest(sessions instanceof Set ? sessions : [sessions], view, here)) {
      if (!this.#spend(address, tryCost)) return null;
      if (session === here) {
        if (session.channel?.madeByPeer(datagram, view)) return null;
        continue;
      }
      const opened = session.channel?.open(datagram, view);
      if (opened) return { session, opened };
    }
    return null;
  }

  #spend(address: string, cost: number): boolean {
    const now = this.#clock.now();
    if (now - this.#from >= WINDOW_MS || now < this.#from) {
      this.#from = now;
      this.#tries = 0;
      this.#triesBy.clear();
    }
    const before = this.#triesBy.get(address) ?? 0;
    if (this.#tries + cost > TRIES || before + cost > TRIES_PER_ADDRESS) return false;
    this.#tries += cost;
    this.#triesBy.set(address, before + cost);
    return true;
  }
}

/** The sessions that a record fits best by its header: a device goes on where it stopped. The one that is there comes first. */
function nearest<S extends Movable>(sessions: Iterable<S>, view: RecordView, here: S | null): S[] {
  const found: { session: S; gap: number }[] = [];
  for (const session of sessions) {
    const { channel } = session;
    if (session === here || !channel?.expects(view)) continue;
    const gap = Math.abs(view.sequence - channel.top);
    if (found.length === CANDIDATES && gap >= (found.at(-1)?.gap ?? 0)) continue;
    const at = found.findIndex((one) => gap < one.gap);
    found.splice(at < 0 ? found.length : at, 0, { session, gap });
    if (found.length > CANDIDATES) found.pop();
  }
  const others = found.map(({ session }) => session);
  return here ? [here, ...others] : others;
}
