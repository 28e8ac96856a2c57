import type { Statement } from "../../db";

export interface SubscriptionRow {
  ownerId: string;
  deviceId: string;
  path: string;
  at: number;
}

/** An application that waits for the first value, or for why there is none. */
export interface PendingRow {
  asyncId: string;
  ownerId: string;
  accountId: string;
  deviceId: string;
  path: string;
  actor: string;
  at: number;
}

export const putPending: Statement<PendingRow> = {
  name: "subscription.pending",
  order: 64,
  sql: `INSERT INTO "PendingSubscription" ("asyncId", "ownerId", "accountId", "deviceId", "path", "actor", "createdAt")
    VALUES (@asyncId, @ownerId, @accountId, @deviceId, @path, @actor, @at) ON CONFLICT DO NOTHING`,
};

/** It was answered. */
export const removePending: Statement<Pick<PendingRow, "asyncId">> = {
  name: "subscription.answered",
  order: 65,
  sql: `DELETE FROM "PendingSubscription" WHERE "asyncId" = @asyncId`,
};

export const removeSubscription: Statement<Omit<SubscriptionRow, "at">> = {
  name: "subscription.remove",
  order: 63,
  sql: `DELETE FROM "Subscription" WHERE "ownerId" = @ownerId AND "deviceId" = @deviceId AND "path" = @path`,
};

/** A device that is gone takes none. */
export const putSubscription: Statement<SubscriptionRow> = {
  name: "subscription.put",
  order: 64,
  sql: `INSERT INTO "Subscription" ("ownerId", "deviceId", "path", "createdAt")
    SELECT @ownerId, @deviceId, @path, @at
    WHERE EXISTS (SELECT 1 FROM "Registration" WHERE "deviceId" = @deviceId)
    ON CONFLICT DO NOTHING`,
};
