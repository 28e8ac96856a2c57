import { mediaTypeOf } from "@/server/lwm2m";
import { listEndpointResources, listEndpoints } from "@/server/services/devices/endpoints";
import { operation } from "../operation";
import { id, z } from "../zod";

const tag = "Connect";

const endpoint = z
  .object({ name: id, type: z.string(), status: z.literal("ACTIVE"), q: z.boolean() })
  .openapi("Endpoint");

const resource = z
  .object({ uri: z.string(), rt: z.string(), obs: z.boolean(), type: z.string() })
  .openapi("Resource");

export const endpoints = [
  operation({
    method: "get",
    path: "/v2/endpoints",
    tag,
    scope: "read",
    summary: "List registered devices",
    query: z.object({ type: z.string().max(64).optional() }),
    status: 200,
    response: z.array(endpoint),
    plainErrors: true,
    handle: async ({ ctx, query }) =>
      (await listEndpoints(ctx, { endpointType: query.type })).map((row) => ({
        name: row.id,
        type: row.endpointType,
        status: "ACTIVE" as const,
        q: row.queueMode,
      })),
  }),
  operation({
    method: "get",
    path: "/v2/endpoints/{device_id}",
    tag,
    scope: "read",
    summary: "List the resources of a registered device; it is not asked",
    params: z.object({ device_id: id }),
    status: 200,
    response: z.array(resource),
    plainErrors: true,
    handle: async ({ ctx, params }) =>
      (await listEndpointResources(ctx, { id: params.device_id })).map((row) => ({
        uri: row.path,
        rt: row.resourceType,
        obs: row.observable,
        type: row.contentFormat === null ? "" : (mediaTypeOf(row.contentFormat) ?? ""),
      })),
  }),
];
