import type { z } from "zod";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { idInput, validate } from "../validate";
import { abilitiesOf } from "./abilities";
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
      identity: true,
      customAttributes: true,
      updatedAt: true,
      groups: {
        select: { group: { select: { id: true, name: true } } },
        orderBy: { group: { name: "asc" } },
      },
      registration: {
        select: {
          id: true,
          lifetime: true,
          lwm2mVersion: true,
          binding: true,
          queueMode: true,
          rootPath: true,
          objectLinks: true,
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
  const { customAttributes, identity, registration, groups, accountId: owner, updatedAt, ...rest } = row;
  return {
    ...deviceRow({ ...rest, registration }, ctx.clock.now()),
    accountId: owner,
    updatedAt,
    groups: groups.map(({ group }) => group),
    customAttributes: readAttributes(customAttributes),
    registration: registration && withoutLinks(registration),
    keepsIdAfterReset: identity.startsWith("ep:"),
    abilities: abilitiesOf(registration),
  };
}

/** The links are in the resource tree; they may be long. */
function withoutLinks<T extends { objectLinks: string }>({
  objectLinks: _,
  ...facts
}: T): Omit<T, "objectLinks"> {
  return facts;
}
