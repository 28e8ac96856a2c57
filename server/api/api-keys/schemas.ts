import { dateTime, id, listOf, name, z } from "../zod";

const status = z.enum(["ACTIVE", "INACTIVE"]);
const groups = z.array(id).max(10);

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
    groups,
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
    groups: groups.nullish(),
    owner: id.nullish(),
    status: status.nullish(),
    expiration: z.iso.datetime({ offset: true }).nullish(),
  })
  .openapi("ApiKeyCreate");

export const updateApiKeyBody = z
  .object({
    name: name(100).nullish(),
    groups: groups.nullish(),
    owner: id.nullish(),
    status: status.nullish(),
  })
  .openapi("ApiKeyUpdate");
