import {
  findDeviceLog,
  LOG_APP_NAME,
  type LogLine,
  logFilters,
  searchDeviceLogs,
} from "@/server/services/device-logs/search";
import { operation } from "../operation";
import { list, type PageQuery, pageOf, pageQuery } from "../paging";
import { iso } from "../serialize";
import { dateTime, id, listOf, z } from "../zod";

const tag = "Device logs";
const DEFAULT_LIMIT = 100;

const logResponse = z
  .object({
    object: z.literal("device-log"),
    id,
    account_id: id,
    device_id: id,
    app_name: z.string(),
    level: z.enum(["DEBUG", "TRACE", "INFO", "WARNING", "ERROR", "CRITICAL"]),
    type: z.string(),
    message: z.string(),
    timestamp: dateTime,
    created_at: dateTime,
    etag: dateTime,
  })
  .openapi("Log");

const logList = listOf("LogList", logResponse);

const query = pageQuery.extend({
  limit: pageQuery.shape.limit.openapi({ default: DEFAULT_LIMIT }),
  order: pageQuery.shape.order.openapi({ default: "DESC" }),
});

/** The newest first, unless something else is wanted. */
const newestFirst = (query: PageQuery): PageQuery => ({
  ...query,
  limit: query.limit ?? DEFAULT_LIMIT,
  order: query.order ?? "DESC",
});

const serializeLog = (row: LogLine): z.input<typeof logResponse> => ({
  object: "device-log",
  id: row.id,
  account_id: row.accountId,
  device_id: row.deviceId,
  app_name: LOG_APP_NAME,
  level: row.level,
  type: row.type,
  message: row.message,
  timestamp: iso(row.at),
  created_at: iso(row.at),
  etag: iso(row.at),
});

export const deviceLogs = [
  operation({
    method: "get",
    path: "/v3/device-logs",
    tag,
    scope: "read",
    summary: "List what happened to devices, as lines of a log",
    query,
    filters: logFilters,
    status: 200,
    response: logList,
    handle: async ({ ctx, query, filters }) => {
      const asked = newestFirst(query);
      return list(asked, await searchDeviceLogs(ctx, pageOf(asked, filters)), serializeLog);
    },
  }),
  operation({
    method: "get",
    path: "/v3/device-logs/{device_log_id}",
    tag,
    scope: "read",
    summary: "Get a line of a log",
    params: z.object({ device_log_id: id }),
    status: 200,
    response: logResponse,
    handle: async ({ ctx, params }) => serializeLog(await findDeviceLog(ctx, { id: params.device_log_id })),
  }),
  operation({
    method: "get",
    path: "/v3/devices/{device_id}/logs",
    tag,
    scope: "read",
    summary: "List what happened to a device, as lines of a log",
    params: z.object({ device_id: id }),
    query,
    filters: logFilters,
    status: 200,
    response: logList,
    handle: async ({ ctx, params, query, filters }) => {
      const asked = newestFirst(query);
      const page = await searchDeviceLogs(ctx, { ...pageOf(asked, filters), deviceId: params.device_id });
      return list(asked, page, serializeLog);
    },
  }),
];
