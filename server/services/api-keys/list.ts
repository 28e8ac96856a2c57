import { type Context, memberAccount } from "../context";

/** An API key without its secret. */
export interface ApiKeyView {
  id: string;
  name: string;
  /** Everything but the secret. */
  prefix: string;
  status: "ACTIVE" | "INACTIVE" | "EXPIRED";
  expiresAt: Date | null;
  lastUsedAt: Date | null;
  createdBy: string;
  createdAt: Date;
}

/** The keys of the account, the newest first. */
export async function listApiKeys(ctx: Context): Promise<ApiKeyView[]> {
  const accountId = memberAccount(ctx.actor);
  const rows = await ctx.db.apiKey.findMany({
    where: { accountId },
    orderBy: { id: "desc" },
    select: {
      id: true,
      name: true,
      prefix: true,
      status: true,
      expiresAt: true,
      lastUsedAt: true,
      createdBy: true,
      createdAt: true,
    },
  });
  const now = ctx.clock.now();
  return rows.map((row) => ({
    ...row,
    status:
      row.status !== "ACTIVE"
        ? "INACTIVE"
        : row.expiresAt && row.expiresAt.getTime() <= now
          ? "EXPIRED"
          : "ACTIVE",
  }));
}
