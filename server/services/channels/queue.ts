import { type Columns, columnList, Prisma, rowsOf, type Statement } from "@/server/db";
import { type Context, ownerOf, requireSystem } from "../context";
import type { NotificationKind } from "../notifications/types";
import type { DeliveryView } from "./of-account";

/** Tries to deliver to a callback that are remembered. */
const DELIVERIES_KEPT = 100;

/** What waits for an owner. */
export interface QueuedRow {
  seq: number;
  kind: NotificationKind;
  /** JSON, see NotificationBodies. */
  body: string;
}

const queued = { seq: "integer", kind: "text", body: "text" } as const satisfies Columns;

/** The next rows of a queue, in the order in which they are delivered. */
export async function readQueue(
  ctx: Context,
  { ownerId, after, limit }: { ownerId: string; after: number; limit: number },
): Promise<QueuedRow[]> {
  requireSystem(ctx.actor);
  const rows = await rowsOf(ctx.db)(
    queued,
    Prisma.sql`SELECT ${columnList(queued)} FROM "Notification"
      WHERE "ownerId" = ${ownerId} AND "seq" > ${after} ORDER BY "seq" LIMIT ${limit}`,
  );
  return rows as QueuedRow[];
}

/** Owners that got something since a row, and the newest row of all. */
export async function findQueued(
  ctx: Context,
  { after }: { after: number },
): Promise<{ owners: string[]; last: number }> {
  requireSystem(ctx.actor);
  const rows = await rowsOf(ctx.db)(
    { ownerId: "text", last: "integer" },
    Prisma.sql`SELECT "ownerId", MAX("seq") FROM "Notification" WHERE "seq" > ${after} GROUP BY "ownerId"`,
  );
  return {
    owners: rows.map(({ ownerId }) => ownerId),
    last: rows.reduce((last, row) => Math.max(last, row.last), after),
  };
}

/** The newest row of all queues; 0 when they are empty. */
export async function lastQueued(ctx: Context): Promise<number> {
  requireSystem(ctx.actor);
  const { _max } = await ctx.db.notification.aggregate({ _max: { seq: true } });
  return _max.seq ?? 0;
}

/** How many entries wait for the actor behind a row. */
export async function countQueued(ctx: Context, { after }: { after: number }): Promise<number> {
  const { ownerId } = ownerOf(ctx.actor);
  return ctx.db.notification.count({ where: { ownerId, seq: { gt: after } } });
}

/** What was taken is deleted; several of one owner and commit are one. */
export const takenStatement: Statement<{ ownerId: string; seq: number }> = {
  name: "notification.taken",
  order: 80,
  sql: `DELETE FROM "Notification" WHERE "ownerId" = @ownerId AND "seq" <= @seq`,
  key: ({ ownerId }) => ownerId,
};

/** An application took something, polled, or was connected; `at` in ms. */
export const activeStatement: Statement<{ ownerId: string; at: number }> = {
  name: "channel.active",
  order: 81,
  sql: `UPDATE "NotificationChannel" SET "activeAt" = @at WHERE "ownerId" = @ownerId AND "activeAt" < @at`,
  key: ({ ownerId }) => ownerId,
};

/** How the callback of an owner goes; times in ms, null when all is well. */
export const callbackStatement: Statement<{
  ownerId: string;
  failingSince: number | null;
  nextTryAt: number | null;
  tries: number;
}> = {
  name: "channel.callback",
  order: 82,
  sql: `UPDATE "NotificationChannel" SET "failingSince" = @failingSince, "nextTryAt" = @nextTryAt, "tries" = @tries
    WHERE "ownerId" = @ownerId AND "kind" = 'CALLBACK'`,
  key: ({ ownerId }) => ownerId,
};

/** Writes down a try to deliver. */
export const deliveryStatement: Statement<Omit<DeliveryView, "at"> & { ownerId: string; at: number }> = {
  name: "delivery",
  order: 83,
  sql: `INSERT INTO "CallbackDelivery" ("id", "ownerId", "at", "status", "durationMs", "items", "error")
    SELECT @id, @ownerId, @at, @status, @durationMs, @items, @error
    WHERE EXISTS (SELECT 1 FROM "NotificationChannel" WHERE "ownerId" = @ownerId)`,
};

/** Only the newest tries are kept. */
export const pruneDeliveriesStatement: Statement<{ ownerId: string }> = {
  name: "delivery.prune",
  order: 84,
  sql: `DELETE FROM "CallbackDelivery" WHERE "ownerId" = @ownerId AND "id" <= (
    SELECT "id" FROM "CallbackDelivery" WHERE "ownerId" = @ownerId ORDER BY "id" DESC LIMIT 1 OFFSET ${DELIVERIES_KEPT})`,
  key: ({ ownerId }) => ownerId,
};
