import { hash, verify } from "@node-rs/argon2";
import { z } from "zod";

/** OWASP's recommendation for argon2id (the package's default variant): 19 MiB, two passes, one lane. */
const parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

let dummy: Promise<string> | undefined;

/** The hash of a password, for keeping. */
export const hashPassword = (password: string): Promise<string> => hash(password, parameters);

/** Whether the password is the one behind the hash; takes as long when there is no hash. */
export async function verifyPassword(stored: string | null, password: string): Promise<boolean> {
  dummy ??= hashPassword("nobody has this password");
  const matches = await verify(stored ?? (await dummy), password);
  return stored !== null && matches;
}

export const passwordField = z
  .string()
  .min(10, "must have at least 10 characters")
  .max(256, "may have at most 256 characters");

export const emailField = z.string().trim().toLowerCase().max(254).pipe(z.email("must be an e-mail address"));
