import { z } from "zod";
import type { requestRefusals } from "@/server/bus/messages";
import { contentFormatOf, parsePath } from "@/server/lwm2m";
import { actorLabel, type Context, ownerOf } from "../context";
import { ServiceError } from "../errors";
import { validate } from "../validate";

/** Why a request was not taken. */
export type RequestRefusal = (typeof requestRefusals)[number] | "URI_PATH_DOES_NOT_EXISTS";

/** Empty, null or anything: whatever suits the device. */
const mediaType = z
  .string()
  .trim()
  .max(128, "may have at most 128 characters")
  .nullish()
  .transform((type) => (type && type !== "*/*" ? type : null))
  .refine((type) => type === null || contentFormatOf(type) !== null, "is no media type that CoAP has");

export const sendRequestInput = z.object({
  /** What is no id names no device. */
  deviceId: z.string(),
  /** The application's own name for it, under which the async response comes. */
  asyncId: z.string().regex(/^[\w-]{1,40}$/, "must be 1 to 40 letters, digits, _ or -"),
  method: z.enum(["GET", "PUT", "POST", "DELETE"]),
  /** A path, and a query where there is one: "/5/0/1?pmax=120". */
  uri: z.string().max(1024, "may have at most 1024 characters"),
  accept: mediaType,
  contentType: mediaType,
  payload: z.custom<Uint8Array>((value) => value instanceof Uint8Array, "must be bytes").optional(),
  retry: z.int().min(0).max(10).nullish(),
  expirySeconds: z.int().min(60).max(2_592_000).nullish(),
  /** Sent once; nobody waits for an answer. */
  noResponse: z.boolean().default(false),
});

/** Queues a request to a device; what becomes of it comes through the notification channel of who asked. */
export async function sendRequest(
  ctx: Context,
  input: z.input<typeof sendRequestInput>,
): Promise<{ refused: RequestRefusal | null }> {
  const { accountId, ownerId } = ownerOf(ctx.actor);
  const request = validate(sendRequestInput, input);
  const { deviceId } = request;
  if (!(await ctx.db.device.findFirst({ where: { id: deviceId, accountId }, select: { id: true } })))
    return { refused: "DEVICE_NOT_FOUND" };
  const uri = requestUri(request.uri);
  if (uri === null) return { refused: "URI_PATH_DOES_NOT_EXISTS" };
  return ctx.bus.request("device.request", {
    accountId,
    deviceId,
    ownerId,
    asyncId: request.asyncId,
    actor: actorLabel(ctx.actor),
    method: request.method,
    uri,
    accept: request.accept,
    contentType: request.contentType,
    payload: Buffer.from(request.payload ?? []).toString("base64"),
    retry: request.retry ?? null,
    expirySeconds: request.expirySeconds ?? null,
    noResponse: request.noResponse,
  });
}

/** Bytes that a Uri-Query option holds [RFC7252 §5.10]. */
const MAX_QUERY = 255;

/** A uri as the gateway takes it; null when no LwM2M device can have its path. */
export function requestUri(text: string): string | null {
  const [path = "", ...rest] = text.trim().split("?");
  const plain = devicePath(path);
  if (plain === null) return null;
  const query = rest
    .join("?")
    .split("&")
    .filter((part) => part !== "");
  if (query.some((part) => Buffer.byteLength(part) > MAX_QUERY))
    throw new ServiceError("validation_error", `uri: a part of its query has more than ${MAX_QUERY} bytes`);
  return query.length > 0 ? `${plain}?${query.join("&")}` : plain;
}

/** A path of an object or what is in it, as applications write it (`3//0/0`); null when it is none. */
export function devicePath(text: string): string | null {
  const plain = `/${text.split("/").filter(Boolean).join("/")}`;
  return parsePath(plain)?.length ? plain : null;
}
