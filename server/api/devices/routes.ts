import { createDevice } from "@/server/services/devices/create";
import { type DirectoryDevice, plainFingerprint } from "@/server/services/devices/directory-view";
import { deviceFilters, findDevice, searchDevices } from "@/server/services/devices/search";
import { updateDevice } from "@/server/services/devices/update";
import { withdrawDevice } from "@/server/services/devices/withdraw";
import { failure } from "../errors";
import { operation } from "../operation";
import { list, pageOf, pageQuery } from "../paging";
import { id, z } from "../zod";
import { createDeviceBody, deviceList, deviceResponse, updateDeviceBody } from "./schemas";
import { serializeDevice } from "./serialize";

const tag = "Device Directory";
const params = z.object({ id });

const day = (text: string | null | undefined) => (text ? new Date(text) : undefined);

/** SDKs send back what they read; what the device's certificate tells cannot be changed, though. */
function checkUnchanged(device: DirectoryDevice, body: z.output<typeof updateDeviceBody>): void {
  const changed = [
    body.ca_id && body.ca_id !== device.caId && "ca_id",
    body.device_key && plainFingerprint(body.device_key) !== device.deviceKey && "device_key",
    body.endpoint_name && body.endpoint_name !== device.endpointName && "endpoint_name",
  ].find(Boolean);
  if (changed)
    throw failure(
      400,
      "validation_error",
      `${changed}: comes from the device's certificate and cannot be changed`,
    );
}

export const devices = [
  operation({
    method: "get",
    path: "/v3/devices",
    tag,
    scope: "read",
    summary: "List devices",
    query: pageQuery,
    filters: deviceFilters,
    status: 200,
    response: deviceList,
    handle: async ({ ctx, query, filters }) =>
      list(query, await searchDevices(ctx, pageOf(query, filters)), serializeDevice),
  }),
  operation({
    method: "post",
    path: "/v3/devices",
    tag,
    scope: "manage",
    summary: "Make a directory entry before the device comes",
    body: createDeviceBody,
    status: 201,
    response: deviceResponse,
    handle: async ({ ctx, body }) => {
      const made = await createDevice(ctx, {
        endpointName: body.endpoint_name || undefined,
        endpointType: body.endpoint_type ?? undefined,
        name: body.name ?? undefined,
        description: body.description ?? undefined,
        customAttributes: body.custom_attributes ?? undefined,
        executionMode: body.device_execution_mode ?? undefined,
        caId: body.ca_id || undefined,
        deviceKey: body.device_key || undefined,
        issuerFingerprint: body.issuer_fingerprint ?? undefined,
        bootstrapExpirationDate: day(body.bootstrap_expiration_date),
        connectorExpirationDate: day(body.connector_expiration_date),
        autoUpdate: body.auto_update ?? undefined,
        deployment: body.deployment ?? undefined,
        deviceClass: body.device_class ?? undefined,
        hostGateway: body.host_gateway ?? undefined,
        manifest: body.manifest ?? undefined,
        mechanism: body.mechanism ?? undefined,
        mechanismUrl: body.mechanism_url ?? undefined,
        serialNumber: body.serial_number ?? undefined,
        vendorId: body.vendor_id ?? undefined,
      });
      return serializeDevice(await findDevice(ctx, made));
    },
  }),
  operation({
    method: "get",
    path: "/v3/devices/{id}",
    tag,
    scope: "read",
    summary: "Get a device",
    params,
    status: 200,
    response: deviceResponse,
    handle: async ({ ctx, params }) => serializeDevice(await findDevice(ctx, params)),
  }),
  operation({
    method: "put",
    path: "/v3/devices/{id}",
    tag,
    scope: "manage",
    summary: "Change what people say of a device",
    params,
    body: updateDeviceBody,
    status: 200,
    response: deviceResponse,
    handle: async ({ ctx, params, body }) => {
      checkUnchanged(await findDevice(ctx, params), body);
      const changes = Object.entries({
        name: body.name,
        description: body.description,
        endpointType: body.endpoint_type,
        customAttributes: body.custom_attributes,
        autoUpdate: body.auto_update,
        hostGateway: body.host_gateway,
      }).filter(([, value]) => value !== null && value !== undefined);
      if (changes.length > 0) await updateDevice(ctx, { id: params.id, ...Object.fromEntries(changes) });
      return serializeDevice(await findDevice(ctx, params));
    },
  }),
  operation({
    method: "delete",
    path: "/v3/devices/{id}",
    tag,
    scope: "manage",
    summary: "Delete a device that is not in production",
    params,
    status: 204,
    handle: ({ ctx, params }) => withdrawDevice(ctx, params),
  }),
];
