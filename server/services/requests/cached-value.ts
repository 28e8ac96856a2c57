import { z } from "zod";
import { resourceValue } from "@/server/bus/messages";
import { ContentError, encodeContent } from "@/server/lwm2m";
import { type Context, memberAccount } from "../context";
import { validate } from "../validate";

/** How long a value is fresh when the device does not say: Max-Age by default [RFC7252 §5.10.5]. */
export const MAX_AGE_SECONDS = 60;

const TEXT = 0;
const OPAQUE = 42;

/** A value as an application gets it. */
export interface PlainValue {
  contentType: "text/plain" | "application/octet-stream";
  payload: Uint8Array;
}

/** A kept value (JSON, as in the table) in plain form; null where it has none. */
export function plainValue(path: string, stored: string): PlainValue | null {
  const { data: value } = resourceValue.safeParse(JSON.parse(stored));
  if (!value) return null;
  try {
    return value.type === "opaque"
      ? { contentType: "application/octet-stream", payload: encodeContent(OPAQUE, path, value) }
      : { contentType: "text/plain", payload: encodeContent(TEXT, path, value) };
  } catch (error) {
    if (error instanceof ContentError) return null;
    throw error;
  }
}

export const getCachedValueInput = z.object({ deviceId: z.string(), path: z.string() });

/**
 * What the device last notified of a resource, as long as that is fresh; null when it has to be asked. Values that were
 * read or written do not count, nor those of an earlier registration: only what is observed is known not to have changed
 * since.
 */
export async function getCachedValue(
  ctx: Context,
  input: z.input<typeof getCachedValueInput>,
): Promise<(PlainValue & { maxAge: number }) | null> {
  const accountId = memberAccount(ctx.actor);
  const { deviceId, path } = validate(getCachedValueInput, input);
  const now = ctx.clock.now();
  const row = await ctx.db.resourceValue.findFirst({
    where: {
      deviceId,
      path,
      source: "notify",
      at: { gt: new Date(now - MAX_AGE_SECONDS * 1000) },
      device: { accountId, registration: { expiresAt: { gt: new Date(now) } } },
    },
    select: {
      value: true,
      at: true,
      device: { select: { registration: { select: { registeredAt: true } } } },
    },
  });
  const registeredAt = row?.device.registration?.registeredAt;
  const value = row && registeredAt && row.at >= registeredAt ? plainValue(path, row.value) : null;
  if (!row || !value) return null;
  const maxAge = Math.ceil(MAX_AGE_SECONDS - Math.max(0, now - row.at.getTime()) / 1000);
  return { ...value, maxAge };
}
