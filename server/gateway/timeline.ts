import type { BusEvent } from "@/server/bus/messages";
import type { Clock } from "@/server/clock";
import type { GroupCommit } from "@/server/db";
import {
  type EventFields,
  type EventRow,
  eventMessage,
  eventRow,
  eventStatement,
} from "@/server/services/events/record";
import type { EventType } from "@/server/services/events/types";
import { newId } from "@/server/services/ids";

/** At most this many different knocks a minute get a row of their own: a flood must not fill the disk. */
const KNOCKS_PER_MINUTE = 200;
const KNOCK_WINDOW_MS = 60_000;

interface Knock {
  id: string;
  count: number;
  since: number;
}

type Fields<T extends EventType> = Omit<EventFields<T>, "at"> & { at?: number };

/** The part of the bus that a timeline needs. */
export interface Listeners {
  watched(accountId: string | null): boolean;
  publish(event: BusEvent): void;
}

/** What somebody is watching is on disk, and told, after this time. */
export const WATCHED_MS = 20;

/** Writes what happens to devices with the next group commit, and then tells whoever listens. */
export class Timeline {
  readonly #knocks = new Map<string, Knock>();
  #knockWindow = 0;
  #knockCount = 0;

  constructor(
    private readonly commit: GroupCommit,
    private readonly listeners: Listeners,
    private readonly clock: Clock,
    /** Hears of every row, also of one that is written again with a higher count. */
    private readonly onrow: (row: EventRow) => void = () => {},
  ) {}

  /** Writes the row with the next commit; whoever listens is told when it is on disk. */
  note<T extends EventType>(type: T, fields: Fields<T>): EventRow {
    const row = eventRow(type, { at: this.clock.now(), ...fields } as EventFields<T>);
    const { watched, publish } = this.listeners;
    this.commit.note(eventStatement, row, {
      ...(watched(row.accountId) && { withinMs: WATCHED_MS }),
      written: () => {
        if (watched(row.accountId)) publish(eventMessage(row));
      },
    });
    this.onrow(row);
    return row;
  }

  /**
   * Notes something that a stranger can cause as often as it likes: the same `key` within a minute is counted on one
   * row, and new rows are bounded per minute.
   */
  knock<T extends EventType>(type: T, key: string, fields: Fields<T> & { data: { count?: number } }): void {
    const now = this.clock.now();
    if (now - this.#knockWindow >= KNOCK_WINDOW_MS) {
      this.#knockWindow = now;
      this.#knockCount = 0;
      for (const [known, knock] of this.#knocks)
        if (now - knock.since >= KNOCK_WINDOW_MS) this.#knocks.delete(known);
    }
    let knock = this.#knocks.get(key);
    if (!knock) {
      if (++this.#knockCount > KNOCKS_PER_MINUTE) return;
      knock = { id: newId(now), count: 0, since: now };
      this.#knocks.set(key, knock);
    }
    knock.count += 1;
    this.note(type, { ...fields, id: knock.id, data: { ...fields.data, count: knock.count } } as Fields<T>);
  }
}
