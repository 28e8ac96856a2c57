import { z } from "zod";
import { auditChange } from "../audit/record";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { recordEvent } from "../events/record";
import { tellGateway, transaction } from "../transaction";
import { descriptionField, given, idField, validate } from "../validate";
import { readAttributes } from "./view";

const attributeName = z
  .string()
  .regex(/^[A-Za-z]/, "must start with a letter")
  .max(128, "may have at most 128 characters");

/** Pairs that applications choose; Pelion's limits. */
export const attributesField = (max: number) =>
  z
    .record(attributeName, z.string().max(128, "may have at most 128 characters"))
    .refine((pairs) => Object.keys(pairs).length <= max, `may hold at most ${max} pairs`);

export const customAttributesField = attributesField(5);

export const updateDeviceInput = z
  .object({
    id: idField,
    name: descriptionField(128).optional(),
    description: descriptionField(2000).optional(),
    endpointType: descriptionField(64).optional(),
    /** Takes the place of all there are. */
    customAttributes: customAttributesField.optional(),
    autoUpdate: z.boolean().optional(),
    /** The ID of the gateway it is behind. */
    hostGateway: descriptionField(128).optional(),
  })
  .refine(
    ({ id: _, ...changes }) => Object.values(changes).some((value) => value !== undefined),
    "must change something",
  );

const words = {
  name: "name",
  description: "description",
  endpointType: "endpoint type",
  customAttributes: "custom attributes",
  autoUpdate: "automatic updates",
  hostGateway: "host gateway",
} as const;

/** Changes what people say of a device. */
export async function updateDevice(ctx: Context, input: z.input<typeof updateDeviceInput>): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const { id, customAttributes, ...texts } = validate(updateDeviceInput, input);
  const changes = {
    ...texts,
    ...(customAttributes && { customAttributes: JSON.stringify(customAttributes) }),
  };
  const fields = Object.entries(words).flatMap(([field, word]) =>
    changes[field as keyof typeof words] === undefined ? [] : [word],
  );
  const known = await ctx.db.device.findFirst({
    where: { id, accountId },
    select: {
      name: true,
      description: true,
      endpointType: true,
      customAttributes: true,
      autoUpdate: true,
      hostGateway: true,
    },
  });
  if (!known) throw notFound("Device");
  const before = { ...known, customAttributes: readAttributes(known.customAttributes) };
  await transaction(ctx, async (tx, tell) => {
    const { count } = await tx.device.updateMany({
      where: { id, accountId },
      data: { ...changes, updatedAt: new Date(ctx.clock.now()) },
    });
    if (count === 0) throw notFound("Device");
    await auditChange(ctx, tx, {
      action: "device.updated",
      objectType: "device",
      objectId: id,
      before,
      after: { ...before, ...given({ ...texts, customAttributes }) },
    });
    tell(
      await recordEvent(ctx, tx, "device.updated", {
        accountId,
        deviceId: id,
        data: { fields, ...(texts.name !== undefined && { name: texts.name }) },
      }),
    );
    tell({ kind: "device", accountId, deviceId: id, change: "updated" });
  });
  // Its notifications and pre-subscriptions go by the type.
  if (texts.endpointType !== undefined && texts.endpointType !== known.endpointType)
    await tellGateway(ctx, "device.added", { accountId, deviceId: id });
}
