import { z } from "zod";
import { auditChange } from "../audit/record";
import { actorLabel, type Context, memberAccount } from "../context";
import { notFound, ServiceError } from "../errors";
import { recordEvent } from "../events/record";
import { tellGateway, transaction } from "../transaction";
import { descriptionField, idField, validate } from "../validate";
import { blockCategories } from "./categories";

export const suspensionInput = z.object({
  id: idField,
  category: z.enum(
    blockCategories.map(({ reference }) => reference),
    `must be one of ${blockCategories.map(({ reference }) => reference).join(", ")}`,
  ),
  description: descriptionField(2000).default(""),
});
type Input = z.input<typeof suspensionInput>;

/** Blocks a device: its registration and sessions end, and it is turned away until somebody resumes it. */
export const suspendDevice = (ctx: Context, input: Input): Promise<void> => change(ctx, input, true);

/** Lets a suspended device come back; takes the category that it was suspended for. */
export const resumeDevice = (ctx: Context, input: Input): Promise<void> => change(ctx, input, false);

async function change(ctx: Context, input: Input, suspend: boolean): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const { id, category, description } = validate(suspensionInput, input);
  const at = new Date(ctx.clock.now());
  const changed = await transaction(ctx, async (tx, tell) => {
    const { count } = await tx.device.updateMany({
      where: {
        id,
        accountId,
        ...(suspend ? { suspendedAt: null } : { suspendedAt: { not: null }, suspendedCategory: category }),
      },
      data: {
        suspendedAt: suspend ? at : null,
        suspendedCategory: category,
        ...((suspend || description) && { suspendedDescription: description }),
        suspensionUpdatedAt: at,
        updatedAt: at,
      },
    });
    if (count === 0) {
      const device = await tx.device.findFirst({
        where: { id, accountId },
        select: { suspendedAt: true, suspendedCategory: true },
      });
      if (!device) throw notFound("Device");
      if (!device.suspendedAt || device.suspendedCategory === category) return false;
      const message = `the device is suspended for “${device.suspendedCategory}”`;
      throw new ServiceError("bad_request", `category: ${message}`, [{ name: "category", message }]);
    }
    const type = suspend ? "device.suspended" : "device.resumed";
    const facts = { category, ...(description && { description }) };
    await auditChange(ctx, tx, {
      action: type,
      objectType: "device",
      objectId: id,
      before: { suspended: !suspend },
      after: { suspended: suspend, ...facts },
    });
    tell(await recordEvent(ctx, tx, type, { accountId, deviceId: id, data: facts }));
    tell({ kind: "device", accountId, deviceId: id, change: "updated" });
    return true;
  });
  if (changed)
    await tellGateway(ctx, "device.suspension", { accountId, deviceId: id, actor: actorLabel(ctx.actor) });
}
