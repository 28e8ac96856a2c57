import { customAttributes } from "../devices/schemas";
import { dateTime, id, listOf, name, text, z } from "../zod";

export const deviceGroupResponse = z
  .object({
    object: z.literal("device-group"),
    id,
    name: z.string(),
    description: z.string(),
    custom_attributes: z.record(z.string(), z.string()),
    devices_count: z.int(),
    created_at: dateTime,
    updated_at: dateTime,
    etag: dateTime,
  })
  .openapi("DeviceGroup");

export const deviceGroupList = listOf("DeviceGroupList", deviceGroupResponse);

export const createDeviceGroupBody = z
  .object({
    name: name(128),
    description: text(1024),
    custom_attributes: customAttributes.nullish(),
  })
  .openapi("DeviceGroupCreate");

export const updateDeviceGroupBody = z
  .object({
    name: name(128).nullish(),
    description: text(1024),
    custom_attributes: customAttributes.nullish(),
  })
  .openapi("DeviceGroupUpdate");

export const groupMemberBody = z.object({ device_id: id }).openapi("DeviceGroupMember");
