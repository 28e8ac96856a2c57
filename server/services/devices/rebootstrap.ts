import type { z } from "zod";
import type { GatewayRequests } from "@/server/bus/messages";
import { auditChange } from "../audit/record";
import { actorLabel, type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { recordEvent } from "../events/record";
import { tellGateway, transaction } from "../transaction";
import { idInput, validate } from "../validate";

export const rebootstrapDeviceInput = idInput;

/**
 * Sends a device back to the bootstrap server and says how. The gateway writes the event; with the gateway down, the
 * entry is marked here, so that the next registration is refused.
 */
export async function rebootstrapDevice(
  ctx: Context,
  input: z.input<typeof rebootstrapDeviceInput>,
): Promise<GatewayRequests["device.rebootstrap"]["output"]> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(rebootstrapDeviceInput, input);
  const device = await ctx.db.device.findFirst({ where: { id, accountId }, select: { id: true } });
  if (!device) throw notFound("Device");
  const answer = await tellGateway(ctx, "device.rebootstrap", {
    accountId,
    deviceId: id,
    actor: actorLabel(ctx.actor),
  });
  if (answer) {
    await transaction(ctx, (tx) => auditChange(ctx, tx, asked(id, answer.way)));
    ctx.bus.publish({ kind: "device", accountId, deviceId: id, change: "updated" });
    return answer;
  }
  const result = {
    way: "refuse-registration",
    message:
      "the gateway is not running; its next registration is refused, so that it falls back to bootstrap",
  } as const;
  await transaction(ctx, async (tx, tell) => {
    const { count } = await tx.device.updateMany({
      where: { id, accountId },
      data: { rebootstrapPending: true, updatedAt: new Date(ctx.clock.now()) },
    });
    if (count === 0) throw notFound("Device");
    await auditChange(ctx, tx, asked(id, result.way));
    tell(
      await recordEvent(ctx, tx, "device.rebootstrap-requested", { accountId, deviceId: id, data: result }),
    );
    tell({ kind: "device", accountId, deviceId: id, change: "updated" });
  });
  return result;
}

const asked = (id: string, way: string) => ({
  action: "device.rebootstrap-requested",
  objectType: "device",
  objectId: id,
  before: null,
  after: { way },
});
