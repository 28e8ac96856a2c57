import { z } from "zod";
import type { GatewayRequests } from "@/server/bus/messages";
import { actorLabel, type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { idField } from "../validate";

const number = String.raw`(0|[1-9]\d{0,4})`;

/** An object, instance, resource or resource instance, such as /3/0 or /3303/0/5700. */
export const pathField = z
  .string()
  .regex(new RegExp(`^(/${number}){1,4}$`), "must be a path such as /3/0/0")
  .refine((path) => path.split("/").every((id) => Number(id) <= 65_535), "holds an id above 65535");

/** A resource or resource instance. */
export const resourcePathField = pathField.refine(
  (path) => path.split("/").length >= 4,
  "must be the path of a resource, such as /3/0/0",
);

export const onPath = z.object({ id: idField, path: pathField });

type DeviceOp =
  | "device.read"
  | "device.write"
  | "device.execute"
  | "device.observe"
  | "device.unobserve"
  | "device.renew";

/** Asks the gateway for an operation on a device of the account; the gateway writes the event. */
export async function operate<K extends DeviceOp>(
  ctx: Context,
  op: K,
  id: string,
  input: Omit<GatewayRequests[K]["input"], "accountId" | "deviceId" | "actor">,
): Promise<GatewayRequests[K]["output"]> {
  const accountId = memberAccount(ctx.actor);
  const device = await ctx.db.device.findFirst({ where: { id, accountId }, select: { id: true } });
  if (!device) throw notFound("Device");
  return ctx.bus.request(op, {
    ...input,
    accountId,
    deviceId: id,
    actor: actorLabel(ctx.actor),
  } as GatewayRequests[K]["input"]);
}
