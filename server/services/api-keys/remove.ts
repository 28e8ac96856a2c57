import type { z } from "zod";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { recordEvent } from "../events/record";
import { transaction } from "../transaction";
import { idInput, validate } from "../validate";
import { mayGovern } from "./owner";

export const removeApiKeyInput = idInput;

/** Deletes a key; it opens nothing from then on. */
export async function removeApiKey(ctx: Context, input: z.input<typeof removeApiKeyInput>): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(removeApiKeyInput, input);
  const named = await ctx.db.apiKey.findFirst({
    where: { id, accountId },
    select: { name: true, role: true },
  });
  if (named) mayGovern(ctx, named);
  await transaction(ctx, async (tx, tell) => {
    const { count } = await tx.apiKey.deleteMany({ where: { id, accountId } });
    if (count === 0) throw notFound("API key");
    tell(
      await recordEvent(ctx, tx, "key.deleted", {
        accountId,
        deviceId: null,
        data: { keyId: id, name: named?.name ?? id },
      }),
    );
  });
}
