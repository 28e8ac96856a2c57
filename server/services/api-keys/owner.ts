import { type Context, isAdministrator, memberAccount, requireAdministrator, type Scope } from "../context";
import { ServiceError } from "../errors";
import { requireScopes } from "./scopes";

/** Checks that a key may be given to this user of the account. */
export async function ownerOf(ctx: Context, ownerId: string): Promise<string> {
  if (ctx.actor.kind === "user" && ctx.actor.id === ownerId) return ownerId;
  const accountId = requireAdministrator(ctx.actor);
  if ((await ctx.db.user.count({ where: { id: ownerId, accountId } })) === 0)
    throw new ServiceError("validation_error", "owner: is no user of this account", [
      { name: "owner", message: "is no user of this account" },
    ]);
  return ownerId;
}

/** Whom a new key acts for when nobody says: the user who makes it, or the owner of the key that makes it. */
export async function ownOwner(ctx: Context): Promise<string | null> {
  const accountId = memberAccount(ctx.actor);
  if (ctx.actor.kind === "apiKey") {
    const own = await ctx.db.apiKey.findFirst({
      where: { id: ctx.actor.id, accountId },
      select: { ownerId: true },
    });
    return own?.ownerId ?? null;
  }
  if (ctx.actor.kind !== "user") return null;
  // Whoever was deleted since owns nothing.
  const user = await ctx.db.user.findFirst({ where: { id: ctx.actor.id, accountId }, select: { id: true } });
  return user?.id ?? null;
}

/** Nobody makes, changes, or gets hold of, a key that may do more than themselves. */
export function mayGovern({ actor }: Context, key: { role: string; scopes: readonly Scope[] }): void {
  if (key.role !== "developer" && !isAdministrator(actor))
    throw new ServiceError("forbidden", "Only an administrator may change the keys of administrators.");
  requireScopes(actor, key.scopes);
}
