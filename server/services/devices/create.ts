import { z } from "zod";
import { auditChange } from "../audit/record";
import { type Context, memberAccount } from "../context";
import { ServiceError } from "../errors";
import { recordEvent } from "../events/record";
import { newId } from "../ids";
import { isUniqueViolation, tellGateway, transaction } from "../transaction";
import { descriptionField, idField, validate } from "../validate";
import { plainFingerprint } from "./directory-view";
import { endpointNameField } from "./endpoint-name";
import { customAttributesField } from "./update";

export const createDeviceInput = z
  .object({
    /** The name it will come with; without one the entry waits for nobody. */
    endpointName: endpointNameField.optional(),
    name: descriptionField(128).default(""),
    description: descriptionField(2000).default(""),
    endpointType: descriptionField(64).default(""),
    customAttributes: customAttributesField.default({}),
    executionMode: z.union([z.literal(0), z.literal(1), z.literal(5)]).default(0),
    /** The trusted certificate it has to come in by. */
    caId: idField.optional(),
    /** SHA-256 of its certificate. */
    deviceKey: descriptionField(512).optional(),
    bootstrapExpirationDate: z.date().optional(),
    connectorExpirationDate: z.date().optional(),
    autoUpdate: z.boolean().default(false),
    deployment: descriptionField(256).default(""),
    deviceClass: descriptionField(32).default(""),
    hostGateway: descriptionField(128).default(""),
    issuerFingerprint: z
      .string()
      .regex(/^[0-9A-Fa-f]{64}$/, "must be 64 hexadecimal characters")
      .optional(),
    manifest: descriptionField(1024).default(""),
    mechanism: z.enum(["connector", "direct"]).optional(),
    mechanismUrl: descriptionField(1024).default(""),
    serialNumber: descriptionField(64).default(""),
    vendorId: descriptionField(255).default(""),
  })
  .refine(
    ({ deviceKey, caId }) => deviceKey === undefined || caId !== undefined,
    "deviceKey needs caId: the certificate it rests on",
  );

/** Makes a directory entry before the device was seen; it is found by its endpoint name when it comes. */
export async function createDevice(
  ctx: Context,
  input: z.input<typeof createDeviceInput>,
): Promise<{ id: string }> {
  const accountId = memberAccount(ctx.actor);
  const { customAttributes, endpointName, deviceKey, ...facts } = validate(createDeviceInput, input);
  if (facts.caId && !(await ctx.db.trustedCertificate.count({ where: { id: facts.caId, accountId } })))
    throw new ServiceError("validation_error", "caId: is no trusted certificate of this account", [
      { name: "caId", message: "is no trusted certificate of this account" },
    ]);
  const at = ctx.clock.now();
  const id = newId(at);
  try {
    await transaction(ctx, async (tx, tell) => {
      await tx.device.create({
        data: {
          ...facts,
          id,
          accountId,
          identity: endpointName ? `ep:${endpointName}` : `id:${id}`,
          endpointName: endpointName ?? "",
          customAttributes: JSON.stringify(customAttributes),
          deviceKey: deviceKey === undefined ? null : plainFingerprint(deviceKey),
          createdAt: new Date(at),
          updatedAt: new Date(at),
        },
      });
      await auditChange(ctx, tx, {
        action: "device.created",
        objectType: "device",
        objectId: id,
        before: null,
        after: { endpointName: endpointName ?? "", customAttributes, deviceKey, ...facts },
      });
      const data = { endpointName: endpointName ?? "" };
      tell(await recordEvent(ctx, tx, "device.created", { accountId, deviceId: id, data }));
      tell({ kind: "device", accountId, deviceId: id, change: "created" });
    });
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new ServiceError(
      "conflict",
      `There is a device with the endpoint name “${endpointName}” already.`,
      [{ name: "endpointName", message: "is taken" }],
    );
  }
  await tellGateway(ctx, "device.added", { accountId, deviceId: id });
  return { id };
}
