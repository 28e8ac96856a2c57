import { timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { Prisma, rowsOf } from "@/server/db";
import type { Actor, Context } from "../context";
import { validate } from "../validate";
import { hashKey, keyPattern } from "./key";
import { keyStatus, roleOf } from "./list";
import { readScopes } from "./scopes";

export const authenticateApiKeyInput = z.object({ key: z.string().max(512) });

/** How exact "last used" is; a write per request would cost more than the request. */
const LAST_USED_STEP_MS = 60_000;

const columns = {
  id: "text",
  accountId: "text",
  applicationId: "text?",
  name: "text",
  hash: "text",
  status: "text",
  role: "text",
  scopes: "text",
  expiresAt: "time?",
  lastUsedAt: "time?",
  updatedAt: "time",
  accountStatus: "text",
  applicationStatus: "text?",
  applicationRole: "text?",
} as const;

/** Who a key belongs to, or null when it opens nothing: no longer, or not while its application or account is off. */
export async function authenticateApiKey(
  ctx: Context,
  input: z.input<typeof authenticateApiKeyInput>,
): Promise<Extract<Actor, { kind: "apiKey" }> | null> {
  const { key } = validate(authenticateApiKeyInput, input);
  if (!keyPattern.test(key)) return null;
  const hash = hashKey(key);
  const [row] = await rowsOf(ctx.db)(
    columns,
    Prisma.sql`SELECT k."id", k."accountId", k."applicationId", k."name", k."hash", k."status", k."role", k."scopes",
        k."expiresAt", k."lastUsedAt", k."updatedAt", a."status", p."status", p."role"
      FROM "ApiKey" k JOIN "Account" a ON a."id" = k."accountId"
        LEFT JOIN "Application" p ON p."id" = k."applicationId"
      WHERE k."hash" = ${hash}`,
  );
  if (!row || !timingSafeEqual(Buffer.from(row.hash), Buffer.from(hash))) return null;
  const now = ctx.clock.now();
  if (keyStatus(row.status, row.expiresAt, now) !== "ACTIVE") return null;
  if (row.accountStatus !== "ACTIVE" || (row.applicationStatus ?? "ACTIVE") !== "ACTIVE") return null;
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
    role: roleOf(row.applicationRole ?? row.role),
    scopes: readScopes(row.scopes),
  };
}
