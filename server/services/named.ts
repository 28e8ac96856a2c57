import { ServiceError } from "./errors";
import { isUniqueViolation } from "./transaction";

/** Runs a change that may give something (“device group”) a name that another one of the account has. */
export async function named<T>(what: string, name: string | undefined, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new ServiceError("conflict", `There is a ${what} named “${name}” already.`, [
      { name: "name", message: "is taken" },
    ]);
  }
}
