import { z } from "zod";
import { auditChange } from "../audit/record";
import { actorLabel, type Context, memberAccount, requireAdministrator } from "../context";
import { ServiceError } from "../errors";
import { recordEvent } from "../events/record";
import { newId } from "../ids";
import { transaction } from "../transaction";
import { idField, nameField, validate } from "../validate";
import { makeKey } from "./key";
import { apiKeyFacts, apiKeySelect, apiKeyView } from "./list";
import { mayGovern, ownerOf, ownOwner } from "./owner";
import { scopesField, scopesOf, writeScopes } from "./scopes";

export const createApiKeyInput = z.object({
  name: nameField(100),
  expiresAt: z.date().nullish(),
  /** Only an administrator may make a key for administrators. */
  role: z.enum(["administrator", "developer"]).default("developer"),
  /** The user it acts for; only an administrator may choose another than themselves. */
  ownerId: idField.optional(),
  status: z.enum(["ACTIVE", "INACTIVE"]).default("ACTIVE"),
  /** Left out: all that the maker may do. */
  scopes: scopesField.optional(),
});

/** Keys of one account; more are a mistake in a script. */
export const KEYS_PER_ACCOUNT = 100;

/** Makes an API key; the only time that the whole key is seen. */
export async function createApiKey(
  ctx: Context,
  input: z.input<typeof createApiKeyInput>,
): Promise<{ id: string; name: string; key: string }> {
  const accountId = memberAccount(ctx.actor);
  const { name, expiresAt, role, ownerId, status, ...given } = validate(createApiKeyInput, input);
  const scopes = given.scopes ?? scopesOf(ctx.actor);
  if (role === "administrator") requireAdministrator(ctx.actor);
  mayGovern(ctx, { role, scopes });
  const owner = ownerId ? await ownerOf(ctx, ownerId) : await ownOwner(ctx);
  const at = ctx.clock.now();
  if (expiresAt && expiresAt.getTime() <= at) {
    throw new ServiceError("validation_error", "expiresAt: must be in the future", [
      { name: "expiresAt", message: "must be in the future" },
    ]);
  }
  const id = newId(at);
  const { key, prefix, hash } = makeKey(accountId, id);
  await transaction(ctx, async (tx, tell) => {
    const row = await tx.apiKey.create({
      data: {
        id,
        accountId,
        name,
        prefix,
        hash,
        status,
        role,
        scopes: writeScopes(scopes),
        ownerId: owner,
        expiresAt: expiresAt ?? null,
        createdBy: actorLabel(ctx.actor),
        createdAt: new Date(at),
        updatedAt: new Date(at),
      },
      select: apiKeySelect,
    });
    if ((await tx.apiKey.count({ where: { accountId, applicationId: null } })) > KEYS_PER_ACCOUNT) {
      throw new ServiceError("limit_exceeded", `An account may have ${KEYS_PER_ACCOUNT} API keys.`);
    }
    await auditChange(ctx, tx, {
      action: "api-key.created",
      objectType: "api-key",
      objectId: id,
      before: null,
      after: apiKeyFacts(apiKeyView(row, at)),
    });
    tell(await recordEvent(ctx, tx, "key.created", { accountId, deviceId: null, data: { keyId: id, name } }));
  });
  return { id, name, key };
}
