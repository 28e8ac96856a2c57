import { type Context, memberAccount } from "@/server/services/context";
import {
  type GroupView,
  getGroup,
  groupId,
  listGroups,
  type Role,
  roleOfGroup,
} from "@/server/services/groups/list";
import { failure } from "../errors";
import { iso } from "../serialize";
import { dateTime, id, listOf, z } from "../zod";

export const groupResponse = z
  .object({
    object: z.literal("group"),
    id,
    account_id: id,
    name: z.string(),
    user_count: z.int(),
    apikey_count: z.int(),
    application_count: z.int(),
    created_at: dateTime,
    updated_at: dateTime,
    etag: z.string(),
  })
  .openapi("PolicyGroup");

export const groupList = listOf("PolicyGroupList", groupResponse);

export const serializeGroup = (row: GroupView): z.input<typeof groupResponse> => ({
  object: "group",
  id: row.id,
  account_id: row.accountId,
  name: row.name,
  user_count: row.users,
  apikey_count: row.apiKeys,
  application_count: row.applications,
  created_at: iso(row.createdAt),
  updated_at: iso(row.createdAt),
  etag: "1",
});

/** The two groups, or those of them that are wanted, as one page. */
export async function groupPage(ctx: Context, wanted: (group: GroupView) => boolean) {
  const groups = (await listGroups(ctx)).filter(wanted);
  return {
    object: "list" as const,
    data: groups.map(serializeGroup),
    has_more: false,
    limit: 50,
    order: "ASC" as const,
    after: null,
    total_count: groups.length,
  };
}

/** The group of a role as a page of one. */
export const ownGroups = (ctx: Context, role: Role) =>
  groupPage(ctx, ({ id }) => id === groupId(memberAccount(ctx.actor), role));

export const oneGroup = async (ctx: Context, groupIdWanted: string) =>
  serializeGroup(await getGroup(ctx, { id: groupIdWanted }));

/** The groups that something is to be in. */
export const groupIds = z.array(id).max(10);

/** What the groups of a request stand for. */
export function rolesOfGroups({ actor }: Context, groups: readonly string[]): Role[] {
  const accountId = memberAccount(actor);
  return groups.map((group) => {
    const role = roleOfGroup(accountId, group);
    if (!role) throw failure(400, "validation_error", `groups: ${group} is no policy group of this account`);
    return role;
  });
}

/** The role behind the groups of a request; undefined when it names none. */
export function roleOfGroups(ctx: Context, groups: string[] | null | undefined): Role | undefined {
  if (!groups) return undefined;
  const roles = rolesOfGroups(ctx, groups);
  return roles.includes("administrator") ? "administrator" : "developer";
}
