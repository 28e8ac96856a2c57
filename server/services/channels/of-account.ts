import { z } from "zod";
import { Prisma } from "@/server/db";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { type OwnerName, ownerNames } from "../owners/names";
import { idField, validate } from "../validate";

/** A notification channel as the people of the account see it. */
export interface AccountChannel {
  ownerId: string;
  owner: OwnerName | null;
  kind: "CALLBACK" | "LONG_POLLING" | "WEB_SOCKET";
  /** Of a callback. */
  url: string | null;
  queue: { items: number; bytes: number; oldestAt: Date | null };
  /** Notifications that were deleted because the queue was full or they were too old. */
  dropped: number;
  /** When the application last took something, polled, or was connected. */
  activeAt: Date;
  /** Of a callback: since when every try fails, and when the next is due. */
  failingSince: Date | null;
  nextTryAt: Date | null;
  createdAt: Date;
  /** Resources that were asked for by themselves, and rules for devices that register. */
  subscriptions: number;
  presubscriptions: number;
}

/** Every channel of the account, the oldest first. */
export async function listAccountChannels(ctx: Context): Promise<AccountChannel[]> {
  const accountId = memberAccount(ctx.actor);
  const rows = await ctx.db.notificationChannel.findMany({
    where: { accountId },
    orderBy: [{ createdAt: "asc" }, { ownerId: "asc" }],
    select: {
      ownerId: true,
      kind: true,
      url: true,
      dropped: true,
      activeAt: true,
      failingSince: true,
      nextTryAt: true,
      createdAt: true,
    },
  });
  if (rows.length === 0) return [];
  const ids = rows.map(({ ownerId }) => ownerId);
  const [owners, queues, subscriptions, presubscriptions] = await Promise.all([
    ownerNames(ctx),
    ctx.db.$queryRaw<{ ownerId: string; items: bigint; bytes: bigint; oldest: bigint }[]>(
      Prisma.sql`SELECT "ownerId", COUNT(*) AS "items", SUM("size") AS "bytes", MIN("at") AS "oldest"
        FROM "Notification" WHERE "ownerId" IN (${Prisma.join(ids)}) GROUP BY "ownerId"`,
    ),
    ctx.db.subscription.groupBy({ by: ["ownerId"], where: { ownerId: { in: ids } }, _count: true }),
    ctx.db.presubscription.groupBy({
      by: ["ownerId"],
      where: { ownerId: { in: ids }, accountId },
      _count: true,
    }),
  ]);
  const queueOf = new Map(queues.map((queue) => [queue.ownerId, queue]));
  const countOf = (counts: { ownerId: string; _count: number }[]) =>
    new Map(counts.map(({ ownerId, _count }) => [ownerId, _count]));
  const explicit = countOf(subscriptions);
  const general = countOf(presubscriptions);
  return rows.map(({ kind, ...row }) => {
    const queue = queueOf.get(row.ownerId);
    return {
      ...row,
      kind: kind as AccountChannel["kind"],
      owner: owners.get(row.ownerId) ?? null,
      queue: {
        items: Number(queue?.items ?? 0),
        bytes: Number(queue?.bytes ?? 0),
        oldestAt: queue ? new Date(Number(queue.oldest)) : null,
      },
      subscriptions: explicit.get(row.ownerId) ?? 0,
      presubscriptions: general.get(row.ownerId) ?? 0,
    };
  });
}

export const listDeliveriesInput = z.object({
  ownerId: idField,
  limit: z.int().min(1).max(200).default(50),
});

/** A try to deliver to a callback. */
export interface DeliveryView {
  id: string;
  at: Date;
  /** HTTP status; null when there was no answer. */
  status: number | null;
  durationMs: number;
  items: number;
  /** Why it did not work, in words; empty when it did. */
  error: string;
}

/** The last tries to deliver to a callback of the account, the newest first. */
export async function listDeliveries(
  ctx: Context,
  input: z.input<typeof listDeliveriesInput>,
): Promise<DeliveryView[]> {
  const accountId = memberAccount(ctx.actor);
  const { ownerId, limit } = validate(listDeliveriesInput, input);
  const channel = await ctx.db.notificationChannel.findFirst({
    where: { ownerId, accountId },
    select: { ownerId: true },
  });
  if (!channel) throw notFound("Notification channel");
  return ctx.db.callbackDelivery.findMany({
    where: { ownerId },
    orderBy: { id: "desc" },
    take: limit,
    select: { id: true, at: true, status: true, durationMs: true, items: true, error: true },
  });
}
