import { timingSafeEqual } from "node:crypto";
import { z } from "zod";
import type { Actor, Context } from "../context";
import { validate } from "../validate";
import { hashKey, keyPattern } from "./key";
import { keyStatus, roleOf } from "./list";
import { readScopes } from "./scopes";

export const authenticateApiKeyInput = z.object({ key: z.string().max(512) });

/** How exact "last used" is; a write per request would cost more than the request. */
const LAST_USED_STEP_MS = 60_000;

/** Who a key belongs to, or null when it opens nothing: no longer, or not while its application or account is off. */
export async function authenticateApiKey(
  ctx: Context,
  input: z.input<typeof authenticateApiKeyInput>,
): Promise<Extract<Actor, { kind: "apiKey" }> | null> {
  const { key } = validate(authenticateApiKeyInput, input);
  if (!keyPattern.test(key)) return null;
  const hash = hashKey(key);
  const row = await ctx.db.apiKey.findUnique({
    where: { hash },
    select: {
      id: true,
      accountId: true,
      applicationId: true,
      name: true,
      hash: true,
      status: true,
      role: true,
      scopes: true,
      expiresAt: true,
      lastUsedAt: true,
      updatedAt: true,
      account: { select: { status: true } },
      application: { select: { status: true, role: true } },
    },
  });
  if (!row || !timingSafeEqual(Buffer.from(row.hash), Buffer.from(hash))) return null;
  const now = ctx.clock.now();
  if (keyStatus(row.status, row.expiresAt, now) !== "ACTIVE") return null;
  if (row.account.status !== "ACTIVE" || (row.application && row.application.status !== "ACTIVE"))
    return null;
  if (!row.lastUsedAt || row.lastUsedAt.getTime() <= now - LAST_USED_STEP_MS) {
    // Being used is no change of the key.
    const data = { lastUsedAt: new Date(now), updatedAt: row.updatedAt };
    await ctx.db.apiKey.updateMany({ where: { id: row.id }, data });
  }
  const { id, accountId, applicationId, name } = row;
  return {
    kind: "apiKey",
    id,
    accountId,
    applicationId,
    name,
    // An access key may do what its application may.
    role: roleOf(row.application?.role ?? row.role),
    scopes: readScopes(row.scopes),
  };
}
