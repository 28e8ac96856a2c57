import type { z } from "zod";
import { auditChange } from "../audit/record";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { recordEvent } from "../events/record";
import { tellGateway, transaction } from "../transaction";
import { idInput, validate } from "../validate";

export const removeDeviceInput = idInput;

/**
 * Takes a device out of the directory and ends its sessions; it comes back as a new one when it bootstraps. The gateway
 * tells whoever waits for it, or is to hear of its deregistration: from the row that says so when it is not running now.
 */
export async function removeDevice(ctx: Context, input: z.input<typeof removeDeviceInput>): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(removeDeviceInput, input);
  const named = await ctx.db.device.findFirst({
    where: { id, accountId },
    select: { name: true, endpointName: true, state: true, deviceKey: true, caId: true, createdAt: true },
  });
  if (!named) throw notFound("Device");
  const { endpointName } = named;
  await transaction(ctx, async (tx, tell) => {
    const registered = (await tx.registration.deleteMany({ where: { deviceId: id, accountId } })).count > 0;
    const { count } = await tx.device.deleteMany({ where: { id, accountId } });
    if (count === 0) throw notFound("Device");
    await tx.deviceRemoval.create({
      data: { deviceId: id, accountId, endpointName, registered, createdAt: new Date(ctx.clock.now()) },
    });
    await auditChange(ctx, tx, {
      action: "device.deleted",
      objectType: "device",
      objectId: id,
      before: named,
      after: null,
    });
    const data = { name: named.name, endpointName };
    tell(await recordEvent(ctx, tx, "device.deleted", { accountId, deviceId: id, data }));
    tell({ kind: "device", accountId, deviceId: id, change: "deleted" });
  });
  await tellGateway(ctx, "device.removed", { accountId, deviceId: id });
}
