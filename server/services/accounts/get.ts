import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";

/** An account as its members see it. */
export interface AccountView {
  id: string;
  name: string;
  createdAt: Date;
}

export const accountSelect = { id: true, name: true, createdAt: true } as const;

/** The account of the actor. */
export async function getAccount(ctx: Context): Promise<AccountView> {
  const id = memberAccount(ctx.actor);
  const account = await ctx.db.account.findUnique({ where: { id }, select: accountSelect });
  if (!account) throw notFound("Account");
  return account;
}
