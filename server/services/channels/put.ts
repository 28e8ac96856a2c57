import type { Transaction } from "@/server/db";
import { auditChange } from "../audit/record";
import { type Context, ownerOf } from "../context";
import { ServiceError } from "../errors";
import { transaction } from "../transaction";
import { announceOwner, type Owner } from "./announce";
import {
  type ChannelKind,
  channelFacts,
  channelSelect,
  channelView,
  type Serialization,
  writeSerialization,
} from "./types";

/** What a channel is set to. */
export interface ChannelSettings {
  kind: ChannelKind;
  serialization: Serialization;
  url?: string;
  /** Sealed. */
  headers?: Uint8Array<ArrayBuffer>;
  secret?: Uint8Array<ArrayBuffer>;
}

const words: Record<ChannelKind, string> = {
  CALLBACK: "a callback",
  LONG_POLLING: "long polling",
  WEB_SOCKET: "a WebSocket",
};

/** An owner has one channel: another kind of it has to be deleted first. */
export const otherKind = (kind: string): ServiceError =>
  new ServiceError(
    "bad_request",
    `There is another notification channel, ${words[kind as ChannelKind]}: delete it first.`,
  );

/** Makes the channel of the actor, or sets the one of the same kind anew; returns whether it was made. */
export async function putChannel(ctx: Context, settings: ChannelSettings): Promise<boolean> {
  const owner = ownerOf(ctx.actor);
  const created = await transaction(ctx, (tx) => write(ctx, tx, owner, settings));
  await announceOwner(ctx, owner);
  return created;
}

async function write(
  ctx: Context,
  tx: Transaction,
  owner: Owner,
  { serialization, ...rest }: ChannelSettings,
): Promise<boolean> {
  await requireOwner(tx, owner);
  const before = await tx.notificationChannel.findUnique({
    where: { ownerId: owner.ownerId },
    select: channelSelect,
  });
  if (before && before.kind !== rest.kind) throw otherKind(before.kind);
  const now = new Date(ctx.clock.now());
  const data = {
    ...rest,
    serialization: writeSerialization(serialization),
    activeAt: now,
    failingSince: null,
    nextTryAt: null,
    tries: 0,
  };
  if (before) await tx.notificationChannel.update({ where: { ownerId: owner.ownerId }, data });
  else await tx.notificationChannel.create({ data: { ...data, ...owner, createdAt: now } });
  await auditChange(ctx, tx, {
    action: before ? "notification-channel.updated" : "notification-channel.created",
    objectType: "notification-channel",
    objectId: owner.ownerId,
    before: before && channelFacts(channelView(before)),
    after: channelFacts({ kind: rest.kind, url: rest.url ?? null, serialization }),
  });
  return before === null;
}

/** The key of the request may have been deleted or switched off meanwhile, and all that its owner had. */
async function requireOwner(tx: Transaction, { accountId, ownerId }: Owner): Promise<void> {
  const where = { id: ownerId, accountId };
  if (
    (await tx.apiKey.count({ where: { ...where, status: "ACTIVE" } })) +
      (await tx.application.count({ where: { ...where, status: "ACTIVE" } })) ===
    0
  )
    throw new ServiceError("unauthorized", "Invalid access token.");
}
