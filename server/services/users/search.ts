import { Prisma } from "@/server/db";
import { type Context, memberAccount } from "../context";
import { compileFilters, type FilterFields, MEMBERSHIP } from "../filter";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { validate } from "../validate";
import type { UserView } from "./get";

/** What users can be filtered by. */
export const userFilters = {
  email: {
    sql: Prisma.sql`"email"`,
    kind: "text",
    operators: MEMBERSHIP,
    stored: (text) => text.toLowerCase(),
  },
  status: { sql: Prisma.sql`"status"`, kind: "text", operators: MEMBERSHIP },
} as const satisfies FilterFields;

/** A page of the account's users. */
export async function searchUsers(ctx: Context, input: PageInput = {}): Promise<Page<UserView>> {
  const accountId = memberAccount(ctx.actor);
  const page = validate(pageInput, input);
  return findPage(
    ctx,
    Prisma.sql`"User"`,
    Prisma.sql`"accountId" = ${accountId}${compileFilters(userFilters, page.filters)}`,
    page,
    async (ids) => {
      const rows = await ctx.db.user.findMany({
        where: { accountId, id: { in: ids } },
        select: {
          id: true,
          accountId: true,
          email: true,
          name: true,
          role: true,
          status: true,
          lastLoginAt: true,
          createdAt: true,
        },
      });
      return rows.map((row) => ({
        ...row,
        role: row.role === "administrator" ? ("administrator" as const) : ("developer" as const),
      }));
    },
  );
}
