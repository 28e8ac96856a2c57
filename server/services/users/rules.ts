import { z } from "zod";
import type { Transaction } from "@/server/db";
import { ServiceError } from "../errors";
import { isUniqueViolation } from "../transaction";
import { descriptionField } from "../validate";
import type { UserView } from "./get";

export const usernameField = z
  .string()
  .regex(/^[\w\-,._@+=]{4,30}$/, "must be 4 to 30 letters, digits or any of - , . _ @ + =");
export const contactField = descriptionField(100);

/** Runs a write of a user; says so when the address is somebody's already. */
export async function uniqueEmail<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new ServiceError("conflict", "There is a user with this e-mail address already.", [
      { name: "email", message: "is taken" },
    ]);
  }
}

/** Ends the transaction when another user of the account has the name that was just written. */
export async function uniqueUsername(
  tx: Transaction,
  accountId: string,
  username: string | null,
): Promise<void> {
  if (username !== null && (await tx.user.count({ where: { accountId, username } })) > 1)
    throw new ServiceError("conflict", "There is a user with this user name already.", [
      { name: "username", message: "is taken" },
    ]);
}

/** Is an administrator who can sign in. */
export const governs = ({ role, status }: UserView): boolean =>
  role === "administrator" && status === "ACTIVE";

/** Ends the transaction when it leaves an account that nobody can govern. */
export async function keepAdministrator(tx: Transaction, accountId: string): Promise<void> {
  const left = await tx.user.count({ where: { accountId, role: "administrator", status: "ACTIVE" } });
  if (left === 0)
    throw new ServiceError(
      "bad_request",
      "This is the last administrator of the account. Make another one first.",
    );
}
