import type { z } from "zod";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { type OwnerName, ownerNames } from "../owners/names";
import { tellGateway } from "../transaction";
import { idInput, validate } from "../validate";

export const getDeviceInterestInput = idInput;

/** A request to a device that has not ended. */
export interface PendingRequest {
  id: string;
  /** The application's own name for it. */
  asyncId: string;
  method: string;
  uri: string;
  owner: OwnerName | null;
  /** It was sent, and its answer is awaited. */
  sent: boolean;
  createdAt: Date;
  expiresAt: Date;
}

/** What applications want of a device. */
export interface DeviceInterest {
  /** In the order in which they are sent. */
  requests: PendingRequest[];
  subscribers: { owner: OwnerName; paths: string[] }[];
}

/** Requests that wait for a device, and who is told when its values change. */
export async function getDeviceInterest(
  ctx: Context,
  input: z.input<typeof getDeviceInterestInput>,
): Promise<DeviceInterest> {
  const accountId = memberAccount(ctx.actor);
  const { id: deviceId } = validate(getDeviceInterestInput, input);
  const device = await ctx.db.device.findFirst({ where: { id: deviceId, accountId }, select: { id: true } });
  if (!device) throw notFound("Device");
  const [owners, requests, subscribers] = await Promise.all([
    ownerNames(ctx),
    ctx.db.deviceRequest.findMany({
      where: { deviceId, accountId },
      orderBy: { id: "asc" },
      select: {
        id: true,
        asyncId: true,
        ownerId: true,
        method: true,
        uri: true,
        sent: true,
        createdAt: true,
        expiresAt: true,
      },
    }),
    findSubscribers(ctx, accountId, deviceId),
  ]);
  return {
    requests: requests.map(({ ownerId, ...request }) => ({ ...request, owner: owners.get(ownerId) ?? null })),
    subscribers: [...subscribers]
      .flatMap(([ownerId, paths]) => {
        const owner = owners.get(ownerId);
        return owner && paths.length > 0 ? [{ owner, paths }] : [];
      })
      .sort((one, other) => one.owner.name.localeCompare(other.owner.name)),
  };
}

/** Paths by owner: the gateway knows what pre-subscriptions came to; without it, what was asked for by itself. */
async function findSubscribers(
  ctx: Context,
  accountId: string,
  deviceId: string,
): Promise<Map<string, string[]>> {
  const [explicit, general] = await Promise.all([
    ctx.db.subscription.findMany({
      where: { deviceId, device: { accountId } },
      orderBy: { path: "asc" },
      select: { ownerId: true, path: true },
    }),
    ctx.db.presubscription.findMany({
      where: { accountId },
      distinct: ["ownerId"],
      select: { ownerId: true },
    }),
  ]);
  const own = new Map<string, string[]>();
  for (const { ownerId, path } of explicit) own.set(ownerId, [...(own.get(ownerId) ?? []), path]);
  const ownerIds = new Set([...own.keys(), ...general.map(({ ownerId }) => ownerId)]);
  return new Map(
    await Promise.all(
      [...ownerIds].map(async (ownerId): Promise<[string, string[]]> => {
        const told = await tellGateway(ctx, "subscription.list", { accountId, ownerId, deviceId });
        return [ownerId, told?.paths ?? own.get(ownerId) ?? []];
      }),
    ),
  );
}
