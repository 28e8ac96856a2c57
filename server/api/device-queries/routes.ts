import { createDeviceQuery } from "@/server/services/device-queries/create";
import { removeDeviceQuery } from "@/server/services/device-queries/remove";
import {
  type DeviceQueryView,
  deviceQueryFilters,
  findDeviceQuery,
  searchDeviceQueries,
} from "@/server/services/device-queries/search";
import { updateDeviceQuery } from "@/server/services/device-queries/update";
import { operation } from "../operation";
import { list, pageOf, pageQuery } from "../paging";
import { iso } from "../serialize";
import { dateTime, id, listOf, name, z } from "../zod";

const tag = "Device queries";
const params = z.object({ query_id: id });

const response = z
  .object({
    object: z.literal("device-query"),
    id,
    name: z.string(),
    query: z.string(),
    created_at: dateTime,
    updated_at: dateTime,
    etag: dateTime,
  })
  .openapi("DeviceQuery");

const body = z
  .object({
    name: name(200),
    query: z
      .string()
      .max(1000, "may have at most 1000 characters")
      // What the JavaScript SDK sends for a query without any condition.
      .nullable()
      .openapi({
        description: "Conditions on devices joined by `&`, not encoded.",
        example: "state=registered&custom_attributes__colour=red",
      }),
  })
  .openapi("DeviceQueryInput");

const serialize = (row: DeviceQueryView): z.input<typeof response> => ({
  object: "device-query",
  id: row.id,
  name: row.name,
  query: row.query,
  created_at: iso(row.createdAt),
  updated_at: iso(row.updatedAt),
  etag: iso(row.updatedAt),
});

export const deviceQueries = [
  operation({
    method: "get",
    path: "/v3/device-queries",
    tag,
    scope: "read",
    summary: "List saved filters of the directory",
    query: pageQuery,
    filters: deviceQueryFilters,
    status: 200,
    response: listOf("DeviceQueryList", response),
    handle: async ({ ctx, query, filters }) =>
      list(query, await searchDeviceQueries(ctx, pageOf(query, filters, true)), serialize),
  }),
  operation({
    method: "post",
    path: "/v3/device-queries",
    tag,
    scope: "manage",
    summary: "Save a filter of the directory",
    body,
    status: 201,
    response,
    handle: async ({ ctx, body }) =>
      serialize(
        await findDeviceQuery(
          ctx,
          await createDeviceQuery(ctx, { name: body.name, query: body.query ?? "" }),
        ),
      ),
  }),
  operation({
    method: "get",
    path: "/v3/device-queries/{query_id}",
    tag,
    scope: "read",
    summary: "Get a saved filter",
    params,
    status: 200,
    response,
    handle: async ({ ctx, params }) => serialize(await findDeviceQuery(ctx, { id: params.query_id })),
  }),
  operation({
    method: "put",
    path: "/v3/device-queries/{query_id}",
    tag,
    scope: "manage",
    summary: "Rename and replace a saved filter",
    params,
    body,
    status: 200,
    response,
    handle: async ({ ctx, params: { query_id: id }, body }) => {
      await updateDeviceQuery(ctx, { id, name: body.name, query: body.query ?? "" });
      return serialize(await findDeviceQuery(ctx, { id }));
    },
  }),
  operation({
    method: "delete",
    path: "/v3/device-queries/{query_id}",
    tag,
    scope: "manage",
    summary: "Delete a saved filter",
    params,
    status: 204,
    handle: ({ ctx, params }) => removeDeviceQuery(ctx, { id: params.query_id }),
  }),
];
