import { getAccount } from "@/server/services/accounts/get";
import { getLimitation, listLimitations } from "@/server/services/accounts/limitations";
import { accountFilters, searchAccounts } from "@/server/services/accounts/list";
import { actInAccount, createAccount, findAccount, updateAccount } from "@/server/services/accounts/manage";
import { updateAccountSettings } from "@/server/services/accounts/settings";
import { getUser } from "@/server/services/users/get";
import { type Operation, operation } from "../operation";
import { list, pageOf, pageQuery } from "../paging";
import { invitationUrl } from "../users/serialize";
import { id, z } from "../zod";
import {
  accountList,
  accountQuery,
  accountResponse,
  createAccountBody,
  createdAccountResponse,
  limitationList,
  limitationResponse,
  properties,
  updateAccountBody,
  updateOtherAccountBody,
} from "./schemas";
import { detailsOf, serializeAccount, serializeLimitation } from "./serialize";

const tag = "Accounts";
const params = z.object({ account_id: id });

/** What a body changes in an account; null of a setting that is a number means its default. */
function changesOf(body: z.output<typeof updateAccountBody>) {
  const details = detailsOf(body);
  return {
    ...(body.display_name && { name: body.display_name }),
    ...(typeof body.device_keys === "boolean" && { deviceKeys: body.device_keys }),
    ...(body.registration_lifetime !== undefined && { registrationLifetime: body.registration_lifetime }),
    ...(details && { details }),
  };
}

export const accounts: Operation[] = [
  operation({
    method: "get",
    path: "/v3/accounts/me",
    tag,
    scope: "read",
    summary: "The account of this request",
    query: accountQuery,
    status: 200,
    response: accountResponse,
    handle: async ({ ctx, query }) => serializeAccount(ctx, await getAccount(ctx), query.include),
  }),
  operation({
    method: "put",
    path: "/v3/accounts/me",
    tag,
    scope: "credentials",
    summary: "Change the account of this request",
    body: updateAccountBody,
    status: 200,
    response: accountResponse,
    handle: async ({ ctx, body }) => {
      const changes = changesOf(body);
      if (Object.keys(changes).length > 0) await updateAccountSettings(ctx, changes);
      return serializeAccount(ctx, await getAccount(ctx));
    },
  }),
  operation({
    method: "get",
    path: "/v3/accounts",
    tag,
    scope: "read",
    summary: "List all accounts, for administrators of the instance",
    query: pageQuery.extend({ properties, format: properties }),
    filters: accountFilters,
    status: 200,
    response: accountList,
    handle: async ({ ctx, query, filters }) =>
      list(query, await searchAccounts(ctx, pageOf(query, filters, true)), (row) =>
        serializeAccount({ ...ctx, actor: { ...ctx.actor, accountId: row.id } }, row, query.include),
      ),
  }),
  operation({
    method: "post",
    path: "/v3/accounts",
    tag,
    scope: "credentials",
    summary: "Make an account with its first administrator, for administrators of the instance",
    body: createAccountBody,
    status: 201,
    response: createdAccountResponse,
    handle: async (call) => {
      const { ctx, body } = call;
      const { id, userId, invited } = await createAccount(ctx, {
        name: body.display_name || body.company || body.admin_email.slice(0, 100),
        details: detailsOf(body),
        administrator: {
          email: body.admin_email,
          password: body.admin_password || undefined,
          name: body.admin_full_name || undefined,
          username: body.admin_name || null,
        },
      });
      const there = await actInAccount(ctx, id);
      const user = await getUser(there, { id: userId });
      return {
        ...serializeAccount(there, await getAccount(there)),
        admin_id: userId,
        admin_email: user.email,
        admin_full_name: user.name,
        admin_name: user.username,
        ...(invited && { admin_invitation_url: invitationUrl(call, invited) }),
      };
    },
  }),
  operation({
    method: "get",
    path: "/v3/accounts/{account_id}",
    tag,
    scope: "read",
    summary: "Get an account",
    params,
    query: accountQuery,
    status: 200,
    response: accountResponse,
    handle: async ({ ctx, params, query }) => {
      const there = await actInAccount(ctx, params.account_id);
      return serializeAccount(there, await getAccount(there), query.include);
    },
  }),
  operation({
    method: "put",
    path: "/v3/accounts/{account_id}",
    tag,
    scope: "credentials",
    summary: "Change an account, or suspend it",
    params,
    body: updateOtherAccountBody,
    status: 200,
    response: accountResponse,
    handle: async ({ ctx, params, body }) => {
      const target = { id: params.account_id };
      const changes = { ...changesOf(body), ...(body.status && { status: body.status }) };
      if (Object.keys(changes).length > 0) await updateAccount(ctx, { ...target, ...changes });
      return serializeAccount(await actInAccount(ctx, target.id), await findAccount(ctx, target));
    },
  }),
];

export const limitations: Operation[] = [
  operation({
    method: "get",
    path: "/v3/limitations",
    tag,
    scope: "read",
    summary: "List the limits of the account",
    query: pageQuery,
    status: 200,
    response: limitationList,
    handle: async ({ ctx, query }) => {
      const account = await getAccount(ctx);
      const all = listLimitations(ctx);
      return list(query, { rows: all, more: false, total: all.length }, (row) =>
        serializeLimitation(account, row),
      );
    },
  }),
  operation({
    method: "get",
    path: "/v3/limitations/{limitation_id}",
    tag,
    scope: "read",
    summary: "Get a limit of the account",
    params: z.object({ limitation_id: id }),
    status: 200,
    response: limitationResponse,
    handle: async ({ ctx, params }) =>
      serializeLimitation(await getAccount(ctx), getLimitation(ctx, { id: params.limitation_id })),
  }),
];
