import { z } from "zod";
import { auditChange } from "../audit/record";
import { type Context, memberAccount } from "../context";
import { newId } from "../ids";
import { named } from "../named";
import { transaction } from "../transaction";
import { validate } from "../validate";
import { checkQuery, queryFields } from "./fields";

export const createDeviceQueryInput = z.object(queryFields);

/** Saves a filter of the directory. */
export async function createDeviceQuery(
  ctx: Context,
  input: z.input<typeof createDeviceQueryInput>,
): Promise<{ id: string }> {
  const accountId = memberAccount(ctx.actor);
  const query = validate(createDeviceQueryInput, input);
  checkQuery(query.query);
  const at = ctx.clock.now();
  const id = newId(at);
  await named("device query", query.name, () =>
    transaction(ctx, async (tx) => {
      await tx.deviceQuery.create({
        data: { ...query, id, accountId, createdAt: new Date(at), updatedAt: new Date(at) },
      });
      await auditChange(ctx, tx, {
        action: "device-query.created",
        objectType: "device-query",
        objectId: id,
        before: null,
        after: query,
      });
    }),
  );
  return { id };
}
