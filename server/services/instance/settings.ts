import { type Context, requireSystem } from "../context";

/** Key of the host that the server certificates are made out to. */
export const PUBLIC_HOST = "public-host";

/** A fact the instance keeps of itself, or null. */
export async function getSetting(ctx: Context, key: string): Promise<string | null> {
  requireSystem(ctx.actor);
  return (await ctx.db.setting.findUnique({ where: { key } }))?.value ?? null;
}

/** Keeps a fact of the instance; null forgets it. */
export async function putSetting(ctx: Context, key: string, value: string | null): Promise<void> {
  requireSystem(ctx.actor);
  if (value === null) await ctx.db.setting.deleteMany({ where: { key } });
  else await ctx.db.setting.upsert({ where: { key }, create: { key, value }, update: { value } });
}
