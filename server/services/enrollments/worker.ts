import type { Timer } from "@/server/clock";
import type { PrismaClient } from "@/server/db";
import { type Context, requireSystem } from "../context";
import { transaction } from "../transaction";
import { enroll, unenroll } from "./claim";
import { errorsReport, fullReport, type ListEntry, type ListOutcome, readIdentities } from "./csv";
import { fingerprintOf, NO_IDENTITY } from "./identity";

/** Identities that are taken in or deleted in one transaction. */
const CHUNK = 5000;
/** What could not be written is tried again. */
const RETRY_MS = 5_000;
const SWEEP_MS = 3_600_000;
/** How long the reports on a list are kept. */
const KEPT_MS = 30 * 86_400_000;

// The portal's pages are a module graph of their own, and wake the worker of the same process.
const KEY = Symbol.for("gangway.enrollment-workers");
const holder = globalThis as { [KEY]?: WeakMap<PrismaClient, EnrollmentWorker> };
holder[KEY] ??= new WeakMap();
const workers = holder[KEY];

/** A list waits: has the worker of this process, if it has one, go through it. */
export const wakeEnrollmentWorker = (ctx: Pick<Context, "db">): void => workers.get(ctx.db)?.wake();

/** Goes through lists of enrollment identities, one after the other, from where the process before stopped. */
export class EnrollmentWorker {
  #running: Promise<void> | null = null;
  #again = false;
  #closed = false;
  #retry: Timer | null = null;
  #sweep: Timer | null = null;

  constructor(
    private readonly ctx: Context,
    private readonly onerror: (error: unknown) => void,
  ) {
    requireSystem(ctx.actor);
    workers.set(ctx.db, this);
    this.wake();
    this.#sweepUp();
  }

  wake(): void {
    if (this.#closed) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#retry?.cancel();
    this.#running = this.#work()
      .catch((error: unknown) => {
        if (this.#closed) return;
        this.onerror(error);
        this.#retry = this.ctx.clock.after(RETRY_MS, () => this.wake());
      })
      .finally(() => {
        this.#running = null;
        if (this.#again) {
          this.#again = false;
          this.wake();
        }
      });
  }

  /** Stops after the chunk that is under way; what is left is the next process's. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    this.#sweep?.cancel();
    await this.#running;
  }

  async #work(): Promise<void> {
    while (!this.#closed) {
      const job = await this.ctx.db.enrollmentJob.findFirst({
        where: { status: { not: "completed" } },
        orderBy: { id: "asc" },
      });
      if (!job) return;
      await this.#goThrough(job);
    }
  }

  async #goThrough(job: {
    id: string;
    accountId: string;
    kind: string;
    input: Uint8Array;
    processed: number;
    errors: number;
    fullReport: Uint8Array | null;
    errorsReport: Uint8Array | null;
  }): Promise<void> {
    const kind = job.kind === "delete" ? "delete" : "upload";
    const entries = readIdentities(Buffer.from(job.input).toString("utf8"));
    let { processed, errors } = job;
    let full = Buffer.from(job.fullReport ?? fullReport.header(kind));
    let failed = Buffer.from(job.errorsReport ?? errorsReport.header());
    do {
      const chunk = entries.slice(processed, processed + CHUNK);
      await transaction(this.ctx, async (tx, tell) => {
        const at = this.ctx.clock.now();
        const change = { accountId: job.accountId, actor: "system", at };
        const identities = [...new Map(chunk.filter(({ valid }) => valid).map(byFingerprint)).values()];
        const done =
          kind === "upload"
            ? await enroll(tx, tell, change, identities)
            : await unenroll(tx, tell, change, identities.map(fingerprintOf));
        const outcomes = chunk.map((entry) => outcome(kind, entry, done, new Date(at)));
        processed += chunk.length;
        errors += outcomes.filter(({ error }) => error).length;
        full = Buffer.concat([full, Buffer.from(outcomes.map(fullReport.line).join(""))]);
        failed = Buffer.concat([failed, Buffer.from(outcomes.map(errorsReport.line).join(""))]);
        const over = processed >= entries.length;
        await tx.enrollmentJob.updateMany({
          where: { id: job.id },
          data: {
            processed,
            errors,
            fullReport: full,
            errorsReport: failed,
            status: over ? "completed" : "processing",
            ...(over && { completedAt: new Date(at), input: new Uint8Array() }),
          },
        });
      });
    } while (processed < entries.length && !this.#closed);
  }

  /** Deletes what nobody came for in time, and old reports. */
  #sweepUp(): void {
    const { db, clock } = this.ctx;
    const at = clock.now();
    Promise.all([
      db.enrollment.deleteMany({ where: { claimedAt: null, expiresAt: { lte: new Date(at) } } }),
      db.enrollmentJob.deleteMany({ where: { completedAt: { lt: new Date(at - KEPT_MS) } } }),
    ])
      .catch((error: unknown) => {
        if (!this.#closed) this.onerror(error);
      })
      .finally(() => {
        if (!this.#closed) this.#sweep = clock.after(SWEEP_MS, () => this.#sweepUp());
      });
  }
}

const byFingerprint = ({ text }: ListEntry) => [fingerprintOf(text), text] as const;

/** What became of an entry; `done` loses what it was about, so that a second one like it is told apart. */
function outcome(
  kind: "upload" | "delete",
  { text, valid }: ListEntry,
  done: Set<string>,
  at: Date,
): ListOutcome {
  if (!valid) {
    const message = `The enrollment identity ${NO_IDENTITY}.`;
    return {
      identity: text.slice(0, 200),
      at: null,
      error: { code: 400, type: "validation_error", message },
    };
  }
  if (done.delete(fingerprintOf(text))) return { identity: text, at, error: null };
  const error =
    kind === "upload"
      ? { code: 409, type: "duplicate", message: "The enrollment identity is claimed already." }
      : { code: 404, type: "not_found", message: "The enrollment identity is not on this account's list." };
  return { identity: text, at: null, error };
}
