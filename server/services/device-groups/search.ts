import type { z } from "zod";
import { Prisma } from "@/server/db";
import { type Context, memberAccount } from "../context";
import type { DirectoryDevice } from "../devices/directory-view";
import { searchDevices } from "../devices/search";
import { notFound } from "../errors";
import { compileFilters, type FilterFields, MEMBERSHIP, RANGE } from "../filter";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { idInput, validate } from "../validate";
import { type DeviceGroupView, groupSelect, groupView } from "./view";

/** What device groups can be filtered by. */
export const deviceGroupFilters = {
  created_at: { sql: Prisma.sql`"createdAt"`, kind: "time", operators: RANGE },
  custom_attributes: { sql: Prisma.sql`"customAttributes"`, kind: "attribute", operators: ["eq"] },
  description: { sql: Prisma.sql`"description"`, kind: "text", operators: MEMBERSHIP },
  devices_count: {
    sql: Prisma.sql`(SELECT COUNT(*) FROM "DeviceGroupMember" WHERE "groupId" = "DeviceGroup"."id")`,
    kind: "integer",
    operators: RANGE,
  },
  etag: { sql: Prisma.sql`"updatedAt"`, kind: "time", operators: RANGE },
  id: { sql: Prisma.sql`"id"`, kind: "text", operators: MEMBERSHIP },
  name: { sql: Prisma.sql`"name"`, kind: "text", operators: MEMBERSHIP },
  updated_at: { sql: Prisma.sql`"updatedAt"`, kind: "time", operators: RANGE },
} as const satisfies FilterFields;

/** A page of the account's device groups. */
export async function searchDeviceGroups(
  ctx: Context,
  input: PageInput = {},
): Promise<Page<DeviceGroupView>> {
  const accountId = memberAccount(ctx.actor);
  const page = validate(pageInput, input);
  return findPage(
    ctx,
    Prisma.sql`"DeviceGroup"`,
    Prisma.sql`"accountId" = ${accountId}${compileFilters(deviceGroupFilters, page.filters)}`,
    page,
    async (ids) =>
      (await ctx.db.deviceGroup.findMany({ where: { accountId, id: { in: ids } }, select: groupSelect })).map(
        groupView,
      ),
  );
}

export const findDeviceGroupInput = idInput;

/** A device group of the account. */
export async function findDeviceGroup(
  ctx: Context,
  input: z.input<typeof findDeviceGroupInput>,
): Promise<DeviceGroupView> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(findDeviceGroupInput, input);
  const row = await ctx.db.deviceGroup.findFirst({ where: { id, accountId }, select: groupSelect });
  if (!row) throw notFound("Device group");
  return groupView(row);
}

/** A page of the devices in a group, filtered like the whole directory. */
export async function searchGroupDevices(
  ctx: Context,
  { id, ...input }: PageInput & z.input<typeof findDeviceGroupInput>,
): Promise<Page<DirectoryDevice>> {
  const group = await findDeviceGroup(ctx, { id });
  return searchDevices(
    ctx,
    input,
    Prisma.sql`"id" IN (SELECT "deviceId" FROM "DeviceGroupMember" WHERE "groupId" = ${group.id})`,
  );
}
