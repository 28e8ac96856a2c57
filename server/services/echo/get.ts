import type { z } from "zod";
import { comparePaths, isResourcePath } from "@/server/lwm2m";
import { type Context, ownerOf } from "../context";
import { notFound } from "../errors";
import { MAX_AGE_SECONDS, type PlainValue, plainValue } from "../requests/cached-value";
import { tellGateway } from "../transaction";
import { idInput, validate } from "../validate";

/** What is known of a device's resources without asking it. */
export interface Echo {
  deviceId: string;
  endpointName: string;
  createdAt: Date;
  resources: EchoedResource[];
}

export interface EchoedResource {
  path: string;
  /** Who asks is subscribed to it, or to what it is part of. */
  subscribed: boolean;
  reported: (PlainValue & { at: Date; expiresAt: Date }) | null;
  desired: { value: Uint8Array; status: "pending" | "ok" | "failed"; at: Date; statusAt: Date } | null;
}

export const getEchoInput = idInput;

/** The last known value of every resource, and what applications last wanted it to be. */
export async function getEcho(ctx: Context, input: z.input<typeof getEchoInput>): Promise<Echo> {
  const { accountId, ownerId } = ownerOf(ctx.actor);
  const { id } = validate(getEchoInput, input);
  const device = await ctx.db.device.findFirst({
    where: { id, accountId },
    select: {
      endpointName: true,
      createdAt: true,
      values: { select: { path: true, value: true, at: true } },
      desiredValues: true,
      subscriptions: { where: { ownerId }, select: { path: true } },
    },
  });
  if (!device) throw notFound("Device");
  // Without the gateway it is not known what pre-subscriptions came to.
  const subscribed =
    (await tellGateway(ctx, "subscription.list", { accountId, ownerId, deviceId: id }))?.paths ??
    device.subscriptions.map(({ path }) => path);
  const resources = new Map<string, EchoedResource>();
  const at = (path: string) => {
    const known = resources.get(path) ?? {
      path,
      subscribed: subscribed.some((one) => one === path || path.startsWith(`${one}/`)),
      reported: null,
      desired: null,
    };
    resources.set(path, known);
    return known;
  };
  for (const row of device.values) {
    const value = plainValue(row.path, row.value);
    if (value)
      at(row.path).reported = {
        ...value,
        at: row.at,
        expiresAt: new Date(row.at.getTime() + MAX_AGE_SECONDS * 1000),
      };
  }
  for (const row of device.desiredValues)
    at(row.path).desired = {
      value: row.value,
      status: row.status === "ok" || row.status === "failed" ? row.status : "pending",
      at: row.desiredAt,
      statusAt: row.statusUpdatedAt,
    };
  for (const path of subscribed) if (isResourcePath(path)) at(path);
  return {
    deviceId: id,
    endpointName: device.endpointName,
    createdAt: device.createdAt,
    resources: [...resources.values()].sort((a, b) => comparePaths(a.path, b.path)),
  };
}
