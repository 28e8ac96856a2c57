import { z } from "zod";
import { auditChange } from "../audit/record";
import { type Context, memberAccount } from "../context";
import { newId } from "../ids";
import { named } from "../named";
import { transaction } from "../transaction";
import { validate } from "../validate";
import { groupFields } from "./fields";

export const createDeviceGroupInput = z.object({
  name: groupFields.name,
  description: groupFields.description.default(""),
  customAttributes: groupFields.customAttributes.default({}),
});

/** Makes an empty group of devices. */
export async function createDeviceGroup(
  ctx: Context,
  input: z.input<typeof createDeviceGroupInput>,
): Promise<{ id: string }> {
  const accountId = memberAccount(ctx.actor);
  const group = validate(createDeviceGroupInput, input);
  const at = ctx.clock.now();
  const id = newId(at);
  await named("device group", group.name, () =>
    transaction(ctx, async (tx) => {
      await tx.deviceGroup.create({
        data: {
          ...group,
          customAttributes: JSON.stringify(group.customAttributes),
          id,
          accountId,
          createdAt: new Date(at),
          updatedAt: new Date(at),
        },
      });
      await auditChange(ctx, tx, {
        action: "device-group.created",
        objectType: "device-group",
        objectId: id,
        before: null,
        after: group,
      });
    }),
  );
  return { id };
}
