import {
  isSubscribed,
  listSubscriptions,
  subscribe,
  unsubscribe,
} from "@/server/services/subscriptions/explicit";
import { listPresubscriptions, setPresubscriptions } from "@/server/services/subscriptions/presubscriptions";
import { deviceId, GATEWAY_DOWN, refusal } from "../device-requests/refusal";
import { operation, Reply } from "../operation";
import { id, z } from "../zod";

const tag = "Subscriptions";
const scope = "connect";
const ofDevice = z.object({ device_id: id });
const ofResource = z.object({ device_id: id, resource_path: z.string() });

const pattern = z.string().openapi({ description: "May end in `*`." });
const presubscription = z
  .object({
    "endpoint-name": pattern.nullish().openapi({ description: "A device ID or endpoint name." }),
    "endpoint-type": z.string().nullish(),
    "resource-path": z
      .array(pattern)
      .nullish()
      .openapi({ description: "Left out or empty: every observable resource." }),
  })
  .openapi("Presubscription");

const asyncId = z.object({ "async-response-id": z.string() }).openapi("AsyncID");

const STATUSES = {
  DEVICE_NOT_FOUND: 404,
  URI_PATH_DOES_NOT_EXISTS: 404,
  RESOURCE_NOT_FOUND: 404,
  DEVICE_BLOCKED: 400,
  DEVICE_NOT_CONNECTED: 404,
  QUEUE_IS_FULL: 429,
  NO_RESPONSE_NOT_SUPPORTED: 400,
} as const;

export const subscriptions = [
  operation({
    method: "get",
    path: "/v2/subscriptions",
    tag,
    scope,
    summary: "List your pre-subscriptions",
    status: 200,
    response: z.array(presubscription),
    plainErrors: true,
    handle: async ({ ctx }) =>
      (await listPresubscriptions(ctx)).map((row) => ({
        ...(row.endpointName !== null && { "endpoint-name": row.endpointName }),
        ...(row.endpointType !== null && { "endpoint-type": row.endpointType }),
        "resource-path": row.resourcePaths,
      })),
  }),
  operation({
    method: "put",
    path: "/v2/subscriptions",
    tag,
    scope,
    summary: "Replace your pre-subscriptions, which are applied whenever a device registers or updates",
    body: z.array(presubscription),
    status: 204,
    plainErrors: true,
    handle: ({ ctx, body }) =>
      setPresubscriptions(ctx, {
        entries: body.map((entry) => ({
          endpointName: entry["endpoint-name"] ?? undefined,
          endpointType: entry["endpoint-type"] ?? undefined,
          resourcePaths: entry["resource-path"] ?? undefined,
        })),
      }),
  }),
  operation({
    method: "delete",
    path: "/v2/subscriptions",
    tag,
    scope,
    summary: "Delete your pre-subscriptions",
    status: 204,
    plainErrors: true,
    handle: ({ ctx }) => setPresubscriptions(ctx, { entries: [] }),
  }),
  operation({
    method: "get",
    path: "/v2/subscriptions/{device_id}",
    tag,
    scope,
    summary: "List what you are subscribed to at a device, a path per line",
    params: ofDevice,
    status: 200,
    plainErrors: true,
    replies: { 200: { description: "Paths.", contentType: "text/uri-list" }, ...GATEWAY_DOWN },
    handle: async ({ ctx, params }) => {
      const paths = await listSubscriptions(ctx, { deviceId: params.device_id });
      return paths.length > 0
        ? new Reply(200, paths.join("\n"), { "Content-Type": "text/uri-list" })
        : refusal("RESOURCE_NOT_FOUND", STATUSES);
    },
  }),
  operation({
    method: "delete",
    path: "/v2/subscriptions/{device_id}",
    tag,
    scope,
    summary: "End your subscriptions to a device",
    params: ofDevice,
    status: 204,
    plainErrors: true,
    replies: GATEWAY_DOWN,
    handle: ({ ctx, params }) => unsubscribe(ctx, { deviceId: params.device_id }),
  }),
  operation({
    method: "get",
    path: "/v2/subscriptions/{device_id}/{resource_path}",
    tag,
    scope,
    summary: "Whether you are subscribed to an object, instance or resource",
    params: ofResource,
    status: 200,
    plainErrors: true,
    replies: GATEWAY_DOWN,
    handle: async ({ ctx, params }) =>
      (await isSubscribed(ctx, { deviceId: params.device_id, path: params.resource_path }))
        ? undefined
        : refusal("RESOURCE_NOT_FOUND", STATUSES),
  }),
  operation({
    method: "put",
    path: "/v2/subscriptions/{device_id}/{resource_path}",
    tag,
    scope,
    summary: "Subscribe to an object, instance or resource until the device registers anew",
    params: z.object({ device_id: deviceId, resource_path: z.string() }),
    status: 202,
    response: asyncId,
    plainErrors: true,
    replies: {
      200: { description: "Subscribed; the device does not have to be asked." },
      404: { description: "There is no such device or resource.", contentType: "text/plain" },
      429: { description: "The queue of the device is full.", contentType: "text/plain" },
      ...GATEWAY_DOWN,
    },
    handle: async ({ ctx, params }) => {
      const made = await subscribe(ctx, { deviceId: params.device_id, path: params.resource_path });
      if (made.refused) return refusal(made.refused, STATUSES);
      return made.state === "pending" ? { "async-response-id": made.asyncId } : new Reply(200);
    },
  }),
  operation({
    method: "delete",
    path: "/v2/subscriptions/{device_id}/{resource_path}",
    tag,
    scope,
    summary: "End a subscription",
    params: ofResource,
    status: 204,
    plainErrors: true,
    replies: GATEWAY_DOWN,
    handle: ({ ctx, params }) => unsubscribe(ctx, { deviceId: params.device_id, path: params.resource_path }),
  }),
];
