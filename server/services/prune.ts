import type { Prisma } from "@/server/db";
import { type Context, requireSystem } from "./context";

const DAY_MS = 86_400_000;
/** Few enough rows that registrations do not wait for their deletion. */
const CHUNK = 2000;

/** Deletes the rows of a table that were made longer ago than this; returns how many. */
export async function deleteOlder(ctx: Context, table: Prisma.Sql, days: number): Promise<number> {
  requireSystem(ctx.actor);
  // Ids begin with the time they were made at (server/services/ids.ts), so the oldest are the first of the key.
  const before = Math.max(0, ctx.clock.now() - days * DAY_MS)
    .toString(16)
    .padStart(12, "0");
  for (let deleted = 0; ; ) {
    const count = await ctx.db.$executeRaw`DELETE FROM ${table} WHERE "id" IN
      (SELECT "id" FROM ${table} WHERE "id" < ${before} ORDER BY "id" LIMIT ${CHUNK})`;
    deleted += count;
    if (count < CHUNK) return deleted;
  }
}
