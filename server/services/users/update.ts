import { z } from "zod";
import { requireEveryScope } from "../api-keys/scopes";
import { auditChange } from "../audit/record";
import { type Context, requireAdministrator } from "../context";
import { notFound, ServiceError } from "../errors";
import { transaction } from "../transaction";
import { given, idField, nameField, validate } from "../validate";
import { getUser, userFacts, userSelect, viewUser } from "./get";
import { emailField } from "./password";
import {
  contactField,
  governs,
  keepAdministrator,
  uniqueEmail,
  uniqueUsername,
  usernameField,
} from "./rules";

export const updateUserInput = z
  .object({
    id: idField,
    email: emailField.optional(),
    name: nameField(100).optional(),
    role: z.enum(["administrator", "developer"]).optional(),
    status: z.enum(["ACTIVE", "INACTIVE"]).optional(),
    username: usernameField.nullable().optional(),
    phoneNumber: contactField.nullable().optional(),
    address: contactField.nullable().optional(),
  })
  .refine(({ id: _, ...changes }) => Object.keys(given(changes)).length > 0, "must change something");

/** Changes a user; one that is made inactive is out of the portal at once. */
export async function updateUser(ctx: Context, input: z.input<typeof updateUserInput>): Promise<void> {
  const accountId = requireAdministrator(ctx.actor);
  requireEveryScope(ctx.actor);
  const { id, ...fields } = validate(updateUserInput, input);
  const known = await getUser(ctx, { id });
  const changes = given(fields);
  await uniqueEmail(() =>
    transaction(ctx, async (tx) => {
      const { count } = await tx.user.updateMany({
        where: {
          id,
          accountId,
          // Who has no password yet becomes active by their invitation.
          ...(changes.status === "ACTIVE" && { passwordHash: { not: "" } }),
        },
        data: { ...changes, updatedAt: new Date(ctx.clock.now()) },
      });
      const row = await tx.user.findFirst({ where: { id, accountId }, select: userSelect });
      if (!row) throw notFound("User");
      if (count === 0)
        throw new ServiceError("bad_request", "This user has not followed their invitation yet.");
      await uniqueUsername(tx, accountId, row.username);
      if (governs(known) && !governs(viewUser(row))) await keepAdministrator(tx, accountId);
      await auditChange(ctx, tx, {
        action: "user.updated",
        objectType: "user",
        objectId: id,
        before: userFacts(known),
        after: userFacts(viewUser(row)),
      });
    }),
  );
}
