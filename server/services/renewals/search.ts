import type { z } from "zod";
import { Prisma } from "@/server/db";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { compileFilters, EQUALITY, type FilterFields, RANGE } from "../filter";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { idInput, validate } from "../validate";
import { type Renewal, renewalSelect, renewalView } from "./view";

/** What renewals can be filtered by. */
export const renewalFilters = {
  certificate_name: { sql: Prisma.sql`"certificateName"`, kind: "text", operators: EQUALITY },
  created_at: { sql: Prisma.sql`"createdAt"`, kind: "time", operators: RANGE },
  device_id: { sql: Prisma.sql`"deviceId"`, kind: "text", operators: EQUALITY },
  enroll_result: { sql: Prisma.sql`"result"`, kind: "text", operators: EQUALITY },
  enroll_status: { sql: Prisma.sql`"status"`, kind: "text", operators: EQUALITY },
  updated_at: { sql: Prisma.sql`"updatedAt"`, kind: "time", operators: RANGE },
} as const satisfies FilterFields;

/** A page of the renewals that were asked for in the account. */
export async function searchRenewals(ctx: Context, input: PageInput = {}): Promise<Page<Renewal>> {
  const accountId = memberAccount(ctx.actor);
  const page = validate(pageInput, input);
  return findPage(
    ctx,
    Prisma.sql`"CertificateEnrollment"`,
    Prisma.sql`"accountId" = ${accountId}${compileFilters(renewalFilters, page.filters)}`,
    page,
    async (ids) =>
      (
        await ctx.db.certificateEnrollment.findMany({
          where: { accountId, id: { in: ids } },
          select: renewalSelect,
        })
      ).map(renewalView),
  );
}

export const findRenewalInput = idInput;

/** A renewal of the account. */
export async function findRenewal(ctx: Context, input: z.input<typeof findRenewalInput>): Promise<Renewal> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(findRenewalInput, input);
  const row = await ctx.db.certificateEnrollment.findFirst({
    where: { id, accountId },
    select: renewalSelect,
  });
  if (!row) throw notFound("Certificate enrollment");
  return renewalView(row);
}
