import { z } from "zod";
import type { Transaction } from "@/server/db";
import { auditChange } from "../audit/record";
import { type Context, memberAccount, ownerOf, requireSystem } from "../context";
import { notFound } from "../errors";
import { transaction } from "../transaction";
import { idField, validate } from "../validate";
import { announceOwner, type Owner } from "./announce";
import { type ChannelKind, channelFacts, channelSelect, channelView } from "./types";

/** Deletes the channel of the actor and what waits in it; false when there is none of this kind. Subscriptions stay. */
export async function removeChannel(ctx: Context, kind: ChannelKind): Promise<boolean> {
  const owner = ownerOf(ctx.actor);
  return remove(ctx, owner, (tx) => find(tx, { ...owner, kind }));
}

export const removeAccountChannelInput = z.object({ ownerId: idField });

/** Deletes the channel of an application or key of the account, whatever its kind. */
export async function removeAccountChannel(
  ctx: Context,
  input: z.input<typeof removeAccountChannelInput>,
): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const owner = { accountId, ...validate(removeAccountChannelInput, input) };
  if (!(await remove(ctx, owner, (tx) => find(tx, owner)))) throw notFound("Notification channel");
}

/** Owners whose channel of a kind nobody used since then. */
export async function listInactive(
  ctx: Context,
  { kind, since }: { kind: ChannelKind; since: Date },
): Promise<Owner[]> {
  requireSystem(ctx.actor);
  return ctx.db.notificationChannel.findMany({
    where: { kind, activeAt: { lte: since } },
    select: { accountId: true, ownerId: true },
  });
}

/** Deletes a channel that nobody used since then, unless that just changed. */
export async function expireChannel(
  ctx: Context,
  owner: Owner,
  because: { kind: ChannelKind; inactiveSince: Date } | { failingSince: Date },
): Promise<boolean> {
  requireSystem(ctx.actor);
  const still =
    "kind" in because
      ? { kind: because.kind, activeAt: { lte: because.inactiveSince } }
      : { kind: "CALLBACK", failingSince: { lte: because.failingSince } };
  return remove(ctx, owner, (tx) => find(tx, { ...owner, ...still }));
}

type Where = NonNullable<
  NonNullable<Parameters<Transaction["notificationChannel"]["findFirst"]>[0]>["where"]
>;

const find = (tx: Transaction, where: Where) =>
  tx.notificationChannel.findFirst({ where, select: channelSelect });

async function remove(
  ctx: Context,
  owner: Owner,
  select: (tx: Transaction) => ReturnType<typeof find>,
): Promise<boolean> {
  const removed = await transaction(ctx, async (tx) => {
    const before = await select(tx);
    if (!before) return false;
    const where = { ownerId: owner.ownerId };
    await tx.notificationChannel.deleteMany({ where });
    await tx.notification.deleteMany({ where });
    await tx.callbackDelivery.deleteMany({ where });
    await auditChange(ctx, tx, {
      accountId: owner.accountId,
      action: "notification-channel.deleted",
      objectType: "notification-channel",
      objectId: owner.ownerId,
      before: channelFacts(channelView(before)),
      after: null,
    });
    return true;
  });
  if (removed) await announceOwner(ctx, owner);
  return removed;
}
