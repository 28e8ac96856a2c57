import { z } from "zod";
import { auditChange } from "../audit/record";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { named } from "../named";
import { transaction } from "../transaction";
import { given, idField, validate } from "../validate";
import { groupFields } from "./fields";
import { findDeviceGroup } from "./search";

export const updateDeviceGroupInput = z.object({
  id: idField,
  name: groupFields.name.optional(),
  description: groupFields.description.optional(),
  /** Takes the place of all there are. */
  customAttributes: groupFields.customAttributes.optional(),
});

/** Changes what people say of a group of devices. */
export async function updateDeviceGroup(
  ctx: Context,
  input: z.input<typeof updateDeviceGroupInput>,
): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const { id, customAttributes, ...texts } = validate(updateDeviceGroupInput, input);
  const known = await findDeviceGroup(ctx, { id });
  const before = {
    name: known.name,
    description: known.description,
    customAttributes: known.customAttributes,
  };
  await named("device group", texts.name, () =>
    transaction(ctx, async (tx) => {
      const { count } = await tx.deviceGroup.updateMany({
        where: { id, accountId },
        data: {
          ...texts,
          ...(customAttributes && { customAttributes: JSON.stringify(customAttributes) }),
          updatedAt: new Date(ctx.clock.now()),
        },
      });
      if (count === 0) throw notFound("Device group");
      await auditChange(ctx, tx, {
        action: "device-group.updated",
        objectType: "device-group",
        objectId: id,
        before,
        after: { ...before, ...given({ ...texts, customAttributes }) },
      });
    }),
  );
}
