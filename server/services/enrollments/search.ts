import type { z } from "zod";
import { Prisma } from "@/server/db";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { idInput, validate } from "../validate";

/** A device that the account claims as its own. */
export interface EnrollmentView {
  id: string;
  accountId: string;
  identity: string;
  /** When its device came; null: it has not. */
  claimedAt: Date | null;
  deviceId: string | null;
  createdAt: Date;
  /** Until when its device may come. */
  expiresAt: Date;
}

const select = {
  id: true,
  accountId: true,
  identity: true,
  claimedAt: true,
  deviceId: true,
  createdAt: true,
  expiresAt: true,
} as const;

/** A page of the account's list; what nobody came for in time is not on it any more. */
export async function searchEnrollments(
  ctx: Context,
  input: Omit<PageInput, "filters"> = {},
): Promise<Page<EnrollmentView>> {
  const accountId = memberAccount(ctx.actor);
  const page = validate(pageInput, input);
  return findPage(
    ctx,
    Prisma.sql`"Enrollment"`,
    Prisma.sql`"accountId" = ${accountId} AND ("claimedAt" IS NOT NULL OR "expiresAt" > ${ctx.clock.now()})`,
    page,
    (ids) => ctx.db.enrollment.findMany({ where: { accountId, id: { in: ids } }, select }),
  );
}

export const findEnrollmentInput = idInput;

/** An entry of the account's list. */
export async function findEnrollment(
  ctx: Context,
  input: z.input<typeof findEnrollmentInput>,
): Promise<EnrollmentView> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(findEnrollmentInput, input);
  const row = await ctx.db.enrollment.findFirst({
    where: {
      id,
      accountId,
      OR: [{ claimedAt: { not: null } }, { expiresAt: { gt: new Date(ctx.clock.now()) } }],
    },
    select,
  });
  if (!row) throw notFound("Enrollment");
  return row;
}
