import { type Context, memberAccount } from "../context";

/** Whose subscriptions, requests and channel something is: an application, or an API key that stands for itself. */
export interface OwnerName {
  id: string;
  kind: "application" | "apiKey";
  name: string;
}

/** Who may own something in the actor's account, by ID. */
export async function ownerNames(ctx: Context): Promise<Map<string, OwnerName>> {
  const accountId = memberAccount(ctx.actor);
  const select = { id: true, name: true } as const;
  const [applications, keys] = await Promise.all([
    ctx.db.application.findMany({ where: { accountId }, select }),
    ctx.db.apiKey.findMany({ where: { accountId, applicationId: null }, select }),
  ]);
  return new Map<string, OwnerName>([
    ...applications.map(({ id, name }) => [id, { id, kind: "application", name }] as const),
    ...keys.map(({ id, name }) => [id, { id, kind: "apiKey", name }] as const),
  ]);
}
