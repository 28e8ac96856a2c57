import { AUDIT_DAYS } from "@/server/services/audit/prune";
import {
  type AuditEntryView,
  auditFilters,
  findAuditEntry,
  searchAuditLog,
} from "@/server/services/audit/search";
import { operation } from "../operation";
import { list, pageOf, pageQuery } from "../paging";
import { iso, snakeCase } from "../serialize";
import { dateTime, id, listOf, z } from "../zod";

const tag = "Audit log";

const state = z.record(z.string(), z.unknown()).nullable();

const entryResponse = z
  .object({
    object: z.literal("audit-log-entry"),
    id,
    account_id: id,
    actor: z.string().openapi({ description: "`user:…`, `key:…`, `operator` or `system`." }),
    actor_id: z.string().nullable(),
    action: z.string().openapi({ example: "device.updated" }),
    object_type: z.string().openapi({ example: "device" }),
    object_id: z.string(),
    before: state.openapi({ description: "What it was; null where it was not." }),
    after: state.openapi({ description: "What it is; null where it is no more." }),
    request_id: z.string().nullable(),
    created_at: dateTime,
    etag: z.string(),
  })
  .openapi("AuditLogEntry");

const named = (fields: AuditEntryView["before"]) =>
  fields &&
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [snakeCase(name), value] as const));

const serialize = (row: AuditEntryView): z.input<typeof entryResponse> => ({
  object: "audit-log-entry",
  id: row.id,
  account_id: row.accountId,
  actor: row.actor,
  actor_id: row.actorId,
  action: row.action,
  object_type: row.objectType,
  object_id: row.objectId,
  before: named(row.before),
  after: named(row.after),
  request_id: row.requestId,
  created_at: iso(row.at),
  etag: "1",
});

export const auditLog = [
  operation({
    method: "get",
    path: "/v3/audit-log",
    tag,
    scope: "read",
    summary: `List changes, the newest first; kept for ${AUDIT_DAYS} days, read by administrators`,
    query: pageQuery,
    filters: auditFilters,
    status: 200,
    response: listOf("AuditLog", entryResponse),
    handle: async ({ ctx, query: given, filters }) => {
      const query = { ...given, order: given.order ?? ("DESC" as const) };
      return list(query, await searchAuditLog(ctx, pageOf(query, filters)), serialize);
    },
  }),
  operation({
    method: "get",
    path: "/v3/audit-log/{entry_id}",
    tag,
    scope: "read",
    summary: "Get a change",
    params: z.object({ entry_id: id }),
    status: 200,
    response: entryResponse,
    handle: async ({ ctx, params }) => serialize(await findAuditEntry(ctx, { id: params.entry_id })),
  }),
];
