import type { Timer } from "@/server/clock";
import type { PrismaClient } from "@/server/db";
import { type Context, requireSystem } from "../context";
import { transaction } from "../transaction";
import { enroll, unenroll } from "./claim";
import { errorsReport, fullReport, type ListEntry, type ListOutcome, readIdentities } from "./csv";
import { fingerprintOf, NO_IDENTITY } from "./identity";

/** Identities that are taken in or deleted in one transaction. */
const CHUNK = 1000;
/** What could not be written is tried again. */
const RETRY_MS = 5_000;
const SWEEP_MS = 3_600_000;
/** How long the reports on a list are kept. */
const KEPT_MS = 30 * 86_400_000;
/** Characters of an entry that is no identity, in a report. */
const MAX_TEXT = 200;

interface Job {
  id: string;
  accountId: string;
  kind: string;
  input: { content: Uint8Array } | null;
  processed: number;
  /** Until it is completed, what became of the entries so far. */
  fullReport: Uint8Array | null;
}

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
        include: { input: true },
      });
      if (!job) return;
      await this.#goThrough(job);
    }
  }

  async #goThrough(job: Job): Promise<void> {
    const kind = job.kind === "delete" ? "delete" : "upload";
    const entries = readIdentities(Buffer.from(job.input?.content ?? []).toString("utf8"));
    let { processed } = job;
    let outcomes = Buffer.from(job.fullReport ?? new Uint8Array()).toString("utf8");
    while (processed < entries.length) {
      if (this.#closed) return;
      const chunk = entries.slice(processed, processed + CHUNK);
      await transaction(this.ctx, async (tx, tell) => {
        const at = this.ctx.clock.now();
        const change = { accountId: job.accountId, actor: "system", at };
        const identities = [...new Map(chunk.filter(({ valid }) => valid).map(byFingerprint)).values()];
        const done =
          kind === "upload"
            ? await enroll(tx, tell, change, identities)
            : await unenroll(tx, tell, change, identities.map(fingerprintOf));
        const letters = chunk.map((entry) => letter(entry, done)).join("");
        outcomes += `${at} ${letters}\n`;
        processed += chunk.length;
        await tx.enrollmentJob.updateMany({
          where: { id: job.id },
          data: {
            status: "processing",
            processed,
            errors: { increment: letters.replaceAll(DONE, "").length },
            fullReport: Buffer.from(outcomes),
          },
        });
      });
    }
    const reports = await writeReports(kind, entries, outcomes);
    const completedAt = new Date(this.ctx.clock.now());
    await this.ctx.db.$transaction([
      this.ctx.db.enrollmentInput.deleteMany({ where: { jobId: job.id } }),
      this.ctx.db.enrollmentJob.updateMany({
        where: { id: job.id },
        data: { ...reports, status: "completed", completedAt },
      }),
    ]);
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

/** What became of an entry, as it is kept until the reports are written: with the time of its chunk before it. */
const DONE = "d";
const REFUSED = "r";
const INVALID = "i";

/** `done` loses what the entry is about, so that a second one like it is told apart. */
const letter = ({ text, valid }: ListEntry, done: Set<string>): string =>
  !valid ? INVALID : done.delete(fingerprintOf(text)) ? DONE : REFUSED;

const INVALID_ERROR = {
  code: 400,
  type: "validation_error",
  message: `The enrollment identity ${NO_IDENTITY}.`,
};
const REFUSED_ERROR = {
  upload: { code: 409, type: "duplicate", message: "The enrollment identity is claimed already." },
  delete: {
    code: 404,
    type: "not_found",
    message: "The enrollment identity is not on this account's list.",
  },
};

async function writeReports(kind: "upload" | "delete", entries: readonly ListEntry[], outcomes: string) {
  const full = [fullReport.header(kind)];
  const errors = [errorsReport.header()];
  let index = 0;
  for (const line of outcomes.trimEnd().split("\n")) {
    const [at, letters = ""] = line.split(" ");
    for (const one of letters) {
      const { text = "" } = entries[index++] ?? {};
      const outcome: ListOutcome = {
        identity: text.slice(0, MAX_TEXT),
        at: one === DONE ? new Date(Number(at)) : null,
        error: one === DONE ? null : one === INVALID ? INVALID_ERROR : REFUSED_ERROR[kind],
      };
      full.push(fullReport.line(outcome));
      errors.push(errorsReport.line(outcome));
    }
    // Others want to be served in between.
    await new Promise(setImmediate);
  }
  return { fullReport: Buffer.from(full.join("")), errorsReport: Buffer.from(errors.join("")) };
}
