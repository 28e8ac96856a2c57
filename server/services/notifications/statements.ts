import type { Entry, Statement } from "../../db";
import type { NotificationBodies, NotificationKind } from "./types";

export interface NotificationRow {
  ownerId: string;
  kind: NotificationKind;
  /** JSON, see NotificationBodies. */
  body: string;
  /** Bytes of `body`. */
  size: number;
  /** Milliseconds since 1970. */
  at: number;
}

/** Appends to the queue of an owner. */
export const putNotification: Statement<NotificationRow> = {
  name: "notification.put",
  order: 70,
  sql: `INSERT INTO "Notification" ("ownerId", "kind", "body", "size", "at") VALUES (@ownerId, @kind, @body, @size, @at)`,
};

/** A row for the queue of an owner. */
export function notificationRow<K extends NotificationKind>(
  ownerId: string,
  kind: K,
  entry: NotificationBodies[K],
  at: number,
): NotificationRow {
  const body = JSON.stringify(entry);
  return { ownerId, kind, body, size: Buffer.byteLength(body), at };
}

export interface DroppedRow {
  ownerId: string;
  /** The last row that goes. */
  seq: number;
}

const DROPPED = `"ownerId" = @ownerId AND "seq" <= @seq`;

/** Rows that nobody took in time: they are counted on the channel, where there is one… */
const countDropped: Statement<DroppedRow> = {
  name: "notification.count-dropped",
  order: 71,
  sql: `UPDATE "NotificationChannel"
    SET "dropped" = "dropped" + (SELECT count(*) FROM "Notification" WHERE ${DROPPED})
    WHERE "ownerId" = @ownerId`,
};

/** …and deleted. */
const removeDropped: Statement<DroppedRow> = {
  name: "notification.remove-dropped",
  order: 72,
  sql: `DELETE FROM "Notification" WHERE ${DROPPED}`,
};

/** Drops the oldest rows of a queue; to be written together. */
export const dropNotifications = (row: DroppedRow): Entry[] => [
  [countDropped, row],
  [removeDropped, row],
];
