import type { GroupCommit } from "@/server/db";
import type { Logger } from "@/server/log";
import type { Owner } from "@/server/services/channels/announce";
import { activeStatement, readQueue, takenStatement } from "@/server/services/channels/queue";
import type { Serialization } from "@/server/services/channels/types";
import type { Context } from "@/server/services/context";
import { Batch } from "./message";

/** Rows that are read first; how many follow depends on how long they are. */
const FIRST_PAGE = 64;
const MAX_PAGE = 2_000;
/** What one page of rows may take in memory. */
const PAGE_BYTES = 1 << 20;

/** The queue of one owner, as this process takes it. */
export class Feed {
  /** Rows up to this one were taken by the application; they are being deleted. */
  taken = 0;

  constructor(
    readonly owner: Owner,
    private readonly parts: { ctx: Context; commit: GroupCommit; log: Logger },
  ) {}

  /** What comes behind a row, up to another one, as one batch; null when there is nothing. */
  async next(after: number, look: Serialization, upTo = Number.POSITIVE_INFINITY): Promise<Batch | null> {
    const batch = new Batch(look);
    const { ctx, log } = this.parts;
    const { ownerId } = this.owner;
    for (let limit = FIRST_PAGE; ; ) {
      const rows = await readQueue(ctx, { ownerId, after, limit });
      let length = 0;
      for (const row of rows) {
        if (row.seq > upTo) return orNull(batch);
        try {
          if (!batch.add(row)) return batch;
        } catch (error) {
          // One row that nobody can read must not stand in the way of the others.
          log.error({ err: error, ownerId, seq: row.seq }, "a notification cannot be read");
        }
        after = row.seq;
        length += row.body.length;
      }
      if (rows.length < limit) return orNull(batch);
      limit = Math.max(1, Math.min(MAX_PAGE, Math.floor((PAGE_BYTES * rows.length) / length)));
    }
  }

  /** The application has everything up to this row. */
  take(seq: number): void {
    if (seq <= this.taken) return;
    this.taken = seq;
    const { ownerId } = this.owner;
    this.parts.commit.add(takenStatement, { ownerId, seq }).catch((error: unknown) => {
      this.parts.log.error(
        { err: error, ownerId },
        "what was taken stays in the queue and will be sent again",
      );
    });
    this.touch();
  }

  /** The application is there. */
  touch(): void {
    this.parts.commit.note(activeStatement, { ownerId: this.owner.ownerId, at: this.parts.ctx.clock.now() });
  }
}

const orNull = (batch: Batch): Batch | null => (batch.size > 0 ? batch : null);
