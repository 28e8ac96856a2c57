import type { Actor, Context } from "@/server/services/context";
import { getUser, type UserView } from "@/server/services/users/get";
import { contextFor } from "./context";

const actorOf = (user: Pick<UserView, "id" | "accountId" | "role" | "email">): Actor => ({
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
  const self = { id: token.userId, accountId: token.accountId, role: "developer", email: "" } as const;
  const user = await getUser(contextFor(actorOf(self)), { id: token.userId }).catch(() => null);
  return user?.status === "ACTIVE" ? user : null;
}

/** What verbs need, on behalf of this user. */
export const contextOf = (user: UserView): Context => contextFor(actorOf(user));
