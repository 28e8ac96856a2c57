import {
  createAccessKey,
  removeAccessKey,
  updateAccessKey,
} from "@/server/services/applications/access-keys";
import {
  createApplication,
  removeApplication,
  updateApplication,
} from "@/server/services/applications/change";
import {
  accessKeyFilters,
  applicationFilters,
  findAccessKey,
  findApplication,
  searchAccessKeys,
  searchApplications,
} from "@/server/services/applications/search";
import { type Operation, operation } from "../operation";
import { list, pageOf, pageQuery } from "../paging";
import { roleOfGroups } from "../policy-groups/groups";
import { memberships } from "../policy-groups/memberships";
import { id, z } from "../zod";
import {
  accessKeyList,
  accessKeyResponse,
  applicationList,
  applicationResponse,
  createAccessKeyBody,
  createApplicationBody,
  updateAccessKeyBody,
  updateApplicationBody,
} from "./schemas";
import { serializeAccessKey, serializeApplication } from "./serialize";

const tag = "Applications";
const params = z.object({ application_id: id });
const keyParams = params.extend({ access_key_id: id });

// The time is only needed to find keys, not to know what they can be found by.
const keyFilters = accessKeyFilters(0);

export const applications: Operation[] = [
  operation({
    method: "get",
    path: "/v3/applications",
    tag,
    scope: "read",
    summary: "List applications",
    query: pageQuery,
    filters: applicationFilters,
    status: 200,
    response: applicationList,
    handle: async ({ ctx, query, filters }) =>
      list(query, await searchApplications(ctx, pageOf(query, filters, true)), serializeApplication),
  }),
  operation({
    method: "post",
    path: "/v3/applications",
    tag,
    scope: "credentials",
    summary: "Make an application",
    body: createApplicationBody,
    status: 201,
    response: applicationResponse,
    handle: async ({ ctx, body }) => {
      const made = await createApplication(ctx, {
        name: body.name,
        description: body.description ?? undefined,
        role: roleOfGroups(ctx, body.groups),
        status: body.status ?? undefined,
      });
      return serializeApplication(await findApplication(ctx, made));
    },
  }),
  operation({
    method: "get",
    path: "/v3/applications/{application_id}",
    tag,
    scope: "read",
    summary: "Get an application",
    params,
    status: 200,
    response: applicationResponse,
    handle: async ({ ctx, params }) =>
      serializeApplication(await findApplication(ctx, { id: params.application_id })),
  }),
  operation({
    method: "put",
    path: "/v3/applications/{application_id}",
    tag,
    scope: "credentials",
    summary: "Change an application; one made inactive loses its channel and subscriptions",
    params,
    body: updateApplicationBody,
    status: 200,
    response: applicationResponse,
    handle: async ({ ctx, params, body }) => {
      const target = { id: params.application_id };
      const role = roleOfGroups(ctx, body.groups);
      const changes = {
        ...(body.name && { name: body.name }),
        ...(typeof body.description === "string" && { description: body.description }),
        ...(body.status && { status: body.status }),
        ...(role && { role }),
      };
      if (Object.keys(changes).length > 0) await updateApplication(ctx, { ...target, ...changes });
      return serializeApplication(await findApplication(ctx, target));
    },
  }),
  operation({
    method: "delete",
    path: "/v3/applications/{application_id}",
    tag,
    scope: "credentials",
    summary: "Delete an application with its keys",
    params,
    status: 204,
    handle: ({ ctx, params }) => removeApplication(ctx, { id: params.application_id }),
  }),
  ...memberships({
    kind: "application",
    path: "/v3/applications/{application_id}",
    tag,
    noun: "an application",
    params,
    idOf: (_, { application_id = "" }) => application_id,
    role: async (ctx, id) => (await findApplication(ctx, { id })).role,
    deprecated: false,
  }),
  operation({
    method: "get",
    path: "/v3/applications/{application_id}/access-keys",
    tag,
    scope: "read",
    summary: "List the access keys of an application",
    params,
    query: pageQuery,
    filters: keyFilters,
    status: 200,
    response: accessKeyList,
    handle: async ({ ctx, params, query, filters }) => {
      const page = { ...pageOf(query, filters, true), applicationId: params.application_id };
      return list(query, await searchAccessKeys(ctx, page), (row) => serializeAccessKey(row));
    },
  }),
  operation({
    method: "post",
    path: "/v3/applications/{application_id}/access-keys",
    tag,
    scope: "credentials",
    summary: "Make an access key; the only time that it is shown whole",
    params,
    body: createAccessKeyBody,
    status: 201,
    response: accessKeyResponse,
    handle: async ({ ctx, params, body }) => {
      const { id, key } = await createAccessKey(ctx, {
        applicationId: params.application_id,
        name: body.name,
        description: body.description ?? undefined,
        expiresAt: body.expiration ? new Date(body.expiration) : null,
        status: body.status ?? undefined,
        scopes: body.scopes ?? undefined,
      });
      return serializeAccessKey(await findAccessKey(ctx, { id }), key);
    },
  }),
  operation({
    method: "get",
    path: "/v3/applications/{application_id}/access-keys/{access_key_id}",
    tag,
    scope: "read",
    summary: "Get an access key of an application",
    params: keyParams,
    status: 200,
    response: accessKeyResponse,
    handle: async ({ ctx, params }) =>
      serializeAccessKey(
        await findAccessKey(ctx, { id: params.access_key_id, applicationId: params.application_id }),
      ),
  }),
  operation({
    method: "put",
    path: "/v3/applications/{application_id}/access-keys/{access_key_id}",
    tag,
    scope: "credentials",
    summary: "Change an access key",
    params: keyParams,
    body: updateAccessKeyBody,
    status: 200,
    response: accessKeyResponse,
    handle: async ({ ctx, params, body }) => {
      const target = { id: params.access_key_id, applicationId: params.application_id };
      const changes = {
        ...(body.name && { name: body.name }),
        ...(typeof body.description === "string" && { description: body.description }),
        ...(body.expiration !== undefined && {
          expiresAt: body.expiration ? new Date(body.expiration) : null,
        }),
        ...(body.status && body.status !== "EXPIRED" && { status: body.status }),
        ...(body.scopes && { scopes: body.scopes }),
      };
      if (Object.keys(changes).length > 0) await updateAccessKey(ctx, { ...target, ...changes });
      return serializeAccessKey(await findAccessKey(ctx, target));
    },
  }),
  operation({
    method: "delete",
    path: "/v3/applications/{application_id}/access-keys/{access_key_id}",
    tag,
    scope: "credentials",
    summary: "Delete an access key",
    params: keyParams,
    status: 204,
    handle: ({ ctx, params }) =>
      removeAccessKey(ctx, { id: params.access_key_id, applicationId: params.application_id }),
  }),
];

export const accessKeys: Operation[] = [
  operation({
    method: "get",
    path: "/v3/access-keys",
    tag,
    scope: "read",
    summary: "List the access keys of all applications",
    query: pageQuery,
    filters: keyFilters,
    status: 200,
    response: accessKeyList,
    handle: async ({ ctx, query, filters }) =>
      list(query, await searchAccessKeys(ctx, pageOf(query, filters, true)), (row) =>
        serializeAccessKey(row),
      ),
  }),
  operation({
    method: "get",
    path: "/v3/access-keys/{access_key_id}",
    tag,
    scope: "read",
    summary: "Get an access key",
    params: z.object({ access_key_id: id }),
    status: 200,
    response: accessKeyResponse,
    handle: async ({ ctx, params }) =>
      serializeAccessKey(await findAccessKey(ctx, { id: params.access_key_id })),
  }),
];
