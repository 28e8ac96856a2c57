import { type Context, requireSystem } from "../context";
import { type AccountView, accountSelect, accountView } from "./get";

/** The first account of the instance, or null when nobody has signed up. */
export async function defaultAccount(ctx: Context): Promise<AccountView | null> {
  requireSystem(ctx.actor);
  const row = await ctx.db.account.findFirst({
    orderBy: [{ createdAt: "asc" }, { id: "asc" }],
    select: accountSelect,
  });
  return row && accountView(row);
}
