import { findDevice } from "@/server/services/devices/search";
import { ServiceError } from "@/server/services/errors";
import { newId } from "@/server/services/ids";
import { getCachedValue } from "@/server/services/requests/cached-value";
import { devicePath, type RequestRefusal, sendRequest } from "@/server/services/requests/send";
import { deviceId, GATEWAY_DOWN, refusal } from "../device-requests/refusal";
import { type Call, type Operation, operation, Reply } from "../operation";
import { z } from "../zod";

/** What bodies may be, and what may be asked for in `Accept`. */
const MEDIA_TYPES = [
  "text/plain",
  "application/xml",
  "application/octet-stream",
  "application/exi",
  "application/json",
  "application/link-format",
  "application/cbor",
  "application/senml+json",
  "application/senml+cbor",
  "application/nanoservice-tlv",
  "application/vnd.oma.lwm2m+text",
  "application/vnd.oma.lwm2m+opaq",
  "application/vnd.oma.lwm2m+tlv",
  "application/vnd.oma.lwm2m+json",
  "application/vnd.oma.lwm2m+cbor",
];

const STATUSES: Readonly<Record<RequestRefusal, number>> = {
  DEVICE_NOT_FOUND: 404,
  URI_PATH_DOES_NOT_EXISTS: 404,
  RESOURCE_NOT_FOUND: 404,
  DEVICE_BLOCKED: 400,
  // Of what is sent at once (`noResp`).
  DEVICE_NOT_CONNECTED: 502,
  QUEUE_IS_FULL: 429,
  NO_RESPONSE_NOT_SUPPORTED: 409,
};

const resource = z.object({ device_id: deviceId, resource_path: z.string() });
const flag = z
  .string()
  .transform((text) => text.toLowerCase() === "true")
  .optional()
  .openapi({ type: "boolean" });
const attribute = z
  .string()
  .regex(/^-?\d{1,15}(\.\d{1,15})?$/, "must be a number")
  .optional();
/** Notification attributes that are written with a PUT [LwM2M-Core 1.1.1 §5.1.2]. */
const attributes = {
  pmin: attribute,
  pmax: attribute,
  gt: attribute,
  lt: attribute,
  st: attribute,
  epmin: attribute,
  epmax: attribute,
};

const asyncId = z.object({ "async-response-id": z.string() }).openapi("AsyncID");

const REPLIES: NonNullable<Operation["replies"]> = {
  204: { description: "Sent (`noResp`); nothing is told of what becomes of it." },
  404: { description: "There is no such device or resource.", contentType: "text/plain" },
  409: { description: "`noResp` does not work with this device.", contentType: "text/plain" },
  410: { description: "The device is not registered any longer.", contentType: "text/plain" },
  429: { description: "The queue of the device is full.", contentType: "text/plain" },
  502: { description: "The device is not connected (`noResp`).", contentType: "text/plain" },
  ...GATEWAY_DOWN,
};

const mediaType = (header: string | null | undefined): string | null => {
  const type = header?.split(";")[0]?.trim().toLowerCase();
  return type && MEDIA_TYPES.includes(type) ? type : null;
};

/** What the client accepts, as far as a device can be asked for it. */
const accepted = (call: Pick<Call<unknown, unknown, unknown>, "raw">): string | null =>
  call.raw.header("accept")?.split(",").map(mediaType).find(Boolean) ?? null;

async function send(
  {
    ctx,
    params,
    query,
    raw,
  }: Pick<
    Call<z.output<typeof resource>, { noResp?: boolean | undefined }, unknown>,
    "ctx" | "params" | "query" | "raw"
  >,
  method: "GET" | "PUT" | "POST" | "DELETE",
  search = "",
) {
  const id = newId(ctx.clock.now());
  const carries = (method === "PUT" || method === "POST") && raw.body.length > 0;
  const { refused } = await sendRequest(ctx, {
    deviceId: params.device_id,
    asyncId: id,
    method,
    // What is a question mark here was an encoded one, and begins no query.
    uri: `${params.resource_path.replaceAll("?", "%3F")}${search && `?${search}`}`,
    accept: accepted({ raw }),
    ...(carries && { contentType: mediaType(raw.contentType), payload: raw.body }),
    noResponse: query.noResp ?? false,
  });
  if (refused === "DEVICE_NOT_FOUND" && (await isKnown(ctx, params.device_id)))
    return new Reply(410, "DEVICE_NOT_CONNECTED", { "Content-Type": "text/plain; charset=utf-8" });
  if (refused) return refusal(refused, STATUSES);
  return query.noResp ? new Reply(204) : { "async-response-id": id };
}

/** The directory has the device, registered or not. */
async function isKnown(ctx: Parameters<typeof findDevice>[0], id: string): Promise<boolean> {
  try {
    await findDevice(ctx, { id });
    return true;
  } catch (error) {
    if (error instanceof ServiceError && (error.code === "not_found" || error.code === "validation_error"))
      return false;
    throw error;
  }
}

const shared = {
  path: "/v2/endpoints/{device_id}/{resource_path}",
  tag: "Connect",
  scope: "connect",
  params: resource,
  status: 202,
  response: asyncId,
  plainErrors: true,
} as const;

/** The older way to reach a device; a response comes through the notification channel all the same. */
export const endpointResources = [
  operation({
    ...shared,
    method: "get",
    summary: "Read a resource, from what it last notified or from the device (deprecated)",
    query: z.object({ cacheOnly: flag, noResp: flag }),
    replies: {
      200: {
        description: "What the device notified within its `max-age`; bytes where the resource holds bytes.",
        contentType: "text/plain",
      },
      205: { description: "There is no such value (`cacheOnly`)." },
      ...REPLIES,
    },
    handle: async (call) => {
      const { ctx, params, query } = call;
      const path = devicePath(params.resource_path);
      const cached = path && (await getCachedValue(ctx, { deviceId: params.device_id, path }));
      const asked = accepted(call);
      if (cached && (asked === null || asked === cached.contentType))
        return new Reply(200, cached.payload, {
          "Content-Type": cached.contentType,
          "Cache-Control": `max-age=${cached.maxAge}`,
        });
      if (!query.cacheOnly) return send(call, "GET");
      return (await isKnown(ctx, params.device_id)) ? new Reply(205) : refusal("DEVICE_NOT_FOUND", STATUSES);
    },
  }),
  operation({
    ...shared,
    method: "put",
    summary: "Write a resource, or its notification attributes when there is no body (deprecated)",
    query: z.object({ noResp: flag, ...attributes }),
    rawBody: { contentTypes: MEDIA_TYPES },
    replies: REPLIES,
    handle: (call) => {
      const { noResp: _, ...given } = call.query;
      const search = Object.entries(given).flatMap(([name, value]) =>
        value === undefined ? [] : [`${name}=${value}`],
      );
      return send(call, "PUT", search.join("&"));
    },
  }),
  operation({
    ...shared,
    method: "post",
    summary: "Execute a resource, or create an object instance (deprecated)",
    query: z.object({ noResp: flag }),
    rawBody: { contentTypes: MEDIA_TYPES },
    replies: REPLIES,
    handle: (call) => send(call, "POST"),
  }),
  operation({
    ...shared,
    method: "delete",
    summary: "Delete an object instance (deprecated)",
    query: z.object({ noResp: flag }),
    replies: REPLIES,
    handle: (call) => send(call, "DELETE"),
  }),
];
