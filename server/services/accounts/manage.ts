import { z } from "zod";
import type { Transaction } from "@/server/db";
import { requireEveryScope } from "../api-keys/scopes";
import { type AuditChange, auditChange } from "../audit/record";
import { type Context, memberAccount } from "../context";
import { notFound, ServiceError } from "../errors";
import { newId } from "../ids";
import { firstAccountId, requireInstanceAdministrator, seesInstance } from "../instance/operator";
import { tellGateway, transaction } from "../transaction";
import { insertUser } from "../users/insert";
import { INVITATION_DAYS, type Invited, invite } from "../users/invitations";
import { emailField, hashPassword, passwordField } from "../users/password";
import { uniqueEmail, usernameField } from "../users/rules";
import { given, idField, nameField, validate } from "../validate";
import { detailsField, mergeDetails } from "./details";
import { type AccountView, accountFacts, accountSelect, accountView, getAccount } from "./get";
import { accountSettingsFields, updateAccountSettings } from "./settings";

/**
 * The context in another account: one's own as it is; for an administrator of the instance as an administrator of that
 * account; for anybody else there is no such account.
 */
export async function actInAccount<C extends Context>(ctx: C, accountId: string): Promise<C> {
  const own = memberAccount(ctx.actor);
  if (own === accountId) return ctx;
  if (!(await seesInstance(ctx)) || (await ctx.db.account.count({ where: { id: accountId } })) === 0)
    throw notFound("Account");
  return { ...ctx, actor: { ...ctx.actor, accountId } };
}

export const createAccountInput = z.object({
  name: nameField(100),
  details: detailsField.default({}),
  administrator: z.object({
    email: emailField,
    /** Left out: they give themselves one by the link of an invitation. */
    password: passwordField.optional(),
    name: nameField(100).optional(),
    username: usernameField.nullish(),
  }),
});

/** Makes an account with its first administrator. */
export async function createAccount(
  ctx: Context,
  input: z.input<typeof createAccountInput>,
): Promise<{ id: string; userId: string; invited: Invited | null }> {
  await requireInstanceAdministrator(ctx);
  requireEveryScope(ctx.actor);
  const { name, details, administrator } = validate(createAccountInput, input);
  const { email, password } = administrator;
  const passwordHash = password === undefined ? "" : await hashPassword(password);
  const at = ctx.clock.now();
  const id = newId(at);
  const userId = newId(at);
  const times = { createdAt: new Date(at), updatedAt: new Date(at) };
  const invited = await uniqueEmail(() =>
    transaction(ctx, async (tx, tell) => {
      const account = await tx.account.create({
        data: { id, name, details: JSON.stringify(mergeDetails({}, details)), ...times },
        select: accountSelect,
      });
      await auditAccount(ctx, tx, {
        action: "account.created",
        objectType: "account",
        objectId: id,
        before: null,
        after: accountFacts(accountView(account)),
      });
      await insertUser(ctx, tx, tell, {
        id: userId,
        accountId: id,
        email,
        name: administrator.name ?? "",
        username: administrator.username ?? null,
        role: "administrator",
        passwordHash,
        status: password === undefined ? "ENROLLING" : "ACTIVE",
        ...times,
      });
      return password === undefined
        ? invite(ctx, tx, { accountId: id, userId, validForDays: INVITATION_DAYS })
        : null;
    }),
  );
  await tellGateway(ctx, "account.reload", {});
  return { id, userId, invited };
}

/** An account: one's own, or any for an administrator of the instance. */
export async function findAccount(ctx: Context, { id }: { id: string }): Promise<AccountView> {
  return getAccount(await actInAccount(ctx, validate(idField, id)));
}

export const updateAccountInput = accountSettingsFields
  .extend({
    id: idField,
    /** Only for an administrator of the instance. */
    status: z.enum(["ACTIVE", "SUSPENDED"]).optional(),
  })
  .refine(({ id: _, ...changes }) => Object.keys(given(changes)).length > 0, "must change something");

/** Changes an account; while it is suspended its keys open nothing and its users cannot sign in. */
export async function updateAccount(ctx: Context, input: z.input<typeof updateAccountInput>): Promise<void> {
  const { id, status, ...settings } = validate(updateAccountInput, input);
  const there = await actInAccount(ctx, id);
  const known = await getAccount(there);
  const changes = given(settings);
  if (status !== undefined && status !== known.status) await switchAccount(ctx, known, status);
  if (Object.keys(changes).length > 0) await updateAccountSettings(there, changes);
}

async function switchAccount(ctx: Context, known: AccountView, status: AccountView["status"]): Promise<void> {
  await requireInstanceAdministrator(ctx);
  requireEveryScope(ctx.actor);
  const { id } = known;
  if (id === (await firstAccountId(ctx)))
    throw new ServiceError("bad_request", "The account that runs the instance cannot be suspended.");
  await transaction(ctx, async (tx) => {
    const { count } = await tx.account.updateMany({
      where: { id },
      data: { status, updatedAt: new Date(ctx.clock.now()) },
    });
    if (count === 0) throw notFound("Account");
    await auditAccount(ctx, tx, {
      action: "account.updated",
      objectType: "account",
      objectId: id,
      before: accountFacts(known),
      after: accountFacts({ ...known, status }),
    });
  });
  // What is open ends, and callbacks stop or go on.
  const channels = await ctx.db.notificationChannel.findMany({
    where: { accountId: id },
    select: { ownerId: true },
  });
  for (const { ownerId } of channels)
    ctx.bus.publish({ kind: "channel", accountId: id, deviceId: null, ownerId });
}

/** Both sides read what the instance did to an account. */
async function auditAccount(ctx: Context, tx: Transaction, change: AuditChange): Promise<void> {
  const own = ctx.actor.kind === "system" ? [] : [ctx.actor.accountId];
  for (const accountId of new Set([change.objectId, ...own]))
    await auditChange(ctx, tx, { ...change, accountId });
}
