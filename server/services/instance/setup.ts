import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import { accountFacts, accountSelect, accountView } from "../accounts/get";
import { auditChange } from "../audit/record";
import { type Context, requireSystem } from "../context";
import { ServiceError } from "../errors";
import { newId } from "../ids";
import { transaction } from "../transaction";
import { insertUser } from "../users/insert";
import { emailField, hashPassword, passwordField } from "../users/password";
import { nameField, validate } from "../validate";
import { putSetting } from "./settings";

const TOKEN = "setup-token";
const FIRST = "first-administrator";

const hashToken = (token: string) => createHash("sha256").update(token).digest("hex");

/** Makes the token of the one-time link, which replaces any before it; null when there is a user. */
export async function issueSetupToken(ctx: Context): Promise<string | null> {
  requireSystem(ctx.actor);
  if ((await ctx.db.user.count()) > 0) {
    await putSetting(ctx, TOKEN, null);
    return null;
  }
  const token = randomBytes(16).toString("base64url");
  await putSetting(ctx, TOKEN, hashToken(token));
  return token;
}

/** Whether a one-time link can still be used. */
export async function checkSetupToken(ctx: Context, token: string): Promise<boolean> {
  const row = await ctx.db.setting.findUnique({ where: { key: TOKEN } });
  return row !== null && row.value === hashToken(token) && (await ctx.db.user.count()) === 0;
}

export const createFirstAdministratorInput = z.object({
  /** Null: the service itself, without a link. */
  token: z.string().max(100).nullable(),
  email: emailField,
  password: passwordField,
  name: nameField(100).optional(),
  accountName: nameField(100).optional(),
});

/** Makes the first account and its administrator; the token opens this once. */
export async function createFirstAdministrator(
  ctx: Context,
  input: z.input<typeof createFirstAdministratorInput>,
): Promise<{ userId: string; accountId: string }> {
  const { token, email, password, name, accountName } = validate(createFirstAdministratorInput, input);
  if (token === null) requireSystem(ctx.actor);
  else if (!(await checkSetupToken(ctx, token))) throw usedUp();
  const passwordHash = await hashPassword(password);
  const at = ctx.clock.now();
  const accountId = newId(at);
  const userId = newId(at);
  const times = { createdAt: new Date(at), updatedAt: new Date(at) };
  await transaction(ctx, async (tx, tell) => {
    // Both writes come before the count, so that of two at once the second waits and then finds a user.
    if (token !== null) {
      const { count } = await tx.setting.deleteMany({ where: { key: TOKEN, value: hashToken(token) } });
      if (count === 0) throw usedUp();
    }
    await tx.setting.upsert({
      where: { key: FIRST },
      create: { key: FIRST, value: userId },
      update: { value: userId },
    });
    if ((await tx.user.count()) > 0) {
      throw new ServiceError("conflict", "This instance has an administrator already. Sign in instead.");
    }
    const account = await tx.account.create({
      data: { id: accountId, name: accountName ?? "My account", ...times },
      select: accountSelect,
    });
    await auditChange(ctx, tx, {
      action: "account.created",
      objectType: "account",
      objectId: accountId,
      before: null,
      after: accountFacts(accountView(account)),
      accountId,
    });
    await insertUser(ctx, tx, tell, {
      id: userId,
      accountId,
      email,
      name: name ?? "",
      role: "administrator",
      passwordHash,
      ...times,
    });
  });
  await ctx.db.setting.deleteMany({ where: { key: TOKEN } });
  return { userId, accountId };
}

/** Makes the administrator named in the environment, unless there is a user; says whether it did. */
export async function ensureAdministrator(
  ctx: Context,
  input: { email: string; password: string },
): Promise<boolean> {
  requireSystem(ctx.actor);
  if ((await ctx.db.user.count()) > 0) return false;
  try {
    await createFirstAdministrator(ctx, { token: null, ...input });
    return true;
  } catch (error) {
    if (error instanceof ServiceError && error.code === "conflict") return false;
    throw error;
  }
}

const usedUp = () =>
  new ServiceError(
    "forbidden",
    "This set-up link is no longer valid. Use the one printed at the last start.",
  );
