import type { z } from "zod";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { idInput, validate } from "../validate";
import { type DeviceDetail, deviceRow, deviceSelect, readAttributes } from "./view";

export const getDeviceInput = idInput;

/** A device of the account with everything known of it. */
export async function getDevice(ctx: Context, input: z.input<typeof getDeviceInput>): Promise<DeviceDetail> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(getDeviceInput, input);
  const row = await ctx.db.device.findFirst({
    where: { id, accountId },
    select: {
      ...deviceSelect,
      accountId: true,
      customAttributes: true,
      updatedAt: true,
      registration: {
        select: {
          id: true,
          lifetime: true,
          lwm2mVersion: true,
          binding: true,
          queueMode: true,
          rootPath: true,
          address: true,
          transport: true,
          registeredAt: true,
          updatedAt: true,
          expiresAt: true,
        },
      },
    },
  });
  if (!row) throw notFound("Device");
  const { customAttributes, registration, ...rest } = row;
  return {
    ...rest,
    ...deviceRow({ ...rest, registration }, ctx.clock.now()),
    customAttributes: readAttributes(customAttributes),
    registration,
  };
}
