import type { z } from "zod";
import { auditChange } from "../audit/record";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { transaction } from "../transaction";
import { idInput, validate } from "../validate";
import { findDeviceGroup } from "./search";

export const removeDeviceGroupInput = idInput;

/** Deletes a group; its devices stay. */
export async function removeDeviceGroup(
  ctx: Context,
  input: z.input<typeof removeDeviceGroupInput>,
): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(removeDeviceGroupInput, input);
  const { name, description, customAttributes, devices } = await findDeviceGroup(ctx, { id });
  await transaction(ctx, async (tx) => {
    const { count } = await tx.deviceGroup.deleteMany({ where: { id, accountId } });
    if (count === 0) throw notFound("Device group");
    await auditChange(ctx, tx, {
      action: "device-group.deleted",
      objectType: "device-group",
      objectId: id,
      before: { name, description, customAttributes, devices },
      after: null,
    });
  });
}
