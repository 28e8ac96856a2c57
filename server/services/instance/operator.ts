import type { Context } from "../context";
import { isAdministrator } from "../context";
import { ServiceError } from "../errors";

/** The account whose administrators run the instance: the first one. */
export async function firstAccountId(ctx: Pick<Context, "db">): Promise<string | null> {
  const first = await ctx.db.account.findFirst({
    orderBy: [{ createdAt: "asc" }, { id: "asc" }],
    select: { id: true },
  });
  return first?.id ?? null;
}

/**
 * Whether the actor may see what belongs to no account, and every account: administrators of the first account, their
 * keys, and the operator.
 */
export async function seesInstance(ctx: Context): Promise<boolean> {
  const { actor } = ctx;
  if (actor.kind === "operator" || actor.kind === "system") return true;
  return isAdministrator(actor) && (await firstAccountId(ctx)) === actor.accountId;
}

/** Lets only those pass who run the instance. */
export async function requireInstanceAdministrator(ctx: Context): Promise<void> {
  if (!(await seesInstance(ctx)))
    throw new ServiceError("forbidden", "Only an administrator of the instance may do this.");
}
