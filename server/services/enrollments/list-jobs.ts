import { type Context, memberAccount } from "../context";
import type { EnrollmentJobKind, EnrollmentJobView } from "./jobs";

/** The lists of enrollment identities that the account gave last, the newest first. */
export async function listEnrollmentJobs(
  ctx: Context,
): Promise<(EnrollmentJobView & { kind: EnrollmentJobKind })[]> {
  const accountId = memberAccount(ctx.actor);
  const rows = await ctx.db.enrollmentJob.findMany({
    where: { accountId },
    orderBy: { id: "desc" },
    take: 20,
    select: {
      id: true,
      accountId: true,
      kind: true,
      status: true,
      total: true,
      processed: true,
      errors: true,
      createdAt: true,
      completedAt: true,
    },
  });
  return rows.map(({ kind, status, ...row }) => ({
    ...row,
    kind: kind === "delete" ? "delete" : "upload",
    status: status === "completed" || status === "processing" ? status : "new",
  }));
}
