import { Prisma } from "@/server/db";
import type { Context } from "../context";
import { deleteOlder } from "../prune";

/** How long what happened is kept. */
export const EVENT_DAYS = 90;

/** Deletes events that are older than EVENT_DAYS; returns how many. */
export const pruneEvents = (ctx: Context): Promise<number> =>
  deleteOlder(ctx, Prisma.sql`"DeviceEvent"`, EVENT_DAYS);
