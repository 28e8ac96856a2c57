import type { z } from "zod";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { idInput, validate } from "../validate";

/** A user as the members of the account see them. */
export interface UserView {
  id: string;
  accountId: string;
  email: string;
  name: string;
  role: "administrator" | "developer";
  status: string;
  lastLoginAt: Date | null;
  createdAt: Date;
}

export const getUserInput = idInput;

/** A user of the actor's account. */
export async function getUser(ctx: Context, input: z.input<typeof getUserInput>): Promise<UserView> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(getUserInput, input);
  const user = await ctx.db.user.findFirst({
    where: { id, accountId },
    select: userSelect,
  });
  if (!user) throw notFound("User");
  return viewUser(user);
}

/** The columns of a user that may be shown. */
export const userSelect = {
  id: true,
  accountId: true,
  email: true,
  name: true,
  role: true,
  status: true,
  lastLoginAt: true,
  createdAt: true,
} as const;

/** A row of these columns as verbs return it. */
export function viewUser(row: Omit<UserView, "role"> & { role: string }): UserView {
  return { ...row, role: row.role === "administrator" ? "administrator" : "developer" };
}
