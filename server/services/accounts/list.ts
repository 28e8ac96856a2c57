import { type Context, requireSystem } from "../context";
import { type AccountView, accountSelect } from "./get";

/** Every account, the oldest first; for the operator. */
export async function listAccounts(ctx: Context): Promise<AccountView[]> {
  requireSystem(ctx.actor);
  return ctx.db.account.findMany({ orderBy: [{ createdAt: "asc" }, { id: "asc" }], select: accountSelect });
}
