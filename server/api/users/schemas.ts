import { dateTime, id, listOf, z } from "../zod";

export const userResponse = z
  .object({
    object: z.literal("user"),
    id,
    account_id: id,
    email: z.string(),
    full_name: z.string(),
    username: z.string().nullable(),
    status: z.enum(["ENROLLING", "INVITED", "ACTIVE", "RESET", "INACTIVE"]),
    groups: z.array(id),
    email_verified: z.boolean(),
    is_totp_enabled: z.boolean(),
    is_gtc_accepted: z.boolean(),
    is_marketing_accepted: z.boolean(),
    login_history: z.array(
      z.object({ date: dateTime, ip_address: z.string(), success: z.boolean(), user_agent: z.string() }),
    ),
    created_at: dateTime,
    creation_time: z.int(),
    last_login_time: z.int(),
    updated_at: dateTime,
    etag: z.string(),
  })
  .openapi("User");

export const userList = listOf("UserList", userResponse);
