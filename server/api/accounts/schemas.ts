import { dateTime, id, listOf, name, text, z } from "../zod";

const map = z.record(z.string(), z.string());

/** What people say of an account, by Pelion's names. */
const details = {
  company: text(100),
  contact: text(100),
  email: text(254),
  phone_number: text(100),
  address_line1: text(100),
  address_line2: text(100),
  city: text(100),
  postal_code: text(100),
  state: text(100),
  country: text(100),
  customer_number: text(100),
  end_market: text(100),
  notification_emails: z.array(z.string().max(254)).max(100).nullish(),
  custom_fields: map.nullish(),
};

export const limitationResponse = z
  .object({
    object: z.literal("limitation"),
    id,
    name: z.string(),
    description: z.string(),
    limit: z.int(),
    inherited: z.boolean(),
    created_at: dateTime,
    updated_at: dateTime,
    etag: z.string(),
  })
  .openapi("AccountLimitation");

export const limitationList = listOf("AccountLimitationList", limitationResponse);

export const accountResponse = z
  .object({
    object: z.literal("account"),
    id,
    display_name: z.string(),
    ...details,
    company: z.string(),
    end_market: z.string(),
    status: z.enum(["ENROLLING", "ACTIVE", "RESTRICTED", "SUSPENDED"]),
    tier: z.string(),
    aliases: z.array(z.string()),
    parent_id: id.nullable(),
    mfa_status: z.enum(["enforced", "optional"]),
    password_policy: z.object({ minimum_length: z.int() }),
    device_keys: z
      .boolean()
      .openapi({ description: "Devices of Pelion’s kind make their own keys. Pelion has no such field." }),
    registration_lifetime: z.int().nullable().openapi({
      description: "Seconds that devices register for; null: the default. Not a field of Pelion.",
    }),
    limits: map.optional(),
    limitations: z.array(limitationResponse).optional(),
    policies: z.array(z.object({ feature: z.string(), allow: z.boolean() })).optional(),
    sub_accounts: z.array(z.object({ id })).optional(),
    created_at: dateTime,
    updated_at: dateTime,
    etag: z.string(),
  })
  .openapi("Account");

export const accountList = listOf("AccountList", accountResponse);

/** Pelion's clients choose by it what is told of an account's properties: there are none here. */
export const properties = z.string().optional().openapi({ description: "Changes nothing." });

export const accountQuery = z.object({
  properties,
  include: z.string().optional().openapi({ description: "Comma-separated: limits, policies, sub_accounts." }),
});

export const updateAccountBody = z
  .object({
    display_name: name(100).nullish(),
    ...details,
    device_keys: z.boolean().nullish(),
    registration_lifetime: z.int().min(60).max(2_592_000).nullish(),
  })
  .openapi("AccountUpdate");

export const updateOtherAccountBody = updateAccountBody
  .extend({
    status: z
      .enum(["ACTIVE", "SUSPENDED"])
      .nullish()
      .openapi({ description: "Changed by administrators of the instance only." }),
  })
  .openapi("AccountUpdateRoot");

export const createAccountBody = z
  .object({
    display_name: name(100)
      .nullish()
      .openapi({ description: "Left out: the company, or the address of the administrator." }),
    ...details,
    admin_email: z.string().max(254),
    admin_full_name: text(100),
    admin_name: text(30).openapi({ description: "User name of the administrator." }),
    admin_password: z
      .string()
      .max(256)
      .nullish()
      .openapi({ description: "Left out: the answer holds a link by which they give themselves one." }),
  })
  .openapi("AccountCreate");

export const createdAccountResponse = accountResponse
  .extend({
    admin_id: id,
    admin_email: z.string(),
    admin_full_name: z.string(),
    admin_name: z.string().nullable(),
    admin_invitation_url: z.string().optional(),
  })
  .openapi("AccountCreated");
