import { z } from "zod";
import { auditChange } from "../audit/record";
import { actorLabel, type Context, memberAccount } from "../context";
import { ServiceError } from "../errors";
import { transaction } from "../transaction";
import { validate } from "../validate";
import { enroll } from "./claim";
import { fingerprintOf, identityField } from "./identity";
import type { EnrollmentView } from "./search";

export const createEnrollmentInput = z.object({ enrollmentIdentity: identityField });

/** Claims a device by its enrollment identity, before it comes or after. */
export async function createEnrollment(
  ctx: Context,
  input: z.input<typeof createEnrollmentInput>,
): Promise<EnrollmentView> {
  const accountId = memberAccount(ctx.actor);
  const { enrollmentIdentity: identity } = validate(createEnrollmentInput, input);
  const change = { accountId, actor: actorLabel(ctx.actor), at: ctx.clock.now() };
  return transaction(ctx, async (tx, tell) => {
    const taken = await enroll(tx, tell, change, [identity]);
    if (taken.size === 0)
      throw new ServiceError("conflict", "The enrollment identity is claimed already.", [
        { name: "enrollmentIdentity", message: "is claimed already" },
      ]);
    const row = await tx.enrollment.findUniqueOrThrow({ where: { fingerprint: fingerprintOf(identity) } });
    await auditChange(ctx, tx, {
      action: "enrollment.created",
      objectType: "enrollment",
      objectId: row.id,
      before: null,
      after: { identity, deviceId: row.deviceId },
    });
    return row;
  });
}
