import { type Context, requireSystem } from "../context";

/** How long the audit log is kept. */
export const AUDIT_DAYS = 365;

const DAY_MS = 86_400_000;
/** Few enough rows that registrations do not wait for their deletion. */
const CHUNK = 2000;

/** Deletes what is older than AUDIT_DAYS from the audit log; returns how much. */
export async function pruneAuditLog(ctx: Context): Promise<number> {
  requireSystem(ctx.actor);
  // Ids begin with the time they were made at (server/services/ids.ts), so the oldest are the first of the key.
  const before = Math.max(0, ctx.clock.now() - AUDIT_DAYS * DAY_MS)
    .toString(16)
    .padStart(12, "0");
  for (let deleted = 0; ; ) {
    const count = await ctx.db.$executeRaw`DELETE FROM "AuditEntry" WHERE "id" IN
      (SELECT "id" FROM "AuditEntry" WHERE "id" < ${before} ORDER BY "id" LIMIT ${CHUNK})`;
    deleted += count;
    if (count < CHUNK) return deleted;
  }
}
