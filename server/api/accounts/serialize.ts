import type { AccountDetails } from "@/server/services/accounts/details";
import type { AccountView } from "@/server/services/accounts/get";
import { type Limitation, listLimitations } from "@/server/services/accounts/limitations";
import type { Context } from "@/server/services/context";
import { iso } from "../serialize";
import type { z } from "../zod";
import type { accountResponse, limitationResponse, updateAccountBody } from "./schemas";

const names = {
  company: "company",
  contact: "contact",
  email: "email",
  phoneNumber: "phone_number",
  addressLine1: "address_line1",
  addressLine2: "address_line2",
  city: "city",
  postalCode: "postal_code",
  state: "state",
  country: "country",
  customerNumber: "customer_number",
  endMarket: "end_market",
  notificationEmails: "notification_emails",
  customFields: "custom_fields",
} as const satisfies Record<keyof AccountDetails, string>;

type Fields = (keyof AccountDetails)[];
const fields = Object.keys(names) as Fields;

/** Details as a body gives them; what is empty is taken away. */
export function detailsOf(body: Partial<z.output<typeof updateAccountBody>>): AccountDetails | undefined {
  const given = fields.filter((field) => body[names[field]] !== undefined);
  if (given.length === 0) return undefined;
  return Object.fromEntries(given.map((field) => [field, body[names[field]] || null]));
}

export const serializeLimitation = (
  { createdAt }: Pick<AccountView, "createdAt">,
  limitation: Limitation,
): z.input<typeof limitationResponse> => ({
  object: "limitation",
  ...limitation,
  inherited: false,
  created_at: iso(createdAt),
  updated_at: iso(createdAt),
  etag: "1",
});

/** An account; `include` names what is only shown when asked for. */
export function serializeAccount(
  ctx: Context,
  row: AccountView,
  include?: string,
): z.input<typeof accountResponse> {
  const included = new Set(include?.split(",").map((word) => word.trim()));
  const limitations = listLimitations(ctx);
  const said = Object.fromEntries(fields.map((field) => [names[field], row.details[field] ?? null]));
  return {
    object: "account",
    id: row.id,
    display_name: row.name,
    ...said,
    company: row.details.company ?? row.name,
    end_market: row.details.endMarket ?? "IOT",
    status: row.status,
    // "Commercial": nothing is held back here.
    tier: "1",
    aliases: [],
    parent_id: null,
    mfa_status: "optional",
    password_policy: { minimum_length: 10 },
    device_keys: row.deviceKeys,
    registration_lifetime: row.registrationLifetime,
    ...(included.has("limits") && {
      limits: Object.fromEntries(limitations.map(({ name, limit }) => [name, String(limit)])),
      limitations: limitations.map((limitation) => serializeLimitation(row, limitation)),
    }),
    ...(included.has("policies") && { policies: [] }),
    ...(included.has("sub_accounts") && { sub_accounts: [] }),
    created_at: iso(row.createdAt),
    updated_at: iso(row.updatedAt),
    etag: String(row.updatedAt.getTime()),
  };
}
