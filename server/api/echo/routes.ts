import { clearEcho } from "@/server/services/echo/clear";
import { getEcho } from "@/server/services/echo/get";
import { operation } from "../operation";
import { iso } from "../serialize";
import { dateTime, id, z } from "../zod";

const tag = "Device Directory";
const path = "/v3/devices/{device_id}/echo";
const params = z.object({ device_id: id });
const base64 = z.string().openapi({ format: "byte" });

const echo = z
  .object({
    object: z.literal("device-echo"),
    device_id: id,
    endpoint_name: z.string(),
    created_at: dateTime,
    updated_at: dateTime,
    last_reported_at: dateTime.nullable(),
    last_desired_at: dateTime.nullable(),
    resources: z.array(
      z.object({
        resource_path: z.string(),
        subscribed: z.boolean(),
        reported: z
          .object({ value: base64, content_type: z.string(), reported_at: dateTime, expires_at: dateTime })
          .optional(),
        desired: z
          .object({
            value: base64,
            status: z
              .union([z.literal(0), z.literal(1), z.literal(2)])
              .openapi({ description: "0 under way, 1 taken by the device, 2 not taken." }),
            desired_at: dateTime,
            status_updated_at: dateTime,
          })
          .optional(),
      }),
    ),
  })
  .openapi("EchoDevice");

const STATUS = { pending: 0, ok: 1, failed: 2 } as const;
const encoded = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

export const echoes = [
  operation({
    method: "get",
    path,
    tag,
    scope: "read",
    summary: "Get the last known and wanted values of a device's resources; it is not asked",
    params,
    status: 200,
    response: echo,
    handle: async ({ ctx, params }) => {
      const { deviceId, endpointName, createdAt, resources } = await getEcho(ctx, { id: params.device_id });
      const reported = resources.flatMap(({ reported }) => (reported ? [reported.at.getTime()] : []));
      const desired = resources.flatMap(({ desired }) => (desired ? [desired.at.getTime()] : []));
      const changes = [
        ...reported,
        ...resources.flatMap(({ desired }) => (desired ? [desired.statusAt.getTime()] : [])),
      ];
      const last = (times: number[]) => (times.length > 0 ? iso(Math.max(...times)) : null);
      return {
        object: "device-echo" as const,
        device_id: deviceId,
        endpoint_name: endpointName,
        created_at: iso(createdAt),
        updated_at: last(changes) ?? iso(createdAt),
        last_reported_at: last(reported),
        last_desired_at: last(desired),
        resources: resources.map(({ path, subscribed, reported, desired }) => ({
          resource_path: path,
          subscribed,
          ...(reported && {
            reported: {
              value: encoded(reported.payload),
              content_type: reported.contentType,
              reported_at: iso(reported.at),
              expires_at: iso(reported.expiresAt),
            },
          }),
          ...(desired && {
            desired: {
              value: encoded(desired.value),
              status: STATUS[desired.status],
              desired_at: iso(desired.at),
              status_updated_at: iso(desired.statusAt),
            },
          }),
        })),
      };
    },
  }),
  operation({
    method: "delete",
    path,
    tag,
    scope: "connect",
    summary: "Forget what applications wanted the resources of a device to be",
    params,
    status: 204,
    handle: ({ ctx, params }) => clearEcho(ctx, { id: params.device_id }),
  }),
];
