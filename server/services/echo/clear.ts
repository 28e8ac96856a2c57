import type { z } from "zod";
import { auditChange } from "../audit/record";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { transaction } from "../transaction";
import { idInput, validate } from "../validate";

export const clearEchoInput = idInput;

/** Forgets what applications wanted the resources of a device to be; requests under way go on. */
export async function clearEcho(ctx: Context, input: z.input<typeof clearEchoInput>): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(clearEchoInput, input);
  if (!(await ctx.db.device.findFirst({ where: { id, accountId }, select: { id: true } })))
    throw notFound("Device");
  await transaction(ctx, async (tx) => {
    const { count } = await tx.desiredValue.deleteMany({ where: { deviceId: id, device: { accountId } } });
    if (count > 0)
      await auditChange(ctx, tx, {
        action: "device.echo-cleared",
        objectType: "device",
        objectId: id,
        before: { desiredValues: count },
        after: { desiredValues: 0 },
      });
  });
}
