import { type Context, requireSystem } from "../context";

/** How long what happened is kept. */
export const EVENT_DAYS = 90;

const DAY_MS = 86_400_000;
/** Few enough rows that registrations do not wait for their deletion. */
const CHUNK = 2000;

/** Deletes events that are older than EVENT_DAYS; returns how many. */
export async function pruneEvents(ctx: Context): Promise<number> {
  requireSystem(ctx.actor);
  // Ids begin with the time they were made at (server/services/ids.ts), so the oldest are the first of the key.
  const before = Math.max(0, ctx.clock.now() - EVENT_DAYS * DAY_MS)
    .toString(16)
    .padStart(12, "0");
  for (let deleted = 0; ; ) {
    const count = await ctx.db.$executeRaw`DELETE FROM "DeviceEvent" WHERE "id" IN
      (SELECT "id" FROM "DeviceEvent" WHERE "id" < ${before} ORDER BY "id" LIMIT ${CHUNK})`;
    deleted += count;
    if (count < CHUNK) return deleted;
  }
}
