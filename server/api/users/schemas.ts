import { groupIds } from "../policy-groups/groups";
import { dateTime, id, listOf, text, z } from "../zod";

export const userResponse = z
  .object({
    object: z.literal("user"),
    id,
    account_id: id,
    email: z.string(),
    full_name: z.string(),
    username: z.string().nullable(),
    phone_number: z.string().nullable(),
    address: z.string().nullable(),
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
    invitation_url: z
      .string()
      .optional()
      .openapi({ description: "Where a user who was just made without a password gives themselves one." }),
  })
  .openapi("User");

export const userList = listOf("UserList", userResponse);

const email = z.string().max(254);
const contact = text(100);

export const createUserBody = z
  .object({
    email,
    full_name: contact,
    password: z
      .string()
      .max(256)
      .nullish()
      .openapi({ description: "Left out: the answer holds a link by which they give themselves one." }),
    groups: groupIds.nullish(),
    username: text(30),
    phone_number: contact,
    address: contact,
  })
  .openapi("UserCreate");

export const updateUserBody = z
  .object({
    email: email.nullish(),
    full_name: contact,
    groups: groupIds.nullish(),
    status: z.enum(["ACTIVE", "INACTIVE", "ENROLLING", "INVITED"]).nullish(),
    username: text(30),
    phone_number: contact,
    address: contact,
  })
  .openapi("UserUpdate");

export const invitationResponse = z
  .object({
    object: z.literal("user-invitation"),
    id,
    account_id: id,
    user_id: id,
    email: z.string(),
    groups: z.array(id),
    expiration: dateTime,
    created_at: dateTime,
    updated_at: dateTime,
    etag: z.string(),
    url: z
      .string()
      .optional()
      .openapi({ description: "The link, shown only now: there is no mail here, so hand it on yourself." }),
  })
  .openapi("UserInvitation");

export const invitationList = listOf("UserInvitationList", invitationResponse);

export const createInvitationBody = z
  .object({
    email,
    groups: groupIds.nullish(),
    valid_for_days: z.int().min(1).max(100).nullish().openapi({ default: 30 }),
  })
  .openapi("UserInvitationCreate");
