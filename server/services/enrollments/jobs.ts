import { z } from "zod";
import { auditChange } from "../audit/record";
import { type Context, memberAccount } from "../context";
import { notFound, ServiceError } from "../errors";
import { newId } from "../ids";
import { transaction } from "../transaction";
import { idField, validate } from "../validate";
import { foreignSeparator, readIdentities } from "./csv";
import { wakeEnrollmentWorker } from "./worker";

/** A list of enrollment identities that is taken in or deleted. */
export interface EnrollmentJobView {
  id: string;
  accountId: string;
  kind: EnrollmentJobKind;
  status: "new" | "processing" | "completed";
  total: number;
  processed: number;
  errors: number;
  createdAt: Date;
  completedAt: Date | null;
}

const kind = z.enum(["upload", "delete"]);
export type EnrollmentJobKind = z.infer<typeof kind>;

/** Bytes of one list. */
export const MAX_LIST_BYTES = 10_000_000;
/** Lines of one list: more than identities go into so many bytes, but not so many that each line becomes a long row of a report. */
const MAX_LIST_LINES = 200_000;
/** Lists of an account that wait. */
const OPEN_JOBS = 20;
/** Lists that a person is shown. */
const LISTED_JOBS = 20;

const select = {
  id: true,
  accountId: true,
  kind: true,
  status: true,
  total: true,
  processed: true,
  errors: true,
  createdAt: true,
  completedAt: true,
} as const;

const view = ({
  kind,
  status,
  ...row
}: Omit<EnrollmentJobView, "kind" | "status"> & { kind: string; status: string }): EnrollmentJobView => ({
  ...row,
  kind: kind === "delete" ? "delete" : "upload",
  status: status === "completed" || status === "processing" ? status : "new",
});

export const createEnrollmentJobInput = z.object({
  kind,
  list: z
    .custom<Uint8Array>((value) => value instanceof Uint8Array)
    .refine((bytes) => bytes.length <= MAX_LIST_BYTES, "is longer than 10 MB"),
});

/** Takes a list of enrollment identities (CSV); the worker of the portal goes through it. */
export async function createEnrollmentJob(
  ctx: Context,
  input: z.input<typeof createEnrollmentJobInput>,
): Promise<EnrollmentJobView> {
  const accountId = memberAccount(ctx.actor);
  const { kind, list } = validate(createEnrollmentJobInput, input);
  if (linesOf(list) > MAX_LIST_LINES) throw invalid(`has more than ${MAX_LIST_LINES} lines`);
  const csv = utf8(list);
  const separator = foreignSeparator(csv);
  if (separator) throw invalid(separator);
  const total = readIdentities(csv).length;
  if (total === 0) throw invalid("holds no enrollment identities");
  const at = ctx.clock.now();
  const id = newId(at);
  const row = await transaction(ctx, async (tx) => {
    const row = await tx.enrollmentJob.create({
      data: {
        id,
        accountId,
        kind,
        total,
        createdAt: new Date(at),
        input: { create: { content: Uint8Array.from(list) } },
      },
      select,
    });
    if ((await tx.enrollmentJob.count({ where: { accountId, status: { not: "completed" } } })) > OPEN_JOBS)
      throw new ServiceError(
        "limit_exceeded",
        `${OPEN_JOBS} lists of this account are being gone through. Wait until one of them is done.`,
      );
    await auditChange(ctx, tx, {
      action: kind === "upload" ? "enrollments.uploaded" : "enrollments.deleted",
      objectType: "enrollment-list",
      objectId: id,
      before: null,
      after: { identities: total },
    });
    return row;
  });
  wakeEnrollmentWorker(ctx);
  return view(row);
}

const jobInput = z.object({ id: idField, kind });

/** How far a list is gone through. */
export async function findEnrollmentJob(
  ctx: Context,
  input: z.input<typeof jobInput>,
): Promise<EnrollmentJobView> {
  const accountId = memberAccount(ctx.actor);
  const { id, kind } = validate(jobInput, input);
  const row = await ctx.db.enrollmentJob.findFirst({ where: { id, accountId, kind }, select });
  if (!row) throw notFound("List of enrollment identities");
  return view(row);
}

/** The lists that the account gave last, the newest first. */
export async function listEnrollmentJobs(ctx: Context): Promise<EnrollmentJobView[]> {
  const accountId = memberAccount(ctx.actor);
  const rows = await ctx.db.enrollmentJob.findMany({
    where: { accountId },
    orderBy: { id: "desc" },
    take: LISTED_JOBS,
    select,
  });
  return rows.map(view);
}

/** A report on a list, CSV; null until the list is gone through. */
export async function getEnrollmentReport(
  ctx: Context,
  input: z.input<typeof jobInput> & { report: "full" | "errors" },
): Promise<Uint8Array | null> {
  const accountId = memberAccount(ctx.actor);
  const { id, kind } = validate(jobInput, input);
  const full = input.report === "full";
  const row = await ctx.db.enrollmentJob.findFirst({
    where: { id, accountId, kind },
    select: { status: true, fullReport: full, errorsReport: !full },
  });
  if (!row) throw notFound("List of enrollment identities");
  return row.status === "completed" ? ((full ? row.fullReport : row.errorsReport) ?? null) : null;
}

function linesOf(list: Uint8Array): number {
  let lines = 0;
  let before = 0;
  for (const byte of list) {
    // A line ends with either, or with both.
    if (byte === 0x0d || (byte === 0x0a && before !== 0x0d)) lines++;
    before = byte;
  }
  return lines;
}

/** The text of a list; says so when it is none. */
function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalid("is not UTF-8");
  }
}

const invalid = (message: string) =>
  new ServiceError("validation_error", `enrollmentIdentities: ${message}`, [
    { name: "enrollmentIdentities", message },
  ]);
