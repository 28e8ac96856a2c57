import type { z } from "zod";
import { requireEveryScope } from "../api-keys/scopes";
import { auditChange } from "../audit/record";
import { type Context, requireAdministrator } from "../context";
import { notFound } from "../errors";
import { transaction } from "../transaction";
import { idInput, validate } from "../validate";
import { getUser, userFacts } from "./get";
import { findInvitation } from "./invitations";
import { governs, keepAdministrator } from "./rules";

export const removeUserInput = idInput;

/** Deletes a user: their sessions end, their keys go on and act for nobody. */
export async function removeUser(ctx: Context, input: z.input<typeof removeUserInput>): Promise<void> {
  const accountId = requireAdministrator(ctx.actor);
  requireEveryScope(ctx.actor);
  const { id } = validate(removeUserInput, input);
  const known = await getUser(ctx, { id });
  await transaction(ctx, async (tx) => {
    const { count } = await tx.user.deleteMany({ where: { id, accountId } });
    if (count === 0) throw notFound("User");
    if (governs(known)) await keepAdministrator(tx, accountId);
    await tx.apiKey.updateMany({ where: { accountId, ownerId: id }, data: { ownerId: null } });
    await auditChange(ctx, tx, {
      action: "user.deleted",
      objectType: "user",
      objectId: id,
      before: userFacts(known),
      after: null,
    });
  });
}

export const removeInvitationInput = idInput;

/** Takes an invitation back, and with it the user who was made for it. */
export async function removeInvitation(
  ctx: Context,
  input: z.input<typeof removeInvitationInput>,
): Promise<void> {
  requireAdministrator(ctx.actor);
  const { userId } = await findInvitation(ctx, input);
  await removeUser(ctx, { id: userId });
}
