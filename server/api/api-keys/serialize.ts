import type { ApiKeyView } from "@/server/services/api-keys/list";
import { groupId } from "@/server/services/groups/list";
import { iso, isoOrNull } from "../serialize";

/** An API key; `key` is given when it was just made. */
export function serializeApiKey(accountId: string, row: ApiKeyView, key?: string) {
  return {
    object: "api-key" as const,
    id: row.id,
    account_id: accountId,
    name: row.name,
    key: key ?? row.prefix,
    // Pelion knows no third state: what has expired opens nothing.
    status: row.status === "ACTIVE" ? ("ACTIVE" as const) : ("INACTIVE" as const),
    groups: [groupId(accountId, row.role)],
    scopes: row.scopes,
    owner: row.ownerId,
    expiration: isoOrNull(row.expiresAt),
    created_at: iso(row.createdAt),
    creation_time: row.createdAt.getTime(),
    last_login_time: row.lastUsedAt?.getTime() ?? 0,
    updated_at: iso(row.updatedAt),
    etag: String(row.updatedAt.getTime()),
  };
}
