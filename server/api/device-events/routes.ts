import {
  type DeviceEventView,
  eventFilters,
  findDeviceEvent,
  publicEventType,
  searchDeviceEvents,
} from "@/server/services/events/search";
import { operation } from "../operation";
import { list, pageOf, pageQuery } from "../paging";
import { iso } from "../serialize";
import { dateTime, id, listOf, z } from "../zod";

const eventResponse = z
  .object({
    object: z.literal("device-event"),
    id,
    device_log_id: id,
    device_id: id,
    date_time: dateTime,
    event_type: z.string(),
    event_type_category: z.string(),
    event_type_description: z.enum(["SUCCESS", "FAIL", "SKIPPED", "INFO"]),
    description: z.string(),
    state_change: z.boolean(),
    changes: z.record(z.string(), z.unknown()),
    data: z.record(z.string(), z.string()),
    created_at: dateTime,
    etag: dateTime,
  })
  .openapi("DeviceEvent");

const eventList = listOf("DeviceEventList", eventResponse);

function serializeEvent(row: DeviceEventView): z.input<typeof eventResponse> {
  return {
    object: "device-event",
    id: row.id,
    device_log_id: row.id,
    device_id: row.deviceId,
    date_time: iso(row.at),
    event_type: publicEventType(row.type),
    event_type_category: row.category,
    event_type_description: row.outcome,
    description: row.description,
    state_change: row.stateChange,
    changes: {},
    // Pelion's data are texts.
    data: Object.fromEntries(
      Object.entries(row.data).map(([name, value]) => [
        name,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
    ),
    created_at: iso(row.at),
    etag: iso(row.at),
  };
}

/** The same twice: `devicelog` is the name that older SDKs know. */
export const deviceEvents = ["/v3/device-events", "/v3/devicelog"].flatMap((path) => [
  operation({
    method: "get",
    path,
    tag: "Device events",
    scope: "read",
    summary: "List what happened to devices",
    query: pageQuery,
    filters: eventFilters,
    status: 200,
    response: eventList,
    handle: async ({ ctx, query, filters }) =>
      list(query, await searchDeviceEvents(ctx, pageOf(query, filters)), serializeEvent),
  }),
  operation({
    method: "get",
    path: `${path}/{device_event_id}`,
    tag: "Device events",
    scope: "read",
    summary: "Get an event of a device",
    params: z.object({ device_event_id: id }),
    status: 200,
    response: eventResponse,
    handle: async ({ ctx, params }) =>
      serializeEvent(await findDeviceEvent(ctx, { id: params.device_event_id })),
  }),
]);
