import type { z } from "zod";
import { auditChange } from "../audit/record";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { transaction } from "../transaction";
import { idInput, validate } from "../validate";
import { findDeviceQuery } from "./search";

export const removeDeviceQueryInput = idInput;

/** Forgets a saved filter. */
export async function removeDeviceQuery(
  ctx: Context,
  input: z.input<typeof removeDeviceQueryInput>,
): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(removeDeviceQueryInput, input);
  const { name, query } = await findDeviceQuery(ctx, { id });
  await transaction(ctx, async (tx) => {
    const { count } = await tx.deviceQuery.deleteMany({ where: { id, accountId } });
    if (count === 0) throw notFound("Device query");
    await auditChange(ctx, tx, {
      action: "device-query.deleted",
      objectType: "device-query",
      objectId: id,
      before: { name, query },
      after: null,
    });
  });
}
