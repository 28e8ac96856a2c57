import { findApiKey } from "@/server/services/api-keys/search";
import { notFound } from "@/server/services/errors";
import { groupId } from "@/server/services/groups/list";
import { getUser, type UserView } from "@/server/services/users/get";
import { searchUsers, userFilters } from "@/server/services/users/search";
import { operation } from "../operation";
import { list, pageOf, pageQuery } from "../paging";
import { iso } from "../serialize";
import { id, z } from "../zod";
import { userList, userResponse } from "./schemas";

const tag = "Users";

function serializeUser(row: UserView): z.input<typeof userResponse> {
  return {
    object: "user",
    id: row.id,
    account_id: row.accountId,
    email: row.email,
    full_name: row.name,
    username: null,
    status: row.status === "ACTIVE" ? "ACTIVE" : "INACTIVE",
    groups: [groupId(row.accountId, row.role)],
    email_verified: true,
    is_totp_enabled: false,
    is_gtc_accepted: true,
    is_marketing_accepted: false,
    login_history: [],
    created_at: iso(row.createdAt),
    creation_time: row.createdAt.getTime(),
    last_login_time: row.lastLoginAt?.getTime() ?? 0,
    updated_at: iso(row.createdAt),
    etag: "1",
  };
}

export const users = [
  operation({
    method: "get",
    path: "/v3/users",
    tag,
    scope: "read",
    summary: "List users",
    query: pageQuery,
    filters: userFilters,
    status: 200,
    response: userList,
    handle: async ({ ctx, query, filters }) =>
      list(query, await searchUsers(ctx, pageOf(query, filters, true)), serializeUser),
  }),
  operation({
    method: "get",
    path: "/v3/users/me",
    tag,
    scope: "read",
    summary: "The user whom the key of this request acts for",
    status: 200,
    response: userResponse,
    handle: async ({ ctx }) => {
      const { ownerId } = await findApiKey(ctx, { id: ctx.actor.id });
      if (!ownerId) throw notFound("User");
      return serializeUser(await getUser(ctx, { id: ownerId }));
    },
  }),
  operation({
    method: "get",
    path: "/v3/users/{user_id}",
    tag,
    scope: "read",
    summary: "Get a user",
    params: z.object({ user_id: id }),
    status: 200,
    response: userResponse,
    handle: async ({ ctx, params }) => serializeUser(await getUser(ctx, { id: params.user_id })),
  }),
];
