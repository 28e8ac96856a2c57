import type { z } from "zod";
import { auditChange } from "../audit/record";
import { announceOwner } from "../channels/announce";
import { clearOwner } from "../channels/clear";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { recordEvent } from "../events/record";
import { transaction } from "../transaction";
import { idInput, validate } from "../validate";
import { apiKeyFacts } from "./list";
import { mayGovern } from "./owner";
import { findApiKey } from "./search";

export const removeApiKeyInput = idInput;

/** Deletes a key; it opens nothing from then on, and its channel and subscriptions are gone. */
export async function removeApiKey(ctx: Context, input: z.input<typeof removeApiKeyInput>): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(removeApiKeyInput, input);
  const key = await findApiKey(ctx, { id });
  mayGovern(ctx, key);
  await transaction(ctx, async (tx, tell) => {
    const { count } = await tx.apiKey.deleteMany({ where: { id, accountId, applicationId: null } });
    if (count === 0) throw notFound("API key");
    await clearOwner(tx, id);
    await auditChange(ctx, tx, {
      action: "api-key.deleted",
      objectType: "api-key",
      objectId: id,
      before: apiKeyFacts(key),
      after: null,
    });
    const data = { keyId: id, name: key.name };
    tell(await recordEvent(ctx, tx, "key.deleted", { accountId, deviceId: null, data }));
  });
  await announceOwner(ctx, { accountId, ownerId: id });
}
