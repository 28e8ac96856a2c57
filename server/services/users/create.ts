import { z } from "zod";
import { type Context, requireAdministrator } from "../context";
import { ServiceError } from "../errors";
import { recordEvent } from "../events/record";
import { newId } from "../ids";
import { isUniqueViolation, transaction } from "../transaction";
import { nameField, validate } from "../validate";
import { emailField, hashPassword, passwordField } from "./password";

export const createUserInput = z.object({
  email: emailField,
  password: passwordField,
  name: nameField(100).optional(),
  role: z.enum(["administrator", "developer"]).default("developer"),
});

/** Makes a user in the actor's account. */
export async function createUser(
  ctx: Context,
  input: z.input<typeof createUserInput>,
): Promise<{ id: string; email: string }> {
  const accountId = requireAdministrator(ctx.actor);
  const { email, password, name, role } = validate(createUserInput, input);
  const passwordHash = await hashPassword(password);
  const at = ctx.clock.now();
  const id = newId(at);
  try {
    await transaction(ctx, async (tx, tell) => {
      const times = { createdAt: new Date(at), updatedAt: new Date(at) };
      await tx.user.create({
        data: { id, accountId, email, name: name ?? "", role, passwordHash, ...times },
      });
      tell(
        await recordEvent(ctx, tx, "user.created", {
          accountId,
          deviceId: null,
          data: { userId: id, email, role },
        }),
      );
    });
  } catch (error) {
    if (isUniqueViolation(error)) {
      throw new ServiceError("conflict", "There is a user with this e-mail address already.");
    }
    throw error;
  }
  return { id, email };
}
