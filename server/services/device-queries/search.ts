import type { z } from "zod";
import { Prisma } from "@/server/db";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { compileFilters, type FilterFields, MEMBERSHIP, RANGE } from "../filter";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { idInput, validate } from "../validate";

/** A saved filter of the directory. */
export interface DeviceQueryView {
  id: string;
  name: string;
  query: string;
  createdAt: Date;
  updatedAt: Date;
}

const select = { id: true, name: true, query: true, createdAt: true, updatedAt: true } as const;

/** What device queries can be filtered by. */
export const deviceQueryFilters = {
  created_at: { sql: Prisma.sql`"createdAt"`, kind: "time", operators: RANGE },
  etag: { sql: Prisma.sql`"updatedAt"`, kind: "time", operators: RANGE },
  id: { sql: Prisma.sql`"id"`, kind: "text", operators: MEMBERSHIP },
  name: { sql: Prisma.sql`"name"`, kind: "text", operators: MEMBERSHIP },
  query: { sql: Prisma.sql`"query"`, kind: "text", operators: MEMBERSHIP },
  updated_at: { sql: Prisma.sql`"updatedAt"`, kind: "time", operators: RANGE },
} as const satisfies FilterFields;

/** A page of the account's saved filters. */
export async function searchDeviceQueries(
  ctx: Context,
  input: PageInput = {},
): Promise<Page<DeviceQueryView>> {
  const accountId = memberAccount(ctx.actor);
  const page = validate(pageInput, input);
  return findPage(
    ctx,
    Prisma.sql`"DeviceQuery"`,
    Prisma.sql`"accountId" = ${accountId}${compileFilters(deviceQueryFilters, page.filters)}`,
    page,
    (ids) => ctx.db.deviceQuery.findMany({ where: { accountId, id: { in: ids } }, select }),
  );
}

export const findDeviceQueryInput = idInput;

/** A saved filter of the account. */
export async function findDeviceQuery(
  ctx: Context,
  input: z.input<typeof findDeviceQueryInput>,
): Promise<DeviceQueryView> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(findDeviceQueryInput, input);
  const row = await ctx.db.deviceQuery.findFirst({ where: { id, accountId }, select });
  if (!row) throw notFound("Device query");
  return row;
}
