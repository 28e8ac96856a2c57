import { dateTime, id, z } from "../zod";

export const accountResponse = z
  .object({
    object: z.literal("account"),
    id,
    display_name: z.string(),
    company: z.string(),
    status: z.enum(["ENROLLING", "ACTIVE", "RESTRICTED", "SUSPENDED"]),
    tier: z.string(),
    end_market: z.string(),
    aliases: z.array(z.string()),
    parent_id: id.nullable(),
    mfa_status: z.enum(["enforced", "optional"]),
    password_policy: z.object({ minimum_length: z.int() }),
    limits: z.record(z.string(), z.string()).optional(),
    limitations: z
      .array(z.object({ name: z.string(), limit: z.int(), object: z.literal("limitation") }))
      .optional(),
    policies: z.array(z.object({ feature: z.string(), allow: z.boolean() })).optional(),
    sub_accounts: z.array(z.object({ id })).optional(),
    created_at: dateTime,
    updated_at: dateTime,
    etag: z.string(),
  })
  .openapi("Account");

export const accountQuery = z.object({
  include: z.string().optional().openapi({ description: "Comma-separated: limits, policies, sub_accounts." }),
});
