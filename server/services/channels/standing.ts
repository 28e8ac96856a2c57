import { type Context, requireSystem } from "../context";

/** What became of a key. */
export interface Standing {
  /** The key is there, its owner and account are in use: what it opened goes on, even if an access key is off or expired. */
  stands: boolean;
  /** It may be used for new requests, too. */
  active: boolean;
}

/** What became of keys, by the hashes of what was presented; keys with another secret are other keys. */
export async function standingOf(ctx: Context, hashes: readonly string[]): Promise<Map<string, Standing>> {
  requireSystem(ctx.actor);
  const rows = await ctx.db.apiKey.findMany({
    where: { hash: { in: [...hashes] } },
    select: {
      hash: true,
      status: true,
      expiresAt: true,
      account: { select: { status: true } },
      application: { select: { status: true } },
    },
  });
  const now = ctx.clock.now();
  const found = new Map(
    rows.map(({ hash, status, expiresAt, account, application }) => {
      // An API key is an owner itself.
      const stands = account.status === "ACTIVE" && (application?.status ?? status) === "ACTIVE";
      const active = stands && status === "ACTIVE" && (expiresAt === null || expiresAt.getTime() > now);
      return [hash, { stands, active }];
    }),
  );
  return new Map(hashes.map((hash) => [hash, found.get(hash) ?? { stands: false, active: false }]));
}
