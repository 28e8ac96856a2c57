import type { Context } from "../context";

/** Whether the actor may see what belongs to no account: administrators of the first account and the operator. */
export async function seesInstance(ctx: Context): Promise<boolean> {
  const { actor } = ctx;
  if (actor.kind === "operator" || actor.kind === "system") return true;
  if (actor.kind !== "user" || actor.role !== "administrator") return false;
  const first = await ctx.db.account.findFirst({
    orderBy: [{ createdAt: "asc" }, { id: "asc" }],
    select: { id: true },
  });
  return first?.id === actor.accountId;
}
