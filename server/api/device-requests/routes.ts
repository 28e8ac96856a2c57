import { sendRequest } from "@/server/services/requests/send";
import { operation } from "../operation";
import { z } from "../zod";
import { deviceId, GATEWAY_DOWN, refusal } from "./refusal";

const number = (name: string, min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `${name} must be a whole number`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `${name} must be ${min} to ${max}`)
    .optional()
    .openapi({ type: "integer", minimum: min, maximum: max });

const query = z.object({
  "async-id": z
    .string("MALFORMED_ASYNC_ID")
    .regex(/^[\w-]{1,40}$/, "MALFORMED_ASYNC_ID")
    .openapi({ description: "Your own name for the request, under which its response comes." }),
  retry: number("retry", 0, 10),
  "expiry-seconds": number("expiry-seconds", 60, 2_592_000),
});

const base64 = z
  .string()
  .transform((text) => text.replace(/\s+/g, ""))
  .refine((text) => /^[\w+/-]*={0,2}$/.test(text) && text.replace(/=+$/, "").length % 4 !== 1, "is no base64")
  .transform((text) => Buffer.from(text, "base64"));

const body = z
  .object({
    method: z
      .string("must be GET, PUT, POST or DELETE")
      .transform((text) => text.toUpperCase())
      .pipe(z.enum(["GET", "PUT", "POST", "DELETE"], "must be GET, PUT, POST or DELETE"))
      .openapi({ type: "string", enum: ["GET", "PUT", "POST", "DELETE"] }),
    uri: z
      .string("must be a path")
      .max(1024, "may have at most 1024 characters")
      .openapi({ example: "/3303/0/5700" }),
    accept: z.string().max(128).nullish(),
    "content-type": z.string().max(128).nullish().openapi({ description: "`text/plain` when left out." }),
    "payload-b64": base64.nullish().openapi({ type: ["string", "null"], format: "byte" }),
  })
  .openapi("DeviceRequest");

const STATUSES = {
  DEVICE_NOT_FOUND: 404,
  URI_PATH_DOES_NOT_EXISTS: 404,
  RESOURCE_NOT_FOUND: 400,
  DEVICE_BLOCKED: 400,
  DEVICE_NOT_CONNECTED: 400,
  QUEUE_IS_FULL: 400,
  NO_RESPONSE_NOT_SUPPORTED: 400,
} as const;

export const deviceRequests = [
  operation({
    method: "post",
    path: "/v2/device-requests/{device_id}",
    tag: "Connect",
    scope: "connect",
    summary: "Queue a request to a device; the response comes through the notification channel",
    params: z.object({ device_id: deviceId }),
    query,
    body,
    status: 202,
    plainErrors: true,
    replies: GATEWAY_DOWN,
    handle: async ({ ctx, params, query, body }) => {
      const { refused } = await sendRequest(ctx, {
        deviceId: params.device_id,
        asyncId: query["async-id"],
        method: body.method,
        uri: body.uri,
        accept: body.accept,
        contentType: body["content-type"],
        payload: body["payload-b64"] ?? undefined,
        retry: query.retry,
        expirySeconds: query["expiry-seconds"],
      });
      return refused ? refusal(refused, STATUSES) : undefined;
    },
  }),
];
