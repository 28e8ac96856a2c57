import type { z } from "zod";
import type { GatewayRequests } from "@/server/bus/messages";
import { actorLabel, type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { recordEvent } from "../events/record";
import { tellGateway, transaction } from "../transaction";
import { idInput, validate } from "../validate";

export const rebootstrapDeviceInput = idInput;

/**
 * Sends a device back to the bootstrap server and says how. With the gateway down, the entry is marked, so that
 * the next registration is refused.
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
  const result = answer ?? {
    way: "refuse-registration" as const,
    message:
      "The gateway is not running; the device's next registration will be refused so that it bootstraps again.",
  };
  await transaction(ctx, async (tx, tell) => {
    if (!answer) {
      const { count } = await tx.device.updateMany({
        where: { id, accountId },
        data: { rebootstrapPending: true, updatedAt: new Date(ctx.clock.now()) },
      });
      if (count === 0) throw notFound("Device");
    }
    tell(
      await recordEvent(ctx, tx, "device.rebootstrap-requested", { accountId, deviceId: id, data: result }),
    );
    tell({ kind: "device", accountId, deviceId: id, change: "updated" });
  });
  return result;
}
