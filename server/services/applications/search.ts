import { z } from "zod";
import { Prisma } from "@/server/db";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { compileFilters, EQUALITY, type FilterFields, MEMBERSHIP } from "../filter";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { idField, idInput, validate } from "../validate";
import {
  type AccessKeyView,
  type ApplicationView,
  accessKeySelect,
  accessKeyView,
  applicationSelect,
  applicationView,
} from "./view";

/** What applications can be filtered by. */
export const applicationFilters = {
  name: { sql: Prisma.sql`"name"`, kind: "text", operators: MEMBERSHIP },
  role: { sql: Prisma.sql`"role"`, kind: "text", operators: MEMBERSHIP },
  status: { sql: Prisma.sql`"status"`, kind: "text", operators: MEMBERSHIP },
} as const satisfies FilterFields;

/** A page of the account's applications. */
export async function searchApplications(
  ctx: Context,
  input: PageInput = {},
): Promise<Page<ApplicationView>> {
  const accountId = memberAccount(ctx.actor);
  const page = validate(pageInput, input);
  return findPage(
    ctx,
    Prisma.sql`"Application"`,
    Prisma.sql`"accountId" = ${accountId}${compileFilters(applicationFilters, page.filters)}`,
    page,
    async (ids) => {
      const rows = await ctx.db.application.findMany({
        where: { accountId, id: { in: ids } },
        select: applicationSelect,
      });
      return rows.map(applicationView);
    },
  );
}

export const findApplicationInput = idInput;

/** An application of the account. */
export async function findApplication(
  ctx: Context,
  input: z.input<typeof findApplicationInput>,
): Promise<ApplicationView> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(findApplicationInput, input);
  const row = await ctx.db.application.findFirst({ where: { id, accountId }, select: applicationSelect });
  if (!row) throw notFound("Application");
  return applicationView(row);
}

/** What access keys can be filtered by; one is asked for without its secret part. */
export const accessKeyFilters = (now: number) =>
  ({
    key: { sql: Prisma.sql`"prefix"`, kind: "text", operators: ["eq"] },
    name: { sql: Prisma.sql`"name"`, kind: "text", operators: MEMBERSHIP },
    application_id: { sql: Prisma.sql`"applicationId"`, kind: "text", operators: MEMBERSHIP },
    status: {
      sql: Prisma.sql`CASE WHEN "status" <> 'ACTIVE' THEN 'INACTIVE'
        WHEN "expiresAt" IS NOT NULL AND "expiresAt" <= ${now} THEN 'EXPIRED' ELSE 'ACTIVE' END`,
      kind: "text",
      operators: EQUALITY,
    },
  }) as const satisfies FilterFields;

export const searchAccessKeysInput = pageInput.extend({
  /** Of one application; left out: of all. */
  applicationId: idField.optional(),
});

/** A page of the access keys of an application, or of all. */
export async function searchAccessKeys(
  ctx: Context,
  input: PageInput & { applicationId?: string } = {},
): Promise<Page<AccessKeyView>> {
  const accountId = memberAccount(ctx.actor);
  const { applicationId, ...page } = validate(searchAccessKeysInput, input);
  if (applicationId) await findApplication(ctx, { id: applicationId });
  const now = ctx.clock.now();
  const of = applicationId
    ? Prisma.sql`"applicationId" = ${applicationId}`
    : Prisma.sql`"applicationId" IS NOT NULL`;
  return findPage(
    ctx,
    Prisma.sql`"ApiKey"`,
    Prisma.sql`"accountId" = ${accountId} AND ${of}${compileFilters(accessKeyFilters(now), page.filters)}`,
    page,
    async (ids) => {
      const rows = await ctx.db.apiKey.findMany({
        where: { accountId, applicationId: { not: null }, id: { in: ids } },
        select: accessKeySelect,
      });
      return rows.map((row) => accessKeyView(row, now));
    },
  );
}

export const findAccessKeyInput = z.object({ id: idField, applicationId: idField.optional() });

/** An access key, without its secret; with the application it has to be of, where that is known. */
export async function findAccessKey(
  ctx: Context,
  input: z.input<typeof findAccessKeyInput>,
): Promise<AccessKeyView> {
  const accountId = memberAccount(ctx.actor);
  const { id, applicationId } = validate(findAccessKeyInput, input);
  const row = await ctx.db.apiKey.findFirst({
    where: { id, accountId, applicationId: applicationId ?? { not: null } },
    select: accessKeySelect,
  });
  if (!row) throw notFound("Access key");
  return accessKeyView(row, ctx.clock.now());
}
