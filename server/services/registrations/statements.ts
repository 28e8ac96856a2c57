import type { Entry, Statement } from "../../db";

/** The kinds of client that are treated differently. */
export type ProfileName = "standard" | "pelion";

/** A registration as it is written; times in milliseconds since 1970. */
export interface RegistrationRow {
  id: string;
  deviceId: string;
  accountId: string;
  endpointName: string;
  lifetime: number;
  lwm2mVersion: string;
  binding: string;
  queueMode: 0 | 1;
  rootPath: string;
  objectLinks: string;
  profile: ProfileName;
  address: string;
  transport: string;
  registeredAt: number;
  updatedAt: number;
  expiresAt: number;
}

/** A Register: the newest registration of a device takes the place of the one before. */
export const putRegistration: Statement<RegistrationRow> = {
  name: "registration.put",
  order: 40,
  sql: `INSERT INTO "Registration" ("deviceId", "id", "accountId", "endpointName", "lifetime", "lwm2mVersion", "binding",
      "queueMode", "rootPath", "objectLinks", "profile", "address", "transport", "registeredAt", "updatedAt", "expiresAt")
    VALUES (@deviceId, @id, @accountId, @endpointName, @lifetime, @lwm2mVersion, @binding,
      @queueMode, @rootPath, @objectLinks, @profile, @address, @transport, @registeredAt, @updatedAt, @expiresAt)
    ON CONFLICT ("deviceId") DO UPDATE SET "id" = excluded."id", "accountId" = excluded."accountId",
      "endpointName" = excluded."endpointName", "lifetime" = excluded."lifetime",
      "lwm2mVersion" = excluded."lwm2mVersion", "binding" = excluded."binding", "queueMode" = excluded."queueMode",
      "rootPath" = excluded."rootPath", "objectLinks" = excluded."objectLinks",
      "profile" = excluded."profile", "address" = excluded."address",
      "transport" = excluded."transport", "registeredAt" = excluded."registeredAt",
      "updatedAt" = excluded."updatedAt", "expiresAt" = excluded."expiresAt"`,
};

export interface RegisteredDeviceRow {
  id: string;
  /** The certificate it registers with; null: unchanged, like its expiry. */
  deviceKey: string | null;
  connectorExpirationDate: number | null;
  address: string;
  transport: string;
  at: number;
}

const REGISTERED_DEVICE = `"registeredAt" = @at, "lastSeenAt" = @at, "address" = @address, "transport" = @transport,
      "deviceKey" = coalesce(@deviceKey, "deviceKey"),
      "connectorExpirationDate" = coalesce(@connectorExpirationDate, "connectorExpirationDate"),
      "updatedAt" = @at
    WHERE "id" = @id`;

/** The directory's side of a Register. */
export const markRegistered: Statement<RegisteredDeviceRow> = {
  name: "device.registered",
  order: 41,
  sql: `UPDATE "Device" SET "state" = 'registered', ${REGISTERED_DEVICE}`,
};

/** The same for a device that is registered already: an index less is written. */
export const markRegisteredAgain: Statement<RegisteredDeviceRow> = {
  name: "device.registered-again",
  order: 42,
  sql: `UPDATE "Device" SET ${REGISTERED_DEVICE}`,
};

/** The type that a device says it is of. */
export const markEndpointType: Statement<{ id: string; endpointType: string }> = {
  name: "device.type",
  order: 45,
  sql: `UPDATE "Device" SET "endpointType" = @endpointType WHERE "id" = @id`,
};

/** Which registration of a device is meant: Pelion's client has the same location each time. */
interface RegistrationKey {
  deviceId: string;
  id: string;
  registeredAt: number;
}

const SAME = `"deviceId" = @deviceId AND "id" = @id AND "registeredAt" = @registeredAt`;

export interface RegistrationUpdateRow extends RegistrationKey {
  lifetime: number;
  binding: string;
  /** Null: unchanged. */
  objectLinks: string | null;
  address: string;
  transport: string;
  updatedAt: number;
  expiresAt: number;
}

/** An Update: only what it carries changes [LwM2M-Core 1.1.1 §6.2.2]. */
export const updateRegistration: Statement<RegistrationUpdateRow> = {
  name: "registration.update",
  order: 43,
  sql: `UPDATE "Registration" SET "lifetime" = @lifetime, "binding" = @binding,
      "objectLinks" = coalesce(@objectLinks, "objectLinks"), "address" = @address,
      "transport" = @transport, "updatedAt" = @updatedAt, "expiresAt" = @expiresAt
    WHERE ${SAME}`,
};

export interface DeviceSeenRow {
  id: string;
  address: string;
  transport: string;
  at: number;
}

/** A sign of life, noted: it may come after a Register that is newer. No change of the entry, so its etag stays. */
export const markSeen: Statement<DeviceSeenRow> = {
  name: "device.seen",
  order: 44,
  sql: `UPDATE "Device" SET "lastSeenAt" = @at, "address" = @address, "transport" = @transport
    WHERE "id" = @id AND ("lastSeenAt" <= @at OR "lastSeenAt" IS NULL)`,
  key: (row) => row.id,
};

export interface RegistrationEndRow extends RegistrationKey {
  at: number;
}

/** Deregistered, expired or void: the registration goes with its structure. Values are what was once true, and stay… */
export const removeRegistration: Statement<RegistrationEndRow> = {
  name: "registration.remove",
  order: 50,
  sql: `DELETE FROM "Registration" WHERE ${SAME}`,
};

const REGISTERED = `EXISTS (SELECT 1 FROM "Registration" WHERE "deviceId" = @deviceId)`;
const UNREGISTERED = `NOT ${REGISTERED}`;

/** …but nothing is observed any longer, unless a newer registration has come meanwhile. */
export const removeObservations: Statement<RegistrationEndRow> = {
  name: "observations.remove",
  order: 52,
  sql: `DELETE FROM "Observation" WHERE "deviceId" = @deviceId AND ${UNREGISTERED}`,
};

export const removeSubscriptions: Statement<RegistrationEndRow> = {
  name: "subscriptions.remove",
  order: 52,
  sql: `DELETE FROM "Subscription" WHERE "deviceId" = @deviceId AND ${UNREGISTERED}`,
};

/** The directory's side of a deregistration or expiry. */
export const markDeregistered: Statement<RegistrationEndRow> = {
  name: "device.deregistered",
  order: 53,
  sql: `UPDATE "Device" SET "state" = 'deregistered', "updatedAt" = @at
    WHERE "id" = @deviceId AND ${UNREGISTERED}`,
};

/** The next Register of this device is to be refused (or no longer). */
export const markRebootstrap: Statement<{ id: string; pending: 0 | 1; at: number }> = {
  name: "device.rebootstrap",
  order: 54,
  sql: `UPDATE "Device" SET "rebootstrapPending" = @pending, "updatedAt" = @at
    WHERE "id" = @id`,
};

export interface ValueRow {
  deviceId: string;
  path: string;
  /** JSON of a ResourceValue. */
  value: string;
  at: number;
  source: "read" | "notify" | "write";
}

/** Last known values, the newest by time: an older sample may well come later. A device that was deleted has none. */
export const putValue: Statement<ValueRow> = {
  name: "value.put",
  order: 60,
  sql: `INSERT INTO "ResourceValue" ("deviceId", "path", "value", "at", "source")
    SELECT @deviceId, @path, @value, @at, @source WHERE EXISTS (SELECT 1 FROM "Device" WHERE "id" = @deviceId)
    ON CONFLICT ("deviceId", "path") DO UPDATE SET "value" = excluded."value", "at" = excluded."at", "source" = excluded."source"
    WHERE "ResourceValue"."at" <= excluded."at"`,
  key: (row) => `${row.deviceId} ${row.path}`,
  rank: (row) => row.at,
};

export interface ObservationRow {
  deviceId: string;
  path: string;
  at: number;
}

export const putObservation: Statement<ObservationRow> = {
  name: "observation.put",
  order: 61,
  sql: `INSERT INTO "Observation" ("deviceId", "path", "createdAt")
    SELECT @deviceId, @path, @at WHERE ${REGISTERED}
    ON CONFLICT DO NOTHING`,
};

export const removeObservation: Statement<Omit<ObservationRow, "at">> = {
  name: "observation.remove",
  order: 62,
  sql: `DELETE FROM "Observation" WHERE "deviceId" = @deviceId AND "path" = @path`,
};

/** Rows of a deregistration or expiry, which the directory shows and after which nothing is observed; all in one group. */
export function endRegistration(row: RegistrationEndRow): Entry[] {
  return [
    [removeRegistration, row],
    [removeObservations, row],
    [removeSubscriptions, row],
    [markDeregistered, row],
  ];
}
