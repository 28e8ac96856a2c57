import { Prisma } from "@/server/db";
import type { Context } from "../context";
import { deleteOlder } from "../prune";

/** How long the audit log is kept. */
export const AUDIT_DAYS = 365;

/** Deletes what is older than AUDIT_DAYS from the audit log; returns how much. */
export const pruneAuditLog = (ctx: Context): Promise<number> =>
  deleteOlder(ctx, Prisma.sql`"AuditEntry"`, AUDIT_DAYS);
