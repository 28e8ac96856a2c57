import { z } from "zod";
import { requireEveryScope } from "../api-keys/scopes";
import { auditChange } from "../audit/record";
import { type Context, requireAdministrator } from "../context";
import { recordEvent } from "../events/record";
import { newId } from "../ids";
import { transaction } from "../transaction";
import { nameField, validate } from "../validate";
import { userFacts, userSelect, viewUser } from "./get";
import { INVITATION_DAYS, type Invited, invite } from "./invitations";
import { emailField, hashPassword, passwordField } from "./password";
import { contactField, uniqueEmail, uniqueUsername, usernameField } from "./rules";

export const createUserInput = z.object({
  email: emailField,
  /** Left out: they give themselves one by the link of an invitation. */
  password: passwordField.optional(),
  name: nameField(100).optional(),
  role: z.enum(["administrator", "developer"]).default("developer"),
  username: usernameField.nullish(),
  phoneNumber: contactField.nullish(),
  address: contactField.nullish(),
  /** What they are until they have a password. */
  waiting: z.enum(["ENROLLING", "INVITED"]).default("ENROLLING"),
  validForDays: z.int().min(1, "must be 1 to 100").max(100, "must be 1 to 100").default(INVITATION_DAYS),
});

/** Makes a user in the actor's account; without a password there is a link, told this once. */
export async function createUser(
  ctx: Context,
  input: z.input<typeof createUserInput>,
): Promise<{ id: string; email: string; invited: Invited | null }> {
  const accountId = requireAdministrator(ctx.actor);
  requireEveryScope(ctx.actor);
  const { password, waiting, validForDays, ...facts } = validate(createUserInput, input);
  const passwordHash = password === undefined ? "" : await hashPassword(password);
  const at = ctx.clock.now();
  const id = newId(at);
  return uniqueEmail(() =>
    transaction(ctx, async (tx, tell) => {
      const row = await tx.user.create({
        data: {
          ...facts,
          id,
          accountId,
          name: facts.name ?? "",
          username: facts.username ?? null,
          phoneNumber: facts.phoneNumber ?? null,
          address: facts.address ?? null,
          passwordHash,
          status: password === undefined ? waiting : "ACTIVE",
          createdAt: new Date(at),
          updatedAt: new Date(at),
        },
        select: userSelect,
      });
      await uniqueUsername(tx, accountId, row.username);
      await auditChange(ctx, tx, {
        action: "user.created",
        objectType: "user",
        objectId: id,
        before: null,
        after: userFacts(viewUser(row)),
      });
      const { email, role } = facts;
      const data = { userId: id, email, role };
      tell(await recordEvent(ctx, tx, "user.created", { accountId, deviceId: null, data }));
      const invited =
        password === undefined ? await invite(ctx, tx, { accountId, userId: id, validForDays }) : null;
      return { id, email, invited };
    }),
  );
}
