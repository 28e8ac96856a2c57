import type { z } from "zod";
import { columnList, Prisma, rowsOf } from "@/server/db";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { compileFilters, type FilterFields, MEMBERSHIP, RANGE } from "../filter";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { idInput, validate } from "../validate";
import { eventView } from "./list";
import type { EventView } from "./types";

const text = (sql: Prisma.Sql) => ({ sql, kind: "text" as const, operators: MEMBERSHIP });
const time = (sql: Prisma.Sql) => ({ sql, kind: "time" as const, operators: RANGE });

/** Pelion's names of event types that applications wait for; the others go by ours. */
const pelionNames: Readonly<Record<string, string>> = {
  "bootstrap.device-created": "update.device.device-created",
  "device.updated": "update.device.device-updated",
};
const ownNames = new Map(Object.entries(pelionNames).map(([own, theirs]) => [theirs, own]));

/** The name under which an event type goes out. */
export const publicEventType = (type: string): string => pelionNames[type] ?? type;

/** What device events can be filtered by. */
export const eventFilters = {
  created_at: time(Prisma.sql`"at"`),
  date_time: time(Prisma.sql`"at"`),
  description: text(Prisma.sql`"description"`),
  device_id: text(Prisma.sql`"deviceId"`),
  event_type: { ...text(Prisma.sql`"type"`), stored: (type: string) => ownNames.get(type) ?? type },
  event_type_category: text(Prisma.sql`"category"`),
  event_type_description: text(Prisma.sql`"outcome"`),
  id: text(Prisma.sql`"id"`),
  state_change: { sql: Prisma.sql`"stateChange"`, kind: "boolean", operators: MEMBERSHIP },
} as const satisfies FilterFields;

/** An event of a device. */
export type DeviceEventView = EventView & { deviceId: string };

const columns = {
  id: "text",
  deviceId: "text",
  type: "text",
  category: "text",
  outcome: "text",
  description: "text",
  data: "text",
  stateChange: "boolean",
  actor: "text",
  at: "time",
} as const;

/** Events of devices of which the rest of the query is true. */
async function select(ctx: Context, where: Prisma.Sql): Promise<DeviceEventView[]> {
  const rows = await rowsOf(ctx.db)(
    columns,
    Prisma.sql`SELECT ${columnList(columns)} FROM "DeviceEvent" WHERE ${where} AND "deviceId" IS NOT NULL`,
  );
  return rows.map((row) => ({ ...eventView(row), deviceId: row.deviceId }));
}

/** A page of what happened to the account's devices. */
export async function searchDeviceEvents(
  ctx: Context,
  input: PageInput = {},
): Promise<Page<DeviceEventView>> {
  const accountId = memberAccount(ctx.actor);
  const page = validate(pageInput, input);
  return findPage(
    ctx,
    Prisma.sql`"DeviceEvent"`,
    Prisma.sql`"accountId" = ${accountId} AND "deviceId" IS NOT NULL${compileFilters(eventFilters, page.filters)}`,
    page,
    (ids) => select(ctx, Prisma.sql`"accountId" = ${accountId} AND "id" IN (${Prisma.join(ids)})`),
  );
}

export const findDeviceEventInput = idInput;

/** One event of a device of the account. */
export async function findDeviceEvent(
  ctx: Context,
  input: z.input<typeof findDeviceEventInput>,
): Promise<DeviceEventView> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(findDeviceEventInput, input);
  const [event] = await select(ctx, Prisma.sql`"id" = ${id} AND "accountId" = ${accountId}`);
  if (!event) throw notFound("Device event");
  return event;
}
