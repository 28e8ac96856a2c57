import { scopes } from "../api-keys/schemas";
import { groupIds } from "../policy-groups/groups";
import { dateTime, id, listOf, name, text, z } from "../zod";

const status = z.enum(["ACTIVE", "INACTIVE"]);
const expiration = z.iso.datetime({ offset: true }).nullish();

export const applicationResponse = z
  .object({
    object: z.literal("application"),
    id,
    account_id: id,
    name: z.string(),
    description: z.string(),
    status,
    groups: z.array(id),
    last_used_at: dateTime.nullable(),
    created_at: dateTime,
    updated_at: dateTime,
    etag: z.string(),
  })
  .openapi("Application");

export const applicationList = listOf("ApplicationList", applicationResponse);

export const createApplicationBody = z
  .object({
    name: name(100),
    description: text(500),
    groups: groupIds.nullish(),
    status: status.nullish(),
  })
  .openapi("ApplicationCreate");

export const updateApplicationBody = createApplicationBody
  .extend({ name: name(100).nullish() })
  .openapi("ApplicationUpdate");

export const accessKeyResponse = z
  .object({
    object: z.literal("access-key"),
    id,
    account_id: id,
    application_id: id,
    name: z.string(),
    description: z.string(),
    key: z
      .string()
      .openapi({ description: "Whole when it was just made; else without its last 32 characters." }),
    status: z.enum(["ACTIVE", "INACTIVE", "EXPIRED"]),
    scopes,
    expiration: dateTime.nullable(),
    last_used_at: dateTime.nullable(),
    created_at: dateTime,
    updated_at: dateTime,
    etag: z.string(),
  })
  .openapi("AccessKey");

export const accessKeyList = listOf("AccessKeyList", accessKeyResponse);

export const createAccessKeyBody = z
  .object({
    name: name(100),
    description: text(500),
    expiration,
    status: status.nullish(),
    scopes: scopes.nullish(),
  })
  .openapi("AccessKeyCreate");

export const updateAccessKeyBody = createAccessKeyBody
  .extend({
    name: name(100).nullish(),
    // Clients send back what they read.
    status: z.enum(["ACTIVE", "INACTIVE", "EXPIRED"]).nullish(),
  })
  .openapi("AccessKeyUpdate");
