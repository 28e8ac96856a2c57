import { z } from "zod";
import { type Context, memberAccount } from "../context";
import type { Transaction } from "../transaction";
import { validate } from "../validate";
import { type DeviceRow, type DeviceState, deviceRow, deviceSelect, deviceStates } from "./view";

export const deviceSorts = ["lastSeen", "created", "name", "endpointName", "state", "expires"] as const;

export const listDevicesInput = z.object({
  /** In name, endpoint name or description; or the beginning of the ID. */
  search: z.string().trim().max(200).default(""),
  state: z.enum(deviceStates).optional(),
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
  /** What the search finds in every state, whatever state is asked for. */
  counts: Record<DeviceState, number>;
}

type Where = NonNullable<NonNullable<Parameters<Transaction["device"]["findMany"]>[0]>["where"]>;
type OrderBy = NonNullable<NonNullable<Parameters<Transaction["device"]["findMany"]>[0]>["orderBy"]>;

/** The directory of the account: searched, filtered, sorted and paged by the database. */
export async function listDevices(
  ctx: Context,
  input: z.input<typeof listDevicesInput> = {},
): Promise<DeviceList> {
  const accountId = memberAccount(ctx.actor);
  const { search, state, sort, order, page, pageSize } = validate(listDevicesInput, input);
  const found: Where = { accountId };
  if (search) {
    found.OR = [
      { endpointName: { contains: search } },
      { name: { contains: search } },
      { description: { contains: search } },
      ...(/^[0-9a-f]{1,32}$/i.test(search) ? [{ id: { startsWith: search.toLowerCase() } }] : []),
    ];
  }
  const byState = await ctx.db.device.groupBy({ by: ["state"], where: found, _count: true });
  const counts = Object.fromEntries(deviceStates.map((name) => [name, 0])) as Record<DeviceState, number>;
  for (const group of byState) counts[group.state as DeviceState] = group._count;
  const total = state ? counts[state] : Object.values(counts).reduce((sum, count) => sum + count, 0);
  const columns: Record<(typeof deviceSorts)[number], OrderBy> = {
    lastSeen: { lastSeenAt: { sort: order, nulls: "last" } },
    created: { createdAt: order },
    name: { name: order },
    endpointName: { endpointName: order },
    state: { state: order },
    expires: { connectorExpirationDate: { sort: order, nulls: "last" } },
  };
  const rows = await ctx.db.device.findMany({
    where: state ? { ...found, state } : found,
    // The id makes the order total, so that no row is on two pages.
    orderBy: [columns[sort], { id: order }].flat(),
    skip: (page - 1) * pageSize,
    take: pageSize,
    select: deviceSelect,
  });
  const now = ctx.clock.now();
  return { rows: rows.map((row) => deviceRow(row, now)), total, page, pageSize, counts };
}
