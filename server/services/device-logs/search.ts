import type { z } from "zod";
import { Prisma } from "@/server/db";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import type { EventOutcome } from "../events/types";
import { compileFilters, type FilterFields, MEMBERSHIP, RANGE } from "../filter";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { idInput, validate } from "../validate";

/** What a line is logged as, by how that which happened ended. */
const LEVELS = { FAIL: "ERROR", SKIPPED: "WARNING", INFO: "INFO", SUCCESS: "INFO" } as const satisfies Record<
  EventOutcome,
  string
>;
/** Who logs: there is no other log of a device than its timeline here. */
export const LOG_APP_NAME = "gangway";

const text = (sql: Prisma.Sql) => ({ sql, kind: "text" as const, operators: MEMBERSHIP });
const time = (sql: Prisma.Sql) => ({ sql, kind: "time" as const, operators: RANGE });

/** What device logs can be filtered by. */
export const logFilters = {
  app_name: text(Prisma.sql`${LOG_APP_NAME}`),
  created_at: time(Prisma.sql`"at"`),
  device_id: text(Prisma.sql`"deviceId"`),
  id: text(Prisma.sql`"id"`),
  level: text(
    Prisma.sql`CASE "outcome" WHEN 'FAIL' THEN 'ERROR' WHEN 'SKIPPED' THEN 'WARNING' ELSE 'INFO' END`,
  ),
  timestamp: time(Prisma.sql`"at"`),
  type: text(Prisma.sql`"type"`),
} as const satisfies FilterFields;

/** A line of a device's log. */
export interface LogLine {
  id: string;
  accountId: string;
  deviceId: string;
  level: (typeof LEVELS)[EventOutcome];
  type: string;
  message: string;
  at: Date;
}

const select = { id: true, deviceId: true, type: true, outcome: true, description: true, at: true } as const;

/** A page of the logs of the account's devices, or of one of them. */
export async function searchDeviceLogs(
  ctx: Context,
  input: PageInput & { deviceId?: string } = {},
): Promise<Page<LogLine>> {
  const accountId = memberAccount(ctx.actor);
  const { deviceId, ...rest } = input;
  const page = validate(pageInput, rest);
  if (
    deviceId !== undefined &&
    !(await ctx.db.device.findFirst({ where: { id: deviceId, accountId }, select: { id: true } }))
  )
    throw notFound("Device");
  const of =
    deviceId === undefined ? Prisma.sql`"deviceId" IS NOT NULL` : Prisma.sql`"deviceId" = ${deviceId}`;
  return findPage(
    ctx,
    Prisma.sql`"DeviceEvent"`,
    Prisma.sql`"accountId" = ${accountId} AND ${of}${compileFilters(logFilters, page.filters)}`,
    page,
    async (ids) =>
      (await ctx.db.deviceEvent.findMany({ where: { accountId, id: { in: ids } }, select })).map((row) =>
        line(accountId, row),
      ),
  );
}

export const findDeviceLogInput = idInput;

/** One line of the log of a device of the account. */
export async function findDeviceLog(
  ctx: Context,
  input: z.input<typeof findDeviceLogInput>,
): Promise<LogLine> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(findDeviceLogInput, input);
  const row = await ctx.db.deviceEvent.findFirst({
    where: { id, accountId, deviceId: { not: null } },
    select,
  });
  if (!row) throw notFound("Device log");
  return line(accountId, row);
}

const line = (
  accountId: string,
  row: { id: string; deviceId: string | null; type: string; outcome: string; description: string; at: Date },
): LogLine => ({
  id: row.id,
  accountId,
  deviceId: row.deviceId ?? "",
  level: LEVELS[row.outcome as EventOutcome] ?? "INFO",
  type: row.type,
  message: row.description,
  at: row.at,
});
