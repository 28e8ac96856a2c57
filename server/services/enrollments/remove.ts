import type { z } from "zod";
import { auditChange } from "../audit/record";
import { actorLabel, type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { transaction } from "../transaction";
import { idInput, validate } from "../validate";
import { unenroll } from "./claim";
import { fingerprintOf } from "./identity";
import { findEnrollment } from "./search";

export const removeEnrollmentInput = idInput;

/** Gives up the claim on a device; its directory entry stays. */
export async function removeEnrollment(
  ctx: Context,
  input: z.input<typeof removeEnrollmentInput>,
): Promise<void> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(removeEnrollmentInput, input);
  const { identity, deviceId } = await findEnrollment(ctx, { id });
  const change = { accountId, actor: actorLabel(ctx.actor), at: ctx.clock.now() };
  await transaction(ctx, async (tx, tell) => {
    const gone = await unenroll(tx, tell, change, [fingerprintOf(identity)]);
    if (gone.size === 0) throw notFound("Enrollment");
    await auditChange(ctx, tx, {
      action: "enrollment.deleted",
      objectType: "enrollment",
      objectId: id,
      before: { identity, deviceId },
      after: null,
    });
  });
}
