import { createApiKey } from "@/server/services/api-keys/create";
import { removeApiKey } from "@/server/services/api-keys/remove";
import { apiKeyFilters, findApiKey, searchApiKeys } from "@/server/services/api-keys/search";
import { resetApiKeySecret, updateApiKey } from "@/server/services/api-keys/update";
import { type Call, type Operation, operation } from "../operation";
import { list, pageOf, pageQuery } from "../paging";
import { roleOfGroups } from "../policy-groups/groups";
import { memberships } from "../policy-groups/memberships";
import { id, z } from "../zod";
import { apiKeyList, apiKeyResponse, createApiKeyBody, updateApiKeyBody } from "./schemas";
import { serializeApiKey } from "./serialize";

const tag = "API keys";
const params = z.object({ apikey_id: id });

async function update(
  { ctx, body }: Call<unknown, unknown, z.output<typeof updateApiKeyBody>>,
  keyId: string,
) {
  const role = roleOfGroups(ctx, body.groups);
  const changes = {
    ...(body.name && { name: body.name }),
    ...(body.status && { status: body.status }),
    ...(body.owner && { ownerId: body.owner }),
    ...(role && { role }),
    ...(body.scopes && { scopes: body.scopes }),
  };
  if (Object.keys(changes).length > 0) await updateApiKey(ctx, { id: keyId, ...changes });
  return serializeApiKey(ctx.actor.accountId, await findApiKey(ctx, { id: keyId }));
}

const groupsOf = (path: string, noun: string, own: boolean): Operation[] =>
  memberships({
    kind: "apiKey",
    path,
    tag,
    noun,
    ...(!own && { params }),
    idOf: (ctx, { apikey_id = "" }) => (own ? ctx.actor.id : apikey_id),
    role: async (ctx, keyId) => (await findApiKey(ctx, { id: keyId })).role,
    answer: {
      response: apiKeyResponse,
      of: async (ctx, keyId) => serializeApiKey(ctx.actor.accountId, await findApiKey(ctx, { id: keyId })),
    },
    deprecated: true,
  });

export const apiKeys: Operation[] = [
  operation({
    method: "get",
    path: "/v3/api-keys",
    tag,
    scope: "read",
    summary: "List API keys",
    query: pageQuery,
    filters: apiKeyFilters,
    status: 200,
    response: apiKeyList,
    handle: async ({ ctx, query, filters }) =>
      list(query, await searchApiKeys(ctx, pageOf(query, filters, true)), (row) =>
        serializeApiKey(ctx.actor.accountId, row),
      ),
  }),
  operation({
    method: "post",
    path: "/v3/api-keys",
    tag,
    scope: "credentials",
    summary: "Make an API key; the only time that it is shown whole",
    body: createApiKeyBody,
    status: 201,
    response: apiKeyResponse,
    handle: async ({ ctx, body }) => {
      const made = await createApiKey(ctx, {
        name: body.name,
        role: roleOfGroups(ctx, body.groups),
        ownerId: body.owner ?? undefined,
        status: body.status ?? undefined,
        scopes: body.scopes ?? undefined,
        expiresAt: body.expiration ? new Date(body.expiration) : null,
      });
      return serializeApiKey(ctx.actor.accountId, await findApiKey(ctx, { id: made.id }), made.key);
    },
  }),
  operation({
    method: "get",
    path: "/v3/api-keys/me",
    tag,
    scope: "read",
    summary: "The key of this request",
    status: 200,
    response: apiKeyResponse,
    handle: async ({ ctx }) =>
      serializeApiKey(ctx.actor.accountId, await findApiKey(ctx, { id: ctx.actor.id })),
  }),
  operation({
    method: "put",
    path: "/v3/api-keys/me",
    tag,
    scope: "credentials",
    summary: "Change the key of this request",
    body: updateApiKeyBody,
    status: 200,
    response: apiKeyResponse,
    handle: (call) => update(call, call.ctx.actor.id),
  }),
  operation({
    method: "get",
    path: "/v3/api-keys/{apikey_id}",
    tag,
    scope: "read",
    summary: "Get an API key",
    params,
    status: 200,
    response: apiKeyResponse,
    handle: async ({ ctx, params }) =>
      serializeApiKey(ctx.actor.accountId, await findApiKey(ctx, { id: params.apikey_id })),
  }),
  operation({
    method: "put",
    path: "/v3/api-keys/{apikey_id}",
    tag,
    scope: "credentials",
    summary: "Change an API key",
    params,
    body: updateApiKeyBody,
    status: 200,
    response: apiKeyResponse,
    handle: (call) => update(call, call.params.apikey_id),
  }),
  operation({
    method: "delete",
    path: "/v3/api-keys/{apikey_id}",
    tag,
    scope: "credentials",
    summary: "Delete an API key",
    params,
    status: 204,
    handle: ({ ctx, params }) => removeApiKey(ctx, { id: params.apikey_id }),
  }),
  operation({
    method: "post",
    path: "/v3/api-keys/{apikey_id}/reset-secret",
    tag,
    scope: "credentials",
    summary: "Give an API key another secret",
    params,
    status: 200,
    response: apiKeyResponse,
    handle: async ({ ctx, params }) => {
      const { id, key } = await resetApiKeySecret(ctx, { id: params.apikey_id });
      return serializeApiKey(ctx.actor.accountId, await findApiKey(ctx, { id }), key);
    },
  }),
  ...groupsOf("/v3/api-keys/me", "the key of this request", true),
  ...groupsOf("/v3/api-keys/{apikey_id}", "an API key", false),
];
