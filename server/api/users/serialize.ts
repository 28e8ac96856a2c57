import { groupId } from "@/server/services/groups/list";
import type { UserView } from "@/server/services/users/get";
import { type InvitationView, type Invited, invitationPath } from "@/server/services/users/invitations";
import type { Call } from "../operation";
import { iso } from "../serialize";
import type { z } from "../zod";
import type { invitationResponse, userResponse } from "./schemas";

export const serializeUser = (row: UserView): z.input<typeof userResponse> => ({
  object: "user",
  id: row.id,
  account_id: row.accountId,
  email: row.email,
  full_name: row.name,
  username: row.username,
  phone_number: row.phoneNumber,
  address: row.address,
  status: row.status,
  groups: [groupId(row.accountId, row.role)],
  email_verified: true,
  is_totp_enabled: false,
  is_gtc_accepted: true,
  is_marketing_accepted: false,
  login_history: [],
  created_at: iso(row.createdAt),
  creation_time: row.createdAt.getTime(),
  last_login_time: row.lastLoginAt?.getTime() ?? 0,
  updated_at: iso(row.updatedAt),
  etag: String(row.updatedAt.getTime()),
});

export const serializeInvitation = (row: InvitationView): z.input<typeof invitationResponse> => ({
  object: "user-invitation",
  id: row.id,
  account_id: row.accountId,
  user_id: row.userId,
  email: row.email,
  groups: [groupId(row.accountId, row.role)],
  expiration: iso(row.expiresAt),
  created_at: iso(row.createdAt),
  updated_at: iso(row.createdAt),
  etag: String(row.createdAt.getTime()),
});

/** The link of an invitation, at the address that this request came to. */
export function invitationUrl({ raw, config }: Call<unknown, unknown, unknown>, { token }: Invited): string {
  const host = raw.header("x-forwarded-host") ?? raw.header("host") ?? config.publicHost;
  return `${raw.header("x-forwarded-proto") ?? "http"}://${host}${invitationPath(token)}`;
}
