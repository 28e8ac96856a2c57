import { getAccount } from "@/server/services/accounts/get";
import { CERTIFICATES_PER_ACCOUNT } from "@/server/services/certificates/view";
import { operation } from "../operation";
import { iso } from "../serialize";
import { accountQuery, accountResponse } from "./schemas";

const limits = { "trusted-certificates": CERTIFICATES_PER_ACCOUNT };

export const accounts = [
  operation({
    method: "get",
    path: "/v3/accounts/me",
    tag: "Accounts",
    scope: "read",
    summary: "The account of this request",
    query: accountQuery,
    status: 200,
    response: accountResponse,
    handle: async ({ ctx, query }) => {
      const { id, name, createdAt } = await getAccount(ctx);
      const included = new Set(query.include?.split(",").map((word) => word.trim()));
      return {
        object: "account" as const,
        id,
        display_name: name,
        company: name,
        status: "ACTIVE" as const,
        // "Commercial": nothing is held back here.
        tier: "1",
        end_market: "IOT",
        aliases: [],
        parent_id: null,
        mfa_status: "optional" as const,
        password_policy: { minimum_length: 10 },
        ...(included.has("limits") && {
          limits: Object.fromEntries(Object.entries(limits).map(([name, limit]) => [name, String(limit)])),
          limitations: Object.entries(limits).map(([name, limit]) => ({
            name,
            limit,
            object: "limitation" as const,
          })),
        }),
        ...(included.has("policies") && { policies: [] }),
        ...(included.has("sub_accounts") && { sub_accounts: [] }),
        created_at: iso(createdAt),
        updated_at: iso(createdAt),
        etag: "1",
      };
    },
  }),
];
