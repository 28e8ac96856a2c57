import type { Statement } from "../../db";
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
