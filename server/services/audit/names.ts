import { type Context, requireAdministrator } from "../context";

/** What the things of the account are called that still are there, by their IDs. */
export async function namesOf(ctx: Context, ids: readonly string[]): Promise<Record<string, string>> {
  const accountId = requireAdministrator(ctx.actor);
  const where = { accountId, id: { in: [...new Set(ids)] } };
  const select = { id: true, name: true } as const;
  const [devices, users, ...others] = await Promise.all([
    ctx.db.device.findMany({ where, select: { ...select, endpointName: true } }),
    ctx.db.user.findMany({ where, select: { ...select, email: true } }),
    ctx.db.deviceGroup.findMany({ where, select }),
    ctx.db.deviceQuery.findMany({ where, select }),
    ctx.db.application.findMany({ where, select }),
    ctx.db.apiKey.findMany({ where, select }),
    ctx.db.trustedCertificate.findMany({ where, select }),
  ]);
  return Object.fromEntries([
    ...devices.map(({ id, name, endpointName }) => [id, name || endpointName]),
    ...users.map(({ id, name, email }) => [id, name || email]),
    ...others.flat().map(({ id, name }) => [id, name]),
  ]);
}
