import type { z } from "zod";
import { columnList, Prisma, rowsOf } from "@/server/db";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { compileFilters, EQUALITY, type FilterFields, MEMBERSHIP, RANGE } from "../filter";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { idInput, validate } from "../validate";
import { type DirectoryDevice, directoryColumns, directoryDevice, plainFingerprint } from "./directory-view";

const text = (sql: Prisma.Sql, stored?: (value: string) => string) => ({
  sql,
  kind: "text" as const,
  operators: MEMBERSHIP,
  ...(stored && { stored }),
});
const time = (sql: Prisma.Sql) => ({ sql, kind: "time" as const, operators: RANGE });
const NOTHING = Prisma.sql`NULL`;
const SUSPENDED = Prisma.sql`("suspendedAt" IS NOT NULL)`;
const CERTIFICATE_OFF = Prisma.sql`EXISTS (SELECT 1 FROM "TrustedCertificate" AS "ca"
  WHERE "ca"."id" = "Device"."caId" AND "ca"."status" <> 'ACTIVE')`;

/** What the directory can be filtered by. Fields that nothing sets here are empty for every device. */
export const deviceFilters = {
  account_id: text(Prisma.sql`"accountId"`),
  auto_update: { sql: Prisma.sql`"autoUpdate"`, kind: "boolean", operators: EQUALITY },
  bootstrap_expiration_date: time(Prisma.sql`"bootstrapExpirationDate"`),
  bootstrapped_timestamp: time(Prisma.sql`"bootstrappedAt"`),
  ca_id: text(Prisma.sql`"caId"`),
  connector_expiration_date: time(Prisma.sql`"connectorExpirationDate"`),
  created_at: time(Prisma.sql`"createdAt"`),
  custom_attributes: { sql: Prisma.sql`"customAttributes"`, kind: "attribute", operators: ["eq"] },
  deployed_state: text(
    Prisma.sql`CASE "executionMode" WHEN 1 THEN 'development' WHEN 5 THEN 'production' END`,
  ),
  deployment: text(Prisma.sql`"deployment"`),
  description: text(Prisma.sql`"description"`),
  device_class: text(Prisma.sql`"deviceClass"`),
  device_execution_mode: { sql: Prisma.sql`"executionMode"`, kind: "integer", operators: MEMBERSHIP },
  device_key: text(Prisma.sql`"deviceKey"`, plainFingerprint),
  endpoint_name: text(Prisma.sql`"endpointName"`),
  endpoint_type: text(Prisma.sql`"endpointType"`),
  enrolment_list_timestamp: time(Prisma.sql`"claimedAt"`),
  etag: time(Prisma.sql`"updatedAt"`),
  firmware_checksum: text(NOTHING),
  host_gateway: text(Prisma.sql`"hostGateway"`),
  id: text(Prisma.sql`"id"`),
  last_operator_suspended_category: text(Prisma.sql`"suspendedCategory"`),
  last_operator_suspended_updated_at: time(Prisma.sql`"suspensionUpdatedAt"`),
  last_system_suspended_category: text(NOTHING),
  last_system_suspended_updated_at: time(NOTHING),
  lifecycle_status: text(
    Prisma.sql`CASE WHEN ${SUSPENDED} OR ${CERTIFICATE_OFF} THEN 'blocked' ELSE 'enabled' END`,
  ),
  manifest: text(Prisma.sql`"manifest"`),
  manifest_timestamp: time(NOTHING),
  mechanism: text(Prisma.sql`"mechanism"`),
  mechanism_url: text(Prisma.sql`"mechanismUrl"`),
  name: text(Prisma.sql`"name"`),
  net_id: text(Prisma.sql`''`),
  operator_suspended: { sql: SUSPENDED, kind: "boolean", operators: EQUALITY },
  serial_number: text(Prisma.sql`"serialNumber"`),
  state: text(Prisma.sql`"state"`),
  system_suspended: { sql: CERTIFICATE_OFF, kind: "boolean", operators: EQUALITY },
  updated_at: time(Prisma.sql`"updatedAt"`),
  vendor_id: text(Prisma.sql`"vendorId"`),
} as const satisfies FilterFields;

const columns = { ...directoryColumns, certificateOff: "boolean", groups: "text" } as const;
const GROUPS = Prisma.sql`(SELECT json_group_array("groupId" ORDER BY "groupId") FROM "DeviceGroupMember"
  WHERE "deviceId" = "Device"."id")`;

/** Directory entries of which the rest of the query is true. */
async function select(ctx: Context, where: Prisma.Sql): Promise<DirectoryDevice[]> {
  const rows = await rowsOf(ctx.db)(
    columns,
    Prisma.sql`SELECT ${columnList(directoryColumns)}, ${CERTIFICATE_OFF}, ${GROUPS} FROM "Device" WHERE ${where}`,
  );
  return rows.map(directoryDevice);
}

/** A page of the account's directory, filtered; only of those of which `also` is true, where it is given. */
export async function searchDevices(
  ctx: Context,
  input: PageInput = {},
  also?: Prisma.Sql,
): Promise<Page<DirectoryDevice>> {
  const accountId = memberAccount(ctx.actor);
  const page = validate(pageInput, input);
  return findPage(
    ctx,
    Prisma.sql`"Device"`,
    Prisma.sql`"accountId" = ${accountId}${also ? Prisma.sql` AND ${also}` : Prisma.empty}${compileFilters(deviceFilters, page.filters)}`,
    page,
    (ids) => select(ctx, Prisma.sql`"accountId" = ${accountId} AND "id" IN (${Prisma.join(ids)})`),
  );
}

export const findDeviceInput = idInput;

/** A directory entry of the account. */
export async function findDevice(
  ctx: Context,
  input: z.input<typeof findDeviceInput>,
): Promise<DirectoryDevice> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(findDeviceInput, input);
  const [device] = await select(ctx, Prisma.sql`"id" = ${id} AND "accountId" = ${accountId}`);
  if (!device) throw notFound("Device");
  return device;
}
