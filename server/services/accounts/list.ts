import { Prisma } from "@/server/db";
import { type Context, requireSystem } from "../context";
import { compileFilters, type FilterFields, MEMBERSHIP } from "../filter";
import { requireInstanceAdministrator } from "../instance/operator";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { validate } from "../validate";
import { type AccountView, accountSelect, accountView } from "./get";

/** Every account, the oldest first; for the operator. */
export async function listAccounts(ctx: Context): Promise<AccountView[]> {
  requireSystem(ctx.actor);
  const rows = await ctx.db.account.findMany({
    orderBy: [{ createdAt: "asc" }, { id: "asc" }],
    select: accountSelect,
  });
  return rows.map(accountView);
}

/** What accounts can be filtered by. */
export const accountFilters = {
  display_name: { sql: Prisma.sql`"name"`, kind: "text", operators: MEMBERSHIP },
  status: { sql: Prisma.sql`"status"`, kind: "text", operators: MEMBERSHIP },
} as const satisfies FilterFields;

/** A page of all accounts, for administrators of the instance. */
export async function searchAccounts(ctx: Context, input: PageInput = {}): Promise<Page<AccountView>> {
  await requireInstanceAdministrator(ctx);
  const page = validate(pageInput, input);
  return findPage(
    ctx,
    Prisma.sql`"Account"`,
    Prisma.sql`TRUE${compileFilters(accountFilters, page.filters)}`,
    page,
    async (ids) => {
      const rows = await ctx.db.account.findMany({ where: { id: { in: ids } }, select: accountSelect });
      return rows.map(accountView);
    },
  );
}
