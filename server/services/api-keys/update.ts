import { z } from "zod";
import { auditChange } from "../audit/record";
import { announceOwner } from "../channels/announce";
import { clearOwner } from "../channels/clear";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { recordEvent } from "../events/record";
import { transaction } from "../transaction";
import { given, idField, idInput, nameField, validate } from "../validate";
import { makeKey } from "./key";
import { apiKeyFacts } from "./list";
import { mayGovern, ownerOf } from "./owner";
import { scopesField, writeScopes } from "./scopes";
import { findApiKey } from "./search";

export const updateApiKeyInput = z
  .object({
    id: idField,
    name: nameField(100).optional(),
    status: z.enum(["ACTIVE", "INACTIVE"]).optional(),
    role: z.enum(["administrator", "developer"]).optional(),
    ownerId: idField.optional(),
    scopes: scopesField.optional(),
  })
  .refine(
    ({ id: _, ...changes }) => Object.values(changes).some((value) => value !== undefined),
    "must change something",
  );

const words = {
  name: "the name",
  status: "the status",
  role: "the group",
  ownerId: "the owner",
  scopes: "the scopes",
} as const;

/** Changes an API key; one that is made inactive opens nothing until it is active again, and loses its channel. */
export async function updateApiKey(ctx: Context, input: z.input<typeof updateApiKeyInput>): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const { id, ...fields } = validate(updateApiKeyInput, input);
  const key = await findApiKey(ctx, { id });
  const changes = given(fields);
  const after = { ...key, ...changes };
  mayGovern(ctx, key);
  mayGovern(ctx, after);
  if (after.ownerId !== null && after.ownerId !== key.ownerId) await ownerOf(ctx, after.ownerId);
  const stopped = changes.status === "INACTIVE";
  await transaction(ctx, async (tx, tell) => {
    const { count } = await tx.apiKey.updateMany({
      where: { id, accountId, applicationId: null },
      data: {
        ...changes,
        scopes: writeScopes(after.scopes),
        updatedAt: new Date(ctx.clock.now()),
      },
    });
    if (count === 0) throw notFound("API key");
    if (stopped) await clearOwner(tx, id);
    await auditChange(ctx, tx, {
      action: "api-key.updated",
      objectType: "api-key",
      objectId: id,
      before: apiKeyFacts(key),
      after: apiKeyFacts(after),
    });
    const changed = Object.keys(changes).map((field) => words[field as keyof typeof words]);
    const data = { keyId: id, name: after.name, fields: changed };
    tell(await recordEvent(ctx, tx, "key.updated", { accountId, deviceId: null, data }));
  });
  if (stopped) await announceOwner(ctx, { accountId, ownerId: id });
}

export const resetApiKeySecretInput = idInput;

/** Gives a key another secret, shown once; the former one opens nothing from then on. */
export async function resetApiKeySecret(
  ctx: Context,
  input: z.input<typeof resetApiKeySecretInput>,
): Promise<{ id: string; key: string }> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(resetApiKeySecretInput, input);
  const found = await findApiKey(ctx, { id });
  mayGovern(ctx, found);
  const { key, prefix, hash } = makeKey(accountId, id);
  await transaction(ctx, async (tx, tell) => {
    const { count } = await tx.apiKey.updateMany({
      where: { id, accountId, applicationId: null },
      data: { prefix, hash, updatedAt: new Date(ctx.clock.now()) },
    });
    if (count === 0) throw notFound("API key");
    await auditChange(ctx, tx, {
      action: "api-key.secret-reset",
      objectType: "api-key",
      objectId: id,
      before: apiKeyFacts(found),
      after: apiKeyFacts(found),
    });
    const data = { keyId: id, name: found.name, fields: ["the secret"] };
    tell(await recordEvent(ctx, tx, "key.updated", { accountId, deviceId: null, data }));
  });
  return { id, key };
}
