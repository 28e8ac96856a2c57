import type { Statement } from "../../db";

export interface SubscriptionRow {
  ownerId: string;
  deviceId: string;
  path: string;
  at: number;
}

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
