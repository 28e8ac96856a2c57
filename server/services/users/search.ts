import { Prisma } from "@/server/db";
import { type Context, memberAccount } from "../context";
import { compileFilters, type FilterFields, MEMBERSHIP } from "../filter";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { validate } from "../validate";
import { type UserView, userSelect, viewUser } from "./get";

/** What users can be filtered by. */
export const userFilters = {
  email: {
    sql: Prisma.sql`"email"`,
    kind: "text",
    operators: MEMBERSHIP,
    stored: (text) => text.toLowerCase(),
  },
  role: { sql: Prisma.sql`"role"`, kind: "text", operators: MEMBERSHIP },
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
        select: userSelect,
      });
      return rows.map(viewUser);
    },
  );
}
