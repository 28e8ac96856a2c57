import { type Context, memberAccount, type Scope } from "../context";
import type { Role } from "../groups/list";
import { readScopes } from "./scopes";

/** A key without its secret. */
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
  /** What it may do, as far as its group may. */
  scopes: Scope[];
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
  scopes: true,
  ownerId: true,
  expiresAt: true,
  lastUsedAt: true,
  createdBy: true,
  createdAt: true,
  updatedAt: true,
} as const;

type Row = Omit<ApiKeyView, "status" | "role" | "scopes"> & { status: string; role: string; scopes: string };

export const roleOf = (text: string): Role => (text === "administrator" ? "administrator" : "developer");

/** What is left of a key's status once its time is over. */
export function keyStatus(status: string, expiresAt: Date | null, now: number): ApiKeyView["status"] {
  if (status !== "ACTIVE") return "INACTIVE";
  return expiresAt !== null && expiresAt.getTime() <= now ? "EXPIRED" : "ACTIVE";
}

export const apiKeyView = ({ status, role, scopes, ...row }: Row, now: number): ApiKeyView => ({
  ...row,
  role: roleOf(role),
  scopes: readScopes(scopes),
  status: keyStatus(status, row.expiresAt, now),
});

/** What the audit log tells of a key. */
export const apiKeyFacts = ({ name, status, role, scopes, ownerId, expiresAt }: ApiKeyView) => ({
  name,
  status,
  role,
  scopes,
  ownerId,
  expiresAt,
});

/** The API keys of the account, the newest first. */
export async function listApiKeys(ctx: Context): Promise<ApiKeyView[]> {
  const accountId = memberAccount(ctx.actor);
  const rows = await ctx.db.apiKey.findMany({
    // Access keys are listed with their applications.
    where: { accountId, applicationId: null },
    orderBy: { id: "desc" },
    select: apiKeySelect,
  });
  const now = ctx.clock.now();
  return rows.map((row) => apiKeyView(row, now));
}
