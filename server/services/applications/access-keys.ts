import { z } from "zod";
import { makeKey } from "../api-keys/key";
import { requireScopes, scopesField, scopesOf, writeScopes } from "../api-keys/scopes";
import { auditChange } from "../audit/record";
import { actorLabel, type Context, requireAdministrator } from "../context";
import { notFound, ServiceError } from "../errors";
import { newId } from "../ids";
import { transaction } from "../transaction";
import { descriptionField, given, idField, nameField, validate } from "../validate";
import { findAccessKey, findApplication } from "./search";
import { accessKeyFacts, accessKeySelect, accessKeyView } from "./view";

/** Two, so that one can take the place of the other without a gap. */
export const KEYS_PER_APPLICATION = 2;

const status = z.enum(["ACTIVE", "INACTIVE"]);

export const createAccessKeyInput = z.object({
  applicationId: idField,
  name: nameField(100),
  description: descriptionField(500).default(""),
  expiresAt: z.date().nullish(),
  status: status.default("ACTIVE"),
  /** Left out: all that the maker may do. */
  scopes: scopesField.optional(),
});

/** Makes an access key; the only time that the whole key is seen. */
export async function createAccessKey(
  ctx: Context,
  input: z.input<typeof createAccessKeyInput>,
): Promise<{ id: string; name: string; key: string }> {
  const accountId = requireAdministrator(ctx.actor);
  const { applicationId, expiresAt, ...fields } = validate(createAccessKeyInput, input);
  const scopes = fields.scopes ?? scopesOf(ctx.actor);
  requireScopes(ctx.actor, scopes);
  const at = ctx.clock.now();
  inFuture(expiresAt, at);
  await findApplication(ctx, { id: applicationId });
  const id = newId(at);
  const { key, prefix, hash } = makeKey(accountId, id, "ak_2");
  await transaction(ctx, async (tx) => {
    // Of an application that is deleted meanwhile nothing is made.
    const { count } = await tx.application.updateMany({
      where: { id: applicationId, accountId },
      data: { updatedAt: new Date(at) },
    });
    if (count === 0) throw notFound("Application");
    const row = await tx.apiKey.create({
      data: {
        ...fields,
        id,
        accountId,
        applicationId,
        prefix,
        hash,
        scopes: writeScopes(scopes),
        expiresAt: expiresAt ?? null,
        createdBy: actorLabel(ctx.actor),
        createdAt: new Date(at),
        updatedAt: new Date(at),
      },
      select: accessKeySelect,
    });
    if ((await tx.apiKey.count({ where: { applicationId } })) > KEYS_PER_APPLICATION)
      throw new ServiceError(
        "limit_exceeded",
        `An application may have ${KEYS_PER_APPLICATION} access keys. Delete one that is no longer needed.`,
      );
    await auditChange(ctx, tx, {
      action: "access-key.created",
      objectType: "access-key",
      objectId: id,
      before: null,
      after: accessKeyFacts(accessKeyView(row, at)),
    });
  });
  return { id, name: fields.name, key };
}

export const updateAccessKeyInput = z
  .object({
    id: idField,
    applicationId: idField,
    name: nameField(100).optional(),
    description: descriptionField(500).optional(),
    expiresAt: z.date().nullable().optional(),
    status: status.optional(),
    scopes: scopesField.optional(),
  })
  .refine(
    ({ id: _, applicationId: __, ...changes }) => Object.keys(given(changes)).length > 0,
    "must change something",
  );

/** Changes an access key; channels and subscriptions of its application go on whatever becomes of it. */
export async function updateAccessKey(
  ctx: Context,
  input: z.input<typeof updateAccessKeyInput>,
): Promise<void> {
  const accountId = requireAdministrator(ctx.actor);
  const { id, applicationId, ...fields } = validate(updateAccessKeyInput, input);
  const known = await findAccessKey(ctx, { id, applicationId });
  const now = ctx.clock.now();
  const changed = given(fields);
  const after = { ...known, ...changed };
  requireScopes(ctx.actor, known.scopes);
  requireScopes(ctx.actor, after.scopes);
  // What it has already may be given again.
  if (after.expiresAt?.getTime() !== known.expiresAt?.getTime()) inFuture(after.expiresAt, now);
  await transaction(ctx, async (tx) => {
    const { count } = await tx.apiKey.updateMany({
      where: { id, accountId, applicationId },
      data: { ...changed, scopes: writeScopes(after.scopes), updatedAt: new Date(now) },
    });
    if (count === 0) throw notFound("Access key");
    await auditChange(ctx, tx, {
      action: "access-key.updated",
      objectType: "access-key",
      objectId: id,
      before: accessKeyFacts(known),
      after: accessKeyFacts(after),
    });
  });
}

export const removeAccessKeyInput = z.object({ id: idField, applicationId: idField });

/** Deletes an access key; it opens nothing from then on. */
export async function removeAccessKey(
  ctx: Context,
  input: z.input<typeof removeAccessKeyInput>,
): Promise<void> {
  const accountId = requireAdministrator(ctx.actor);
  const { id, applicationId } = validate(removeAccessKeyInput, input);
  const known = await findAccessKey(ctx, { id, applicationId });
  requireScopes(ctx.actor, known.scopes);
  await transaction(ctx, async (tx, tell) => {
    const { count } = await tx.apiKey.deleteMany({ where: { id, accountId, applicationId } });
    if (count === 0) throw notFound("Access key");
    await auditChange(ctx, tx, {
      action: "access-key.deleted",
      objectType: "access-key",
      objectId: id,
      before: accessKeyFacts(known),
      after: null,
    });
    // What was opened with it ends; what was opened with the application's other key goes on.
    tell({ kind: "channel", accountId, deviceId: null, ownerId: applicationId });
  });
}

function inFuture(expiresAt: Date | null | undefined, now: number): void {
  if (!expiresAt || expiresAt.getTime() > now) return;
  const message = "must be in the future";
  throw new ServiceError("validation_error", `expiration: ${message}`, [{ name: "expiration", message }]);
}
