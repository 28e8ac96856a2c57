import type { z } from "zod";
import { type Context, memberAccount, requireSystem } from "../context";
import { notFound } from "../errors";
import { idInput, validate } from "../validate";

/** A user as the members of the account see them. */
export interface UserView {
  id: string;
  accountId: string;
  email: string;
  name: string;
  username: string | null;
  phoneNumber: string | null;
  address: string | null;
  role: "administrator" | "developer";
  /** ENROLLING and INVITED: has no password yet, and a link to give themselves one. */
  status: "ACTIVE" | "INACTIVE" | "ENROLLING" | "INVITED";
  lastLoginAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
}

export const getUserInput = idInput;

/** A user of the actor's account. */
export async function getUser(ctx: Context, input: z.input<typeof getUserInput>): Promise<UserView> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(getUserInput, input);
  const user = await ctx.db.user.findFirst({ where: { id, accountId }, select: userSelect });
  if (!user) throw notFound("User");
  return viewUser(user);
}

/** The user of a session; null once they, or their account, may not come in any more. */
export async function getSessionUser(
  ctx: Context,
  { id, accountId }: { id: string; accountId: string },
): Promise<UserView | null> {
  requireSystem(ctx.actor);
  const user = await ctx.db.user.findFirst({
    where: { id, accountId, status: "ACTIVE", account: { status: "ACTIVE" } },
    select: userSelect,
  });
  return user && viewUser(user);
}

/** The columns of a user that may be shown. */
export const userSelect = {
  id: true,
  accountId: true,
  email: true,
  name: true,
  username: true,
  phoneNumber: true,
  address: true,
  role: true,
  status: true,
  lastLoginAt: true,
  createdAt: true,
  updatedAt: true,
} as const;

/** A row of these columns as verbs return it. */
export function viewUser({
  role,
  status,
  ...row
}: Omit<UserView, "role" | "status"> & { role: string; status: string }): UserView {
  return {
    ...row,
    role: role === "administrator" ? "administrator" : "developer",
    status: status === "ACTIVE" || status === "ENROLLING" || status === "INVITED" ? status : "INACTIVE",
  };
}

/** What the audit log tells of a user. */
export const userFacts = ({ email, name, username, phoneNumber, address, role, status }: UserView) => ({
  email,
  name,
  username,
  phoneNumber,
  address,
  role,
  status,
});
