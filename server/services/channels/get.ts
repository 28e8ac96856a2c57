import { type Context, ownerOf, requireSystem } from "../context";
import { notFound } from "../errors";
import type { Owner } from "./announce";
import { HEADERS_PURPOSE, SECRET_PURPOSE } from "./put-callback";
import type { CallbackTarget } from "./send";
import { type ChannelKind, type ChannelView, channelSelect, channelView } from "./types";

/** The channel of the actor, of any kind or of the one that is asked for. */
export async function getChannel(ctx: Context, kind?: ChannelKind): Promise<ChannelView> {
  const owner = ownerOf(ctx.actor);
  const row = await ctx.db.notificationChannel.findFirst({
    where: { ...owner, ...(kind && { kind }) },
    select: channelSelect,
  });
  if (!row) throw notFound("Notification channel");
  return channelView(row);
}

export type Callback = ChannelView & CallbackTarget;

/** The callback of the actor, with its headers and the key that deliveries are signed with. */
export async function getCallback(ctx: Context): Promise<Callback> {
  const owner = ownerOf(ctx.actor);
  const row = await ctx.db.notificationChannel.findFirst({
    where: { ...owner, kind: "CALLBACK" },
    select: { ...channelSelect, headers: true, secret: true },
  });
  if (!row) throw notFound("Callback");
  return callback(ctx, row);
}

/**
 * A channel as it is needed to deliver to it: a callback has what is sent along, and anything else null, as has one of an
 * account that is suspended.
 */
export async function findChannel(
  ctx: Context,
  ownerId: string,
): Promise<{ channel: ChannelView; callback: Callback | null } | null> {
  requireSystem(ctx.actor);
  const row = await ctx.db.notificationChannel.findUnique({
    where: { ownerId },
    select: { ...channelSelect, headers: true, secret: true, account: { select: { status: true } } },
  });
  if (!row) return null;
  const { headers, secret, account, ...rest } = row;
  const calls = row.kind === "CALLBACK" && account.status === "ACTIVE";
  return { channel: channelView(rest), callback: calls ? callback(ctx, { ...rest, headers, secret }) : null };
}

/** Owners that have a callback; to that of an account that is suspended nothing is sent. */
export async function listCallbackOwners(ctx: Context): Promise<Owner[]> {
  requireSystem(ctx.actor);
  return ctx.db.notificationChannel.findMany({
    where: { kind: "CALLBACK", account: { status: "ACTIVE" } },
    select: { accountId: true, ownerId: true },
  });
}

function callback(
  { vault }: Context,
  {
    headers,
    secret,
    ...row
  }: Parameters<typeof channelView>[0] & { headers: Uint8Array | null; secret: Uint8Array | null },
): Callback {
  if (row.url === null || headers === null || secret === null)
    throw new Error(`The callback of ${row.ownerId} is not whole.`);
  return {
    ...channelView(row),
    url: row.url,
    headers: JSON.parse(Buffer.from(vault.open(headers, HEADERS_PURPOSE)).toString("utf8")) as Record<
      string,
      string
    >,
    signingKey: vault.open(secret, SECRET_PURPOSE),
  };
}
