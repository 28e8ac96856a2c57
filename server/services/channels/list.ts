import { z } from "zod";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { type OwnerName, ownerNames } from "../owners/names";
import { idField, validate } from "../validate";
import { type ChannelView, channelSelect, channelView } from "./types";

/** A channel as the people of its account see it: no headers, no key. */
export interface ListedChannel extends ChannelView {
  owner: OwnerName;
  /** What waits to be taken. */
  queued: { items: number; bytes: number };
}

/** The notification channels of the account, by the names of their owners. */
export async function listChannels(ctx: Context): Promise<ListedChannel[]> {
  const accountId = memberAccount(ctx.actor);
  const [rows, names] = await Promise.all([
    ctx.db.notificationChannel.findMany({ where: { accountId }, select: channelSelect }),
    ownerNames(ctx),
  ]);
  const queues = await ctx.db.notification.groupBy({
    by: ["ownerId"],
    where: { ownerId: { in: rows.map(({ ownerId }) => ownerId) } },
    _count: { _all: true },
    _sum: { size: true },
  });
  const queued = new Map(
    queues.map(({ ownerId, _count, _sum }) => [ownerId, { items: _count._all, bytes: _sum.size ?? 0 }]),
  );
  return rows
    .flatMap((row) => {
      const owner = names.get(row.ownerId);
      return owner
        ? [{ ...channelView(row), owner, queued: queued.get(row.ownerId) ?? { items: 0, bytes: 0 } }]
        : [];
    })
    .sort((a, b) => a.owner.name.localeCompare(b.owner.name));
}

/** Tries to deliver to a callback that are remembered. */
export const DELIVERIES_KEPT = 100;

/** A try to deliver to a callback; `error` is empty when it worked. */
export interface DeliveryView {
  id: string;
  at: Date;
  /** HTTP status; null when there was no answer. */
  status: number | null;
  durationMs: number;
  items: number;
  error: string;
}

export const listDeliveriesInput = z.object({ ownerId: idField });

/** The newest tries to deliver to a callback of the account, the last one first. */
export async function listDeliveries(
  ctx: Context,
  input: z.input<typeof listDeliveriesInput>,
): Promise<DeliveryView[]> {
  const accountId = memberAccount(ctx.actor);
  const { ownerId } = validate(listDeliveriesInput, input);
  if ((await ctx.db.notificationChannel.count({ where: { ownerId, accountId } })) === 0)
    throw notFound("Notification channel");
  return ctx.db.callbackDelivery.findMany({
    where: { ownerId },
    orderBy: { id: "desc" },
    take: DELIVERIES_KEPT,
    select: { id: true, at: true, status: true, durationMs: true, items: true, error: true },
  });
}
