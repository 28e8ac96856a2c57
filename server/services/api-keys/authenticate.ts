import { timingSafeEqual } from "node:crypto";
import { z } from "zod";
import type { Actor, Context } from "../context";
import { validate } from "../validate";
import { hashKey, keyPattern } from "./key";
import { roleOf } from "./list";

export const authenticateApiKeyInput = z.object({ key: z.string().max(512) });

/** How exact "last used" is; a write per request would cost more than the request. */
const LAST_USED_STEP_MS = 60_000;

/** Who a key belongs to, or null when it opens nothing. */
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
      name: true,
      hash: true,
      status: true,
      role: true,
      expiresAt: true,
      lastUsedAt: true,
      updatedAt: true,
    },
  });
  if (!row || !timingSafeEqual(Buffer.from(row.hash), Buffer.from(hash))) return null;
  const now = ctx.clock.now();
  if (row.status !== "ACTIVE" || (row.expiresAt && row.expiresAt.getTime() <= now)) return null;
  if (!row.lastUsedAt || row.lastUsedAt.getTime() <= now - LAST_USED_STEP_MS) {
    // Being used is no change of the key.
    const data = { lastUsedAt: new Date(now), updatedAt: row.updatedAt };
    await ctx.db.apiKey.updateMany({ where: { id: row.id }, data });
  }
  const { id, accountId, name } = row;
  return { kind: "apiKey", id, accountId, name, role: roleOf(row.role) };
}
