import { z } from "zod";
import { auditChange } from "../audit/record";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { named } from "../named";
import { transaction } from "../transaction";
import { idField, validate } from "../validate";
import { checkQuery, queryFields } from "./fields";
import { findDeviceQuery } from "./search";

export const updateDeviceQueryInput = z.object({ ...queryFields, id: idField });

/** Renames a saved filter and puts another text into its place. */
export async function updateDeviceQuery(
  ctx: Context,
  input: z.input<typeof updateDeviceQueryInput>,
): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const { id, ...changes } = validate(updateDeviceQueryInput, input);
  const { name, query } = await findDeviceQuery(ctx, { id });
  checkQuery(changes.query);
  await named("device query", changes.name, () =>
    transaction(ctx, async (tx) => {
      const { count } = await tx.deviceQuery.updateMany({
        where: { id, accountId },
        data: { ...changes, updatedAt: new Date(ctx.clock.now()) },
      });
      if (count === 0) throw notFound("Device query");
      await auditChange(ctx, tx, {
        action: "device-query.updated",
        objectType: "device-query",
        objectId: id,
        before: { name, query },
        after: changes,
      });
    }),
  );
}
