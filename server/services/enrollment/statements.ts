import type { Entry, Statement } from "../../db";

/** Everything a Bootstrap-Request tells of where a device is and what it came with. */
export interface EnrollmentRow {
  id: string;
  accountId: string;
  identity: string;
  endpointName: string;
  executionMode: number;
  caId: string | null;
  bootstrapFingerprint: string | null;
  /** Milliseconds since 1970, like every time in these rows. */
  bootstrapExpirationDate: number | null;
  address: string;
  transport: string;
  at: number;
  /** Of a device seen for the first time; `registered` when it begins with a Register. */
  state: "cloud_enrolling" | "registered";
  registeredAt: number | null;
  deviceKey: string | null;
  connectorExpirationDate: number | null;
}

/** A device seen for the first time: its directory entry. */
export const insertDevice: Statement<EnrollmentRow> = {
  name: "device.insert",
  order: 10,
  sql: `INSERT INTO "Device" ("id", "accountId", "identity", "endpointName", "state", "executionMode", "caId",
      "bootstrapFingerprint", "bootstrapExpirationDate", "deviceKey", "connectorExpirationDate", "registeredAt",
      "lastSeenAt", "address", "transport", "createdAt", "updatedAt")
    VALUES (@id, @accountId, @identity, @endpointName, @state, @executionMode, @caId,
      @bootstrapFingerprint, @bootstrapExpirationDate, @deviceKey, @connectorExpirationDate, @registeredAt,
      @at, @address, @transport, @at, @at)`,
};

/** A known device asks for bootstrap again: its state stays until it has new credentials. */
export const startBootstrap: Statement<EnrollmentRow> = {
  name: "device.bootstrap-started",
  order: 20,
  sql: `UPDATE "Device" SET
      "state" = CASE "state" WHEN 'unenrolled' THEN 'cloud_enrolling' ELSE "state" END,
      "endpointName" = @endpointName, "executionMode" = @executionMode, "caId" = @caId,
      "bootstrapFingerprint" = @bootstrapFingerprint,
      "bootstrapExpirationDate" = @bootstrapExpirationDate,
      "lastSeenAt" = @at, "address" = @address, "transport" = @transport
    WHERE "id" = @id`,
};

/** Credentials are about to be sent: from now on the device may know its ID, however the session ends. */
export const putCredentials: Statement<Omit<BootstrappedRow, "at">> = {
  name: "device.credentials",
  order: 25,
  sql: `UPDATE "Device" SET "deviceKey" = @deviceKey, "connectorExpirationDate" = @connectorExpirationDate
    WHERE "id" = @id`,
};

export interface BootstrappedRow {
  id: string;
  deviceKey: string | null;
  connectorExpirationDate: number | null;
  at: number;
}

/**
 * A device confirmed its LwM2M account. It comes behind the end of what the device had registered before: what is
 * registered then is new, made before the confirmation was here.
 */
export const finishBootstrap: Statement<BootstrappedRow> = {
  name: "device.bootstrapped",
  order: 55,
  sql: `UPDATE "Device" SET "bootstrappedAt" = @at, "lastSeenAt" = @at,
      "state" = CASE WHEN EXISTS (SELECT 1 FROM "Registration" WHERE "deviceId" = @id)
        THEN "state" ELSE 'bootstrapped' END,
      "deviceKey" = @deviceKey, "connectorExpirationDate" = @connectorExpirationDate,
      "rebootstrapPending" = 0, "updatedAt" = @at
    WHERE "id" = @id`,
};

export interface ClaimRow {
  /** Of the device. */
  id: string;
  accountId: string;
  /** Of the certificate it bootstraps with. */
  fingerprint: string;
  at: number;
}

/** A device that its account has on its list comes: it is the one that was meant. */
const claimEnrollment: Statement<ClaimRow> = {
  name: "enrollment.claimed",
  order: 21,
  sql: `UPDATE "Enrollment" SET "claimedAt" = @at, "deviceId" = @id
    WHERE "fingerprint" = @fingerprint AND "accountId" = @accountId AND "deviceId" IS NOT @id
      AND ("claimedAt" IS NOT NULL OR "expiresAt" > @at)`,
};

const markClaimed: Statement<ClaimRow> = {
  name: "device.claimed",
  order: 22,
  sql: `UPDATE "Device" SET "claimedAt" = @at, "updatedAt" = @at
    WHERE "id" = @id AND "claimedAt" IS NULL
      AND EXISTS (SELECT 1 FROM "Enrollment" WHERE "fingerprint" = @fingerprint AND "deviceId" = @id)`,
};

/** Rows that mark a claim as fulfilled, if there is one; they belong into the group of the device's own row. */
export const claimEntries = (row: ClaimRow): Entry[] => [
  [claimEnrollment, row],
  [markClaimed, row],
];
