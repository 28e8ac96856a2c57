import { createHash } from "node:crypto";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";

export type Role = "administrator" | "developer";

/** A policy group: the two that every account has, one for each role. */
export interface GroupView {
  id: string;
  accountId: string;
  name: "Administrators" | "Developers";
  role: Role;
  users: number;
  apiKeys: number;
  applications: number;
  createdAt: Date;
}

const names = { administrator: "Administrators", developer: "Developers" } as const;

/** The id of the group of a role; it follows from the account, so that no row is needed. */
export const groupId = (accountId: string, role: Role): string =>
  createHash("sha256").update(`group:${accountId}:${role}`).digest("hex").slice(0, 32);

/** The role that a group of the account stands for; null for an id of no such group. */
export function roleOfGroup(accountId: string, id: string): Role | null {
  if (id === groupId(accountId, "administrator")) return "administrator";
  return id === groupId(accountId, "developer") ? "developer" : null;
}

/** The policy groups of the account. */
export async function listGroups(ctx: Context): Promise<GroupView[]> {
  const accountId = memberAccount(ctx.actor);
  const account = await ctx.db.account.findUnique({ where: { id: accountId }, select: { createdAt: true } });
  if (!account) throw notFound("Account");
  const group = async (role: Role): Promise<GroupView> => ({
    id: groupId(accountId, role),
    accountId,
    name: names[role],
    role,
    users: await ctx.db.user.count({ where: { accountId, role } }),
    apiKeys: await ctx.db.apiKey.count({ where: { accountId, role, applicationId: null } }),
    applications: await ctx.db.application.count({ where: { accountId, role } }),
    createdAt: account.createdAt,
  });
  return Promise.all([group("administrator"), group("developer")]);
}

/** One policy group of the account. */
export async function getGroup(ctx: Context, { id }: { id: string }): Promise<GroupView> {
  const group = (await listGroups(ctx)).find((one) => one.id === id);
  if (!group) throw notFound("Policy group");
  return group;
}
