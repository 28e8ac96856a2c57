import { type GroupView, getGroup, listGroups } from "@/server/services/groups/list";
import { operation } from "../operation";
import { iso } from "../serialize";
import { dateTime, id, listOf, z } from "../zod";

const tag = "Policy groups";

const groupResponse = z
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

function serializeGroup(row: GroupView): z.input<typeof groupResponse> {
  return {
    object: "group",
    id: row.id,
    account_id: row.accountId,
    name: row.name,
    user_count: row.users,
    apikey_count: row.apiKeys,
    application_count: 0,
    created_at: iso(row.createdAt),
    updated_at: iso(row.createdAt),
    etag: "1",
  };
}

export const policyGroups = [
  operation({
    method: "get",
    path: "/v3/policy-groups",
    tag,
    scope: "read",
    summary: "List the two policy groups",
    query: z.object({ name__eq: z.string().optional() }),
    status: 200,
    response: listOf("PolicyGroupList", groupResponse),
    handle: async ({ ctx, query }) => {
      const groups = (await listGroups(ctx)).filter(
        ({ name }) => query.name__eq === undefined || query.name__eq === name,
      );
      return {
        object: "list" as const,
        data: groups.map(serializeGroup),
        has_more: false,
        limit: 50,
        order: "ASC" as const,
        after: null,
        total_count: groups.length,
      };
    },
  }),
  operation({
    method: "get",
    path: "/v3/policy-groups/{group_id}",
    tag,
    scope: "read",
    summary: "Get a policy group",
    params: z.object({ group_id: id }),
    status: 200,
    response: groupResponse,
    handle: async ({ ctx, params }) => serializeGroup(await getGroup(ctx, { id: params.group_id })),
  }),
];
