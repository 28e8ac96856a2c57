import { z } from "zod";
import { Prisma } from "@/server/db";
import { type Context, memberAccount } from "../context";
import { idField, validate } from "../validate";
import { type DeviceRow, type DeviceState, deviceRow, deviceSelect, deviceStates } from "./view";

export const deviceSorts = ["lastSeen", "created", "name", "endpointName", "state", "expires"] as const;

export const listDevicesInput = z.object({
  /** In name, endpoint name or description; or the beginning of the ID. */
  search: z.string().trim().max(200).default(""),
  state: z.enum(deviceStates).optional(),
  /** Only those that are turned away. */
  suspended: z.boolean().default(false),
  /** Only those in this group. */
  groupId: idField.optional(),
  sort: z.enum(deviceSorts).default("lastSeen"),
  order: z.enum(["asc", "desc"]).default("desc"),
  page: z.number().int().min(1).max(1_000_000).default(1),
  pageSize: z.number().int().min(1).max(200).default(50),
});

/** One page of the directory. */
export interface DeviceList {
  rows: DeviceRow[];
  total: number;
  page: number;
  pageSize: number;
  /** What the search finds in every state (and the group, if any), whatever else is asked for. */
  counts: Record<DeviceState, number>;
}

const columns: Record<(typeof deviceSorts)[number], Prisma.Sql> = {
  lastSeen: Prisma.sql`"lastSeenAt"`,
  created: Prisma.sql`"createdAt"`,
  name: Prisma.sql`"name"`,
  endpointName: Prisma.sql`"endpointName"`,
  state: Prisma.sql`"state"`,
  expires: Prisma.sql`"connectorExpirationDate"`,
};
/** Columns that may be empty: such rows come last in either order. */
const nullable: ReadonlySet<string> = new Set(["lastSeen", "expires"]);

/** The directory of the account: searched, filtered, sorted and paged by the database. */
export async function listDevices(
  ctx: Context,
  input: z.input<typeof listDevicesInput> = {},
): Promise<DeviceList> {
  const accountId = memberAccount(ctx.actor);
  const { search, state, suspended, groupId, sort, order, page, pageSize } = validate(
    listDevicesInput,
    input,
  );
  const found = Prisma.sql`"accountId" = ${accountId}${matching(search)}${inGroup(groupId)}`;
  const byState = await ctx.db.$queryRaw<{ state: DeviceState; count: bigint }[]>(
    Prisma.sql`SELECT "state", COUNT(*) AS "count" FROM "Device" WHERE ${found} GROUP BY "state"`,
  );
  const counts = Object.fromEntries(deviceStates.map((name) => [name, 0])) as Record<DeviceState, number>;
  for (const group of byState) counts[group.state] = Number(group.count);
  const inState = state ? Prisma.sql`${found} AND "state" = ${state}` : found;
  const wanted = suspended ? Prisma.sql`${inState} AND "suspendedAt" IS NOT NULL` : inState;
  const total = suspended
    ? await countDevices(ctx, wanted)
    : state
      ? counts[state]
      : Object.values(counts).reduce((sum, count) => sum + count, 0);

  const direction = order === "asc" ? Prisma.sql`ASC` : Prisma.sql`DESC`;
  const nulls = nullable.has(sort) ? Prisma.sql` NULLS LAST` : Prisma.empty;
  // The id makes the order total, so that no row is on two pages.
  const ids = await ctx.db.$queryRaw<{ id: string }[]>(
    Prisma.sql`SELECT "id" FROM "Device" WHERE ${wanted}
      ORDER BY ${columns[sort]} ${direction}${nulls}, "id" ${direction}
      LIMIT ${pageSize} OFFSET ${(page - 1) * pageSize}`,
  );
  const rows = await ctx.db.device.findMany({
    where: { accountId, id: { in: ids.map(({ id }) => id) } },
    select: deviceSelect,
  });
  const byId = new Map(rows.map((row) => [row.id, deviceRow(row, ctx.clock.now())]));
  return { rows: ids.flatMap(({ id }) => byId.get(id) ?? []), total, page, pageSize, counts };
}

async function countDevices(ctx: Context, wanted: Prisma.Sql): Promise<number> {
  const [row] = await ctx.db.$queryRaw<{ count: bigint }[]>(
    Prisma.sql`SELECT COUNT(*) AS "count" FROM "Device" WHERE ${wanted}`,
  );
  return Number(row?.count ?? 0);
}

const inGroup = (groupId: string | undefined): Prisma.Sql =>
  groupId
    ? Prisma.sql` AND "id" IN (SELECT "deviceId" FROM "DeviceGroupMember" WHERE "groupId" = ${groupId})`
    : Prisma.empty;

/** The condition of a search. Prisma's `contains` takes "%" and "_" for wildcards, and endpoint names hold both. */
function matching(search: string): Prisma.Sql {
  if (!search) return Prisma.empty;
  const text = search.toLowerCase();
  const pattern = `%${text.replace(/[\\%_]/g, "\\$&")}%`;
  const conditions = [Prisma.sql`"endpointName"`, Prisma.sql`"name"`, Prisma.sql`"description"`].map(
    (column) => Prisma.sql`LOWER(${column}) LIKE ${pattern} ESCAPE '\\'`,
  );
  if (/^[0-9a-f]{1,32}$/.test(text)) conditions.push(Prisma.sql`"id" LIKE ${`${text}%`}`);
  return Prisma.sql` AND (${Prisma.join(conditions, " OR ")})`;
}
