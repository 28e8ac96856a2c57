import { actInAccount } from "@/server/services/accounts/manage";
import type { Operation } from "../operation";
import { id, z } from "../zod";

const tag = "Accounts of the instance";
const PREFIX = "/v3";

/**
 * The same operations in an account that the path names: /v3/accounts/{account_id}/users beside /v3/users. In one's own
 * account they do the same; an administrator of the instance is an administrator of every account; for anybody else
 * there is no other account.
 */
export const accountTwins = (operations: readonly Operation[]): Operation[] =>
  operations
    // What belongs to the key of the request is of no other account.
    .filter(({ path }) => !path.split("/").includes("me"))
    .map((own) => ({
      ...own,
      tag,
      path: `${PREFIX}/accounts/{account_id}${own.path.slice(PREFIX.length)}`,
      summary: `${own.summary}, in an account`,
      params: ((own.params as z.ZodObject | undefined) ?? z.object({})).extend({ account_id: id }),
      handle: async (call) => {
        const { account_id } = call.params as { account_id: string };
        return own.handle({ ...call, ctx: await actInAccount(call.ctx, account_id) });
      },
    }));
