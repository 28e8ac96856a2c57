import { type Context, requireSystem } from "../context";
import { type AccountView, accountSelect } from "./get";

/** The first account of the instance, or null when nobody has signed up. */
export async function defaultAccount(ctx: Context): Promise<AccountView | null> {
  requireSystem(ctx.actor);
  return ctx.db.account.findFirst({ orderBy: [{ createdAt: "asc" }, { id: "asc" }], select: accountSelect });
}
