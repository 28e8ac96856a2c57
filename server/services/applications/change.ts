import { z } from "zod";
import { readScopes, requireScopes } from "../api-keys/scopes";
import { auditChange } from "../audit/record";
import { announceOwner } from "../channels/announce";
import { clearOwner } from "../channels/clear";
import { actorLabel, type Context, requireAdministrator } from "../context";
import { notFound, ServiceError } from "../errors";
import { newId } from "../ids";
import { isUniqueViolation, transaction } from "../transaction";
import { descriptionField, given, idField, idInput, nameField, validate } from "../validate";
import { findApplication } from "./search";
import { applicationFacts, applicationSelect, applicationView } from "./view";

/** Applications of one account; more are a mistake in a script. */
export const APPLICATIONS_PER_ACCOUNT = 100;

const role = z.enum(["administrator", "developer"]);
const status = z.enum(["ACTIVE", "INACTIVE"]);

export const createApplicationInput = z.object({
  name: nameField(100),
  description: descriptionField(500).default(""),
  role: role.default("developer"),
  status: status.default("ACTIVE"),
});

/** Makes an application; it can do nothing before it has an access key. */
export async function createApplication(
  ctx: Context,
  input: z.input<typeof createApplicationInput>,
): Promise<{ id: string; name: string }> {
  const accountId = requireAdministrator(ctx.actor);
  const facts = validate(createApplicationInput, input);
  const at = ctx.clock.now();
  const id = newId(at);
  await named(facts.name, () =>
    transaction(ctx, async (tx) => {
      const row = await tx.application.create({
        data: {
          ...facts,
          id,
          accountId,
          createdBy: actorLabel(ctx.actor),
          createdAt: new Date(at),
          updatedAt: new Date(at),
        },
        select: applicationSelect,
      });
      if ((await tx.application.count({ where: { accountId } })) > APPLICATIONS_PER_ACCOUNT)
        throw new ServiceError(
          "limit_exceeded",
          `An account may have ${APPLICATIONS_PER_ACCOUNT} applications.`,
        );
      await auditChange(ctx, tx, {
        action: "application.created",
        objectType: "application",
        objectId: id,
        before: null,
        after: applicationFacts(applicationView(row)),
      });
    }),
  );
  return { id, name: facts.name };
}

export const updateApplicationInput = z
  .object({
    id: idField,
    name: nameField(100).optional(),
    description: descriptionField(500).optional(),
    role: role.optional(),
    status: status.optional(),
  })
  .refine(({ id: _, ...changes }) => Object.keys(given(changes)).length > 0, "must change something");

/** Changes an application; one that is made inactive loses its channel and subscriptions, and its keys open nothing. */
export async function updateApplication(
  ctx: Context,
  input: z.input<typeof updateApplicationInput>,
): Promise<void> {
  const accountId = requireAdministrator(ctx.actor);
  const { id, ...fields } = validate(updateApplicationInput, input);
  const known = await findApplication(ctx, { id });
  const after = { ...known, ...given(fields) };
  await mayGovern(ctx, id);
  const stopped = after.status === "INACTIVE";
  await named(after.name, () =>
    transaction(ctx, async (tx) => {
      const { count } = await tx.application.updateMany({
        where: { id, accountId },
        data: { ...given(fields), updatedAt: new Date(ctx.clock.now()) },
      });
      if (count === 0) throw notFound("Application");
      if (stopped) await clearOwner(tx, id);
      await auditChange(ctx, tx, {
        action: "application.updated",
        objectType: "application",
        objectId: id,
        before: applicationFacts(known),
        after: applicationFacts(after),
      });
    }),
  );
  if (stopped) await announceOwner(ctx, { accountId, ownerId: id });
}

export const removeApplicationInput = idInput;

/** Deletes an application with its keys, its channel and its subscriptions. */
export async function removeApplication(
  ctx: Context,
  input: z.input<typeof removeApplicationInput>,
): Promise<void> {
  const accountId = requireAdministrator(ctx.actor);
  const { id } = validate(removeApplicationInput, input);
  const known = await findApplication(ctx, { id });
  await mayGovern(ctx, id);
  await transaction(ctx, async (tx) => {
    const { count } = await tx.application.deleteMany({ where: { id, accountId } });
    if (count === 0) throw notFound("Application");
    await clearOwner(tx, id);
    await auditChange(ctx, tx, {
      action: "application.deleted",
      objectType: "application",
      objectId: id,
      before: applicationFacts(known),
      after: null,
    });
  });
  await announceOwner(ctx, { accountId, ownerId: id });
}

/** What an application becomes, its keys become: nobody changes a key that may do what they may not. */
async function mayGovern(ctx: Context, applicationId: string): Promise<void> {
  const keys = await ctx.db.apiKey.findMany({ where: { applicationId }, select: { scopes: true } });
  for (const { scopes } of keys) requireScopes(ctx.actor, readScopes(scopes));
}

async function named<T>(name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new ServiceError("conflict", `There is an application named “${name}” already.`, [
      { name: "name", message: "is taken" },
    ]);
  }
}
