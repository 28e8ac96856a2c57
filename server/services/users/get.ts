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
    select: {
      id: true,
      accountId: true,
      email: true,
      name: true,
      role: true,
      status: true,
      lastLoginAt: true,
      createdAt: true,
    },
  });
  if (!user) throw notFound("User");
  return { ...user, role: user.role === "administrator" ? "administrator" : "developer" };
}
