import type { BusEvent } from "@/server/bus/messages";
import { Prisma, type Transaction } from "@/server/db";
import { eventMessage, eventRow } from "../events/record";
import type { EventType } from "../events/types";
import { newId } from "../ids";
import { enrollmentIdentity, fingerprintOf } from "./identity";

/** How long a device that was claimed ahead may take to come. */
const CLAIM_MS = 365 * 86_400_000;

/** Who changes the list, and when. */
interface Change {
  accountId: string;
  actor: string;
  at: number;
}

const inside = (values: readonly string[]) =>
  Prisma.sql`(SELECT "value" FROM json_each(${JSON.stringify(values)}))`;

/**
 * Puts identities on the account's list; those of devices that are here already are claimed at once. Returns the
 * fingerprints that were taken: the others are on a list already, or their device belongs to another account.
 */
export async function enroll(
  tx: Transaction,
  tell: (message: BusEvent) => void,
  change: Change,
  identities: readonly string[],
): Promise<Set<string>> {
  const { accountId, at } = change;
  const fingerprints = identities.map(fingerprintOf);
  await tx.$executeRaw`DELETE FROM "Enrollment"
    WHERE "fingerprint" IN ${inside(fingerprints)} AND "claimedAt" IS NULL AND "expiresAt" <= ${at}`;
  const here = await tx.$queryRaw<
    { id: string; fingerprint: string; accountId: string; shared: number | bigint | null }[]
  >`SELECT "Device"."id", "Device"."accountId", "bootstrapFingerprint" AS "fingerprint", "ca"."enrollmentMode" AS "shared"
    FROM "Device" LEFT JOIN "TrustedCertificate" AS "ca" ON "ca"."id" = "Device"."caId"
    WHERE "bootstrapFingerprint" IN ${inside(fingerprints)} AND "executionMode" = 5 ORDER BY "Device"."id"`;
  const own = new Map(
    here.filter((device) => device.accountId === accountId).map(({ id, fingerprint }) => [fingerprint, id]),
  );
  // Where several accounts trust a CA, its devices are whose list they are on; else they are the CA's account's.
  const others = new Set(
    here
      .filter((device) => device.accountId !== accountId && Number(device.shared) !== 1)
      .map(({ fingerprint }) => fingerprint),
  );
  const rows = identities.flatMap((identity, index) => {
    const fingerprint = fingerprints[index] as string;
    if (others.has(fingerprint)) return [];
    const deviceId = own.get(fingerprint) ?? null;
    return [{ id: newId(at), identity, fingerprint, deviceId, claimedAt: deviceId && at }];
  });
  const taken = await tx.$queryRaw<{ fingerprint: string; deviceId: string | null }[]>`
    INSERT OR IGNORE INTO "Enrollment"
      ("id", "accountId", "identity", "fingerprint", "claimedAt", "deviceId", "createdAt", "expiresAt")
    SELECT "value" ->> 'id', ${accountId}, "value" ->> 'identity', "value" ->> 'fingerprint',
      "value" ->> 'claimedAt', "value" ->> 'deviceId', ${at}, ${at + CLAIM_MS}
    FROM json_each(${JSON.stringify(rows)}) RETURNING "fingerprint", "deviceId"`;
  await markDevices(tx, tell, change, "device.claimed", taken);
  return new Set(taken.map(({ fingerprint }) => fingerprint));
}

/** Takes fingerprints off the account's list, and says which of them were on it. */
export async function unenroll(
  tx: Transaction,
  tell: (message: BusEvent) => void,
  change: Change,
  fingerprints: readonly string[],
): Promise<Set<string>> {
  const gone = await tx.$queryRaw<{ fingerprint: string; deviceId: string | null }[]>`
    DELETE FROM "Enrollment" WHERE "accountId" = ${change.accountId}
      AND "fingerprint" IN ${inside(fingerprints)}
      AND ("claimedAt" IS NOT NULL OR "expiresAt" > ${change.at})
    RETURNING "fingerprint", "deviceId"`;
  await markDevices(tx, tell, change, "device.unclaimed", gone);
  return new Set(gone.map(({ fingerprint }) => fingerprint));
}

async function markDevices(
  tx: Transaction,
  tell: (message: BusEvent) => void,
  { accountId, actor, at }: Change,
  type: Extract<EventType, "device.claimed" | "device.unclaimed">,
  rows: readonly { fingerprint: string; deviceId: string | null }[],
): Promise<void> {
  const named = new Map(
    rows.flatMap(({ deviceId, fingerprint }) => (deviceId ? [[deviceId, fingerprint]] : [])),
  );
  if (named.size === 0) return;
  const time = new Date(at);
  const marked = await tx.$queryRaw<{ id: string }[]>`
    UPDATE "Device" SET "claimedAt" = ${type === "device.claimed" ? at : null}, "updatedAt" = ${at}
    WHERE "accountId" = ${accountId} AND "id" IN ${inside([...named.keys()])} RETURNING "id"`;
  const events = marked.map(({ id: deviceId }) => {
    const identity = enrollmentIdentity(named.get(deviceId) as string);
    return eventRow(type, { accountId, deviceId, actor, at, data: { identity } });
  });
  await tx.deviceEvent.createMany({ data: events.map((event) => ({ ...event, at: time })) });
  for (const event of events) {
    tell(eventMessage(event));
    tell({ kind: "device", accountId, deviceId: event.deviceId as string, change: "updated" });
  }
}
