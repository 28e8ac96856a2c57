import { type Context, memberAccount } from "../context";
import type { Role } from "../groups/list";

/** An API key without its secret. */
export interface ApiKeyView {
  id: string;
  name: string;
  /** Everything but the secret. */
  prefix: string;
  status: "ACTIVE" | "INACTIVE" | "EXPIRED";
  expiresAt: Date | null;
  lastUsedAt: Date | null;
  /** The policy group it is in. */
  role: Role;
  /** The user it acts for. */
  ownerId: string | null;
  createdBy: string;
  createdAt: Date;
  updatedAt: Date;
}

export const apiKeySelect = {
  id: true,
  name: true,
  prefix: true,
  status: true,
  role: true,
  ownerId: true,
  expiresAt: true,
  lastUsedAt: true,
  createdBy: true,
  createdAt: true,
  updatedAt: true,
} as const;

type Row = Omit<ApiKeyView, "status" | "role"> & { status: string; role: string };

export const roleOf = (text: string): Role => (text === "administrator" ? "administrator" : "developer");

export function apiKeyView({ status, role, ...row }: Row, now: number): ApiKeyView {
  const expired = row.expiresAt !== null && row.expiresAt.getTime() <= now;
  return {
    ...row,
    role: roleOf(role),
    status: status !== "ACTIVE" ? "INACTIVE" : expired ? "EXPIRED" : "ACTIVE",
  };
}

/** The keys of the account, the newest first. */
export async function listApiKeys(ctx: Context): Promise<ApiKeyView[]> {
  const accountId = memberAccount(ctx.actor);
  const rows = await ctx.db.apiKey.findMany({
    where: { accountId },
    orderBy: { id: "desc" },
    select: apiKeySelect,
  });
  const now = ctx.clock.now();
  return rows.map((row) => apiKeyView(row, now));
}
