import { z } from "zod";
import { type AuditState, auditChange } from "../audit/record";
import { actorLabel, type Context, ownerOf } from "../context";
import { notFound } from "../errors";
import { newId } from "../ids";
import { devicePath, type RequestRefusal } from "../requests/send";
import { transaction } from "../transaction";
import { idField, validate } from "../validate";

export const subscriptionInput = z.object({ deviceId: z.string(), path: z.string() });

/** How a subscription began; pending: the device is asked, and its value comes as the async response. */
export type Subscribed =
  | { refused: RequestRefusal }
  | { refused: null; state: "active" }
  | { refused: null; state: "pending"; asyncId: string };

/** Has the changes of an object, instance or resource sent to who asks, until the device registers anew. */
export async function subscribe(ctx: Context, input: z.input<typeof subscriptionInput>): Promise<Subscribed> {
  const { accountId, ownerId } = ownerOf(ctx.actor);
  const { deviceId, path: asked } = validate(subscriptionInput, input);
  if (!(await hasDevice(ctx, accountId, deviceId))) return { refused: "DEVICE_NOT_FOUND" };
  const path = devicePath(asked);
  if (path === null) return { refused: "RESOURCE_NOT_FOUND" };
  const asyncId = newId(ctx.clock.now());
  const { state, refused } = await ctx.bus.request("subscription.put", {
    accountId,
    deviceId,
    ownerId,
    path,
    asyncId,
    actor: actorLabel(ctx.actor),
  });
  if (refused) return { refused };
  await audit(ctx, deviceId, "subscription.created", null, { path });
  return state === "pending" ? { refused: null, state, asyncId } : { refused: null, state: "active" };
}

export const unsubscribeInput = z.object({ deviceId: idField, path: z.string().optional() });

/** Ends the subscriptions of who asks to a device, or to one path of it; there need not be one. */
export async function unsubscribe(ctx: Context, input: z.input<typeof unsubscribeInput>): Promise<void> {
  const { accountId, ownerId } = ownerOf(ctx.actor);
  const { deviceId, path: asked } = validate(unsubscribeInput, input);
  if (!(await hasDevice(ctx, accountId, deviceId))) throw notFound("Device");
  const path = asked === undefined ? null : devicePath(asked);
  if (asked !== undefined && path === null) return;
  const { removed } = await ctx.bus.request("subscription.remove", { accountId, ownerId, deviceId, path });
  if (removed > 0) await audit(ctx, deviceId, "subscription.deleted", { path, removed }, null);
}

export const listSubscriptionsInput = z.object({ deviceId: idField });

/** What who asks is subscribed to now, by itself or by its pre-subscriptions. */
export async function listSubscriptions(
  ctx: Context,
  input: z.input<typeof listSubscriptionsInput>,
): Promise<string[]> {
  const { accountId, ownerId } = ownerOf(ctx.actor);
  const { deviceId } = validate(listSubscriptionsInput, input);
  if (!(await hasDevice(ctx, accountId, deviceId))) throw notFound("Device");
  return (await ctx.bus.request("subscription.list", { accountId, ownerId, deviceId })).paths;
}

/** Whether who asks is subscribed to this very path. */
export async function isSubscribed(ctx: Context, input: z.input<typeof subscriptionInput>): Promise<boolean> {
  ownerOf(ctx.actor);
  const { deviceId, path: asked } = validate(subscriptionInput, input);
  const path = devicePath(asked);
  return path !== null && (await listSubscriptions(ctx, { deviceId })).includes(path);
}

/** The gateway has made the change by then; who made it is written down here. */
const audit = (
  ctx: Context,
  deviceId: string,
  action: string,
  before: AuditState | null,
  after: AuditState | null,
) =>
  transaction(ctx, (tx) =>
    auditChange(ctx, tx, { action, objectType: "subscription", objectId: deviceId, before, after }),
  );

const hasDevice = async (ctx: Context, accountId: string, id: string) =>
  (await ctx.db.device.findFirst({ where: { id, accountId }, select: { id: true } })) !== null;
