import type { Statement } from "../../db";

/** A request to a device as it is written; times in milliseconds since 1970. */
export interface RequestRow {
  id: string;
  accountId: string;
  deviceId: string;
  ownerId: string;
  asyncId: string;
  actor: string;
  method: string;
  uri: string;
  accept: string | null;
  contentType: string | null;
  payload: Uint8Array;
  retriesLeft: number;
  sent: boolean;
  createdAt: number;
  expiresAt: number;
}

const DEVICE = `EXISTS (SELECT 1 FROM "Device" WHERE "id" = @deviceId)`;

/** Takes a request; it is there until it has an end, whatever becomes of its device. */
export const putRequest: Statement<RequestRow> = {
  name: "request.put",
  order: 63,
  sql: `INSERT INTO "DeviceRequest" ("id", "accountId", "deviceId", "ownerId", "asyncId", "actor", "method", "uri", "accept",
      "contentType", "payload", "retriesLeft", "sent", "createdAt", "expiresAt")
    VALUES (@id, @accountId, @deviceId, @ownerId, @asyncId, @actor, @method, @uri, @accept,
      @contentType, @payload, @retriesLeft, @sent, @createdAt, @expiresAt)`,
};

export type RequestProgressRow = Pick<RequestRow, "id" | "retriesLeft" | "sent">;

/** It is about to be sent, or goes back to the queue. */
export const updateRequest: Statement<RequestProgressRow> = {
  name: "request.update",
  order: 64,
  sql: `UPDATE "DeviceRequest" SET "retriesLeft" = @retriesLeft, "sent" = @sent WHERE "id" = @id`,
  key: (row) => row.id,
};

/** It has ended. */
export const removeRequest: Statement<{ id: string }> = {
  name: "request.remove",
  order: 65,
  sql: `DELETE FROM "DeviceRequest" WHERE "id" = @id`,
};

export interface DesiredValueRow {
  deviceId: string;
  path: string;
  value: Uint8Array;
  /** When the request was taken. */
  at: number;
}

/** What a resource is to be from now on. */
export const putDesiredValue: Statement<DesiredValueRow> = {
  name: "desired.put",
  order: 66,
  sql: `INSERT INTO "DesiredValue" ("deviceId", "path", "value", "status", "desiredAt", "statusUpdatedAt")
    SELECT @deviceId, @path, @value, 'pending', @at, @at WHERE ${DEVICE}
    ON CONFLICT ("deviceId", "path") DO UPDATE SET "value" = excluded."value", "status" = excluded."status",
      "desiredAt" = excluded."desiredAt", "statusUpdatedAt" = excluded."statusUpdatedAt"`,
  key: (row) => `${row.deviceId} ${row.path}`,
};

export interface DesiredStatusRow {
  deviceId: string;
  path: string;
  /** Of the request that ended: a newer wish has a status of its own. */
  desiredAt: number;
  status: "ok" | "failed";
  at: number;
}

/** What came of it. */
export const settleDesiredValue: Statement<DesiredStatusRow> = {
  name: "desired.settle",
  order: 67,
  sql: `UPDATE "DesiredValue" SET "status" = @status, "statusUpdatedAt" = @at
    WHERE "deviceId" = @deviceId AND "path" = @path AND "desiredAt" = @desiredAt`,
};
