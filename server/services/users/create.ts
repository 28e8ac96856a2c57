import { z } from "zod";
import { requireEveryScope } from "../api-keys/scopes";
import { type Context, requireAdministrator } from "../context";
import { newId } from "../ids";
import { transaction } from "../transaction";
import { nameField, validate } from "../validate";
import { insertUser } from "./insert";
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
      await insertUser(ctx, tx, tell, {
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
      });
      await uniqueUsername(tx, accountId, facts.username ?? null);
      const invited =
        password === undefined ? await invite(ctx, tx, { accountId, userId: id, validForDays }) : null;
      return { id, email: facts.email, invited };
    }),
  );
}
