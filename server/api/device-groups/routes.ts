import { createDeviceGroup } from "@/server/services/device-groups/create";
import { addGroupMember, removeGroupMember } from "@/server/services/device-groups/members";
import { removeDeviceGroup } from "@/server/services/device-groups/remove";
import {
  deviceGroupFilters,
  findDeviceGroup,
  searchDeviceGroups,
  searchGroupDevices,
} from "@/server/services/device-groups/search";
import { updateDeviceGroup } from "@/server/services/device-groups/update";
import type { DeviceGroupView } from "@/server/services/device-groups/view";
import { deviceFilters } from "@/server/services/devices/search";
import { deviceList } from "../devices/schemas";
import { serializeDevice } from "../devices/serialize";
import { operation } from "../operation";
import { list, pageOf, pageQuery } from "../paging";
import { iso } from "../serialize";
import { id, z } from "../zod";
import {
  createDeviceGroupBody,
  deviceGroupList,
  deviceGroupResponse,
  groupMemberBody,
  updateDeviceGroupBody,
} from "./schemas";

const tag = "Device groups";
const params = z.object({ device_group_id: id });

const serialize = (row: DeviceGroupView): z.input<typeof deviceGroupResponse> => ({
  object: "device-group",
  id: row.id,
  name: row.name,
  description: row.description,
  custom_attributes: row.customAttributes,
  devices_count: row.devices,
  created_at: iso(row.createdAt),
  updated_at: iso(row.updatedAt),
  etag: iso(row.updatedAt),
});

export const deviceGroups = [
  operation({
    method: "get",
    path: "/v3/device-groups",
    tag,
    scope: "read",
    summary: "List device groups",
    query: pageQuery,
    filters: deviceGroupFilters,
    status: 200,
    response: deviceGroupList,
    handle: async ({ ctx, query, filters }) =>
      list(query, await searchDeviceGroups(ctx, pageOf(query, filters)), serialize),
  }),
  operation({
    method: "post",
    path: "/v3/device-groups",
    tag,
    scope: "manage",
    summary: "Make a device group",
    body: createDeviceGroupBody,
    status: 201,
    response: deviceGroupResponse,
    handle: async ({ ctx, body }) => {
      const made = await createDeviceGroup(ctx, {
        name: body.name,
        description: body.description ?? undefined,
        customAttributes: body.custom_attributes ?? undefined,
      });
      return serialize(await findDeviceGroup(ctx, made));
    },
  }),
  operation({
    method: "get",
    path: "/v3/device-groups/{device_group_id}",
    tag,
    scope: "read",
    summary: "Get a device group",
    params,
    status: 200,
    response: deviceGroupResponse,
    handle: async ({ ctx, params }) => serialize(await findDeviceGroup(ctx, { id: params.device_group_id })),
  }),
  operation({
    method: "put",
    path: "/v3/device-groups/{device_group_id}",
    tag,
    scope: "manage",
    summary: "Change a device group",
    params,
    body: updateDeviceGroupBody,
    status: 200,
    response: deviceGroupResponse,
    handle: async ({ ctx, params, body }) => {
      await updateDeviceGroup(ctx, {
        id: params.device_group_id,
        name: body.name ?? undefined,
        description: body.description ?? undefined,
        customAttributes: body.custom_attributes ?? undefined,
      });
      return serialize(await findDeviceGroup(ctx, { id: params.device_group_id }));
    },
  }),
  operation({
    method: "delete",
    path: "/v3/device-groups/{device_group_id}",
    tag,
    scope: "manage",
    summary: "Delete a device group; its devices stay",
    params,
    status: 204,
    handle: ({ ctx, params }) => removeDeviceGroup(ctx, { id: params.device_group_id }),
  }),
  operation({
    method: "get",
    path: "/v3/device-groups/{device_group_id}/devices",
    tag,
    scope: "read",
    summary: "List the devices in a group",
    params,
    query: pageQuery,
    filters: deviceFilters,
    status: 200,
    response: deviceList,
    handle: async ({ ctx, params, query, filters }) =>
      list(
        query,
        await searchGroupDevices(ctx, { ...pageOf(query, filters), id: params.device_group_id }),
        serializeDevice,
      ),
  }),
  operation({
    method: "post",
    path: "/v3/device-groups/{device_group_id}/devices/add",
    tag,
    scope: "manage",
    summary: "Put a device into a group",
    params,
    body: groupMemberBody,
    status: 204,
    handle: ({ ctx, params, body }) =>
      addGroupMember(ctx, { id: params.device_group_id, deviceId: body.device_id }),
  }),
  operation({
    method: "post",
    path: "/v3/device-groups/{device_group_id}/devices/remove",
    tag,
    scope: "manage",
    summary: "Take a device out of a group",
    params,
    body: groupMemberBody,
    status: 204,
    handle: ({ ctx, params, body }) =>
      removeGroupMember(ctx, { id: params.device_group_id, deviceId: body.device_id }),
  }),
];
