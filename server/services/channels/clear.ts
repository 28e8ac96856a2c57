import type { Transaction } from "@/server/db";

/**
 * Deletes all that an owner has: channel, queue, subscriptions, pre-subscriptions and requests. For an application that
 * was made inactive, and for owners that are deleted; `announceOwner` is to be called after the commit.
 */
export async function clearOwner(tx: Transaction, ownerId: string): Promise<void> {
  const where = { ownerId };
  await tx.notificationChannel.deleteMany({ where });
  await tx.notification.deleteMany({ where });
  await tx.callbackDelivery.deleteMany({ where });
  await tx.subscription.deleteMany({ where });
  await tx.pendingSubscription.deleteMany({ where });
  await tx.presubscription.deleteMany({ where });
  await tx.deviceRequest.deleteMany({ where });
}
