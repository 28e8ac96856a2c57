import type { AccessKeyView, ApplicationView } from "@/server/services/applications/view";
import { groupId } from "@/server/services/groups/list";
import { iso, isoOrNull } from "../serialize";
import type { z } from "../zod";
import type { accessKeyResponse, applicationResponse } from "./schemas";

export const serializeApplication = (row: ApplicationView): z.input<typeof applicationResponse> => ({
  object: "application",
  id: row.id,
  account_id: row.accountId,
  name: row.name,
  description: row.description,
  status: row.status,
  groups: [groupId(row.accountId, row.role)],
  last_used_at: isoOrNull(row.lastUsedAt),
  created_at: iso(row.createdAt),
  updated_at: iso(row.updatedAt),
  etag: String(row.updatedAt.getTime()),
});

/** An access key; `key` is given when it was just made. */
export const serializeAccessKey = (row: AccessKeyView, key?: string): z.input<typeof accessKeyResponse> => ({
  object: "access-key",
  id: row.id,
  account_id: row.accountId,
  application_id: row.applicationId,
  name: row.name,
  description: row.description,
  key: key ?? row.prefix,
  status: row.status,
  scopes: row.scopes,
  expiration: isoOrNull(row.expiresAt),
  last_used_at: isoOrNull(row.lastUsedAt),
  created_at: iso(row.createdAt),
  updated_at: iso(row.updatedAt),
  etag: String(row.updatedAt.getTime()),
});
