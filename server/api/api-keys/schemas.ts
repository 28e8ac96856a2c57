import { scopes as words } from "@/server/services/context";
import { groupIds } from "../policy-groups/groups";
import { dateTime, id, listOf, name, z } from "../zod";

const status = z.enum(["ACTIVE", "INACTIVE"]);

export const scopes = z
  .array(z.enum(words))
  .min(1, "needs at least one")
  .max(words.length)
  .openapi("Scopes", {
    description: "What the key may do, as far as its policy group may. Pelion has no such field.",
  });

export const apiKeyResponse = z
  .object({
    object: z.literal("api-key"),
    id,
    account_id: id,
    name: z.string(),
    key: z
      .string()
      .openapi({ description: "Whole when it was just made; else without its last 32 characters." }),
    status,
    groups: groupIds,
    scopes,
    owner: id.nullable(),
    expiration: dateTime.nullable(),
    created_at: dateTime,
    creation_time: z.int(),
    last_login_time: z.int(),
    updated_at: dateTime,
    etag: z.string(),
  })
  .openapi("ApiKey");

export const apiKeyList = listOf("ApiKeyList", apiKeyResponse);

export const createApiKeyBody = z
  .object({
    name: name(100),
    groups: groupIds.nullish(),
    owner: id.nullish(),
    status: status.nullish(),
    scopes: scopes.nullish(),
    expiration: z.iso.datetime({ offset: true }).nullish(),
  })
  .openapi("ApiKeyCreate");

export const updateApiKeyBody = z
  .object({
    name: name(100).nullish(),
    groups: groupIds.nullish(),
    owner: id.nullish(),
    status: status.nullish(),
    scopes: scopes.nullish(),
  })
  .openapi("ApiKeyUpdate");
