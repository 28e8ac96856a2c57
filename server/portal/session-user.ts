import type { Actor, Context } from "@/server/services/context";
import { getSessionUser, type UserView } from "@/server/services/users/get";
import { contextFor } from "./context";

const actorOf = (user: UserView): Actor => ({
  kind: "user",
  id: user.id,
  accountId: user.accountId,
  role: user.role,
  email: user.email,
});

/** The user of a session's token, looked up every time, so that a removed one is out at once. */
export async function userOfToken(
  token: { userId?: string; accountId?: string } | null,
): Promise<UserView | null> {
  if (!token?.userId || !token.accountId) return null;
  const { userId: id, accountId } = token;
  return getSessionUser(contextFor({ kind: "system" }), { id, accountId }).catch(() => null);
}

/** What verbs need, on behalf of this user. */
export const contextOf = (user: UserView): Context => contextFor(actorOf(user));
