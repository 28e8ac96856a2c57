import { type Context, requireAdministrator } from "../context";

/** What there is to choose from. */
export interface AuditFacets {
  actors: string[];
  objectTypes: string[];
}

/** Who made changes in the account, and to what kinds of things. */
export async function auditFacets(ctx: Context): Promise<AuditFacets> {
  const accountId = requireAdministrator(ctx.actor);
  const [actors, objectTypes] = await Promise.all([
    ctx.db.auditEntry.groupBy({ by: ["actor"], where: { accountId }, orderBy: { actor: "asc" } }),
    ctx.db.auditEntry.groupBy({ by: ["objectType"], where: { accountId }, orderBy: { objectType: "asc" } }),
  ]);
  return {
    actors: actors.map(({ actor }) => actor),
    objectTypes: objectTypes.map(({ objectType }) => objectType),
  };
}
