import { hash, verify } from "@node-rs/argon2";
import { z } from "zod";

/** OWASP's recommendation for argon2id (the package's default variant): 19 MiB, two passes, one lane. */
const parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** The hash of nobody's password: random bytes that were thrown away. */
const NOBODY =
  "$argon2id$v=19$m=19456,t=2,p=1$a8hspuGsyq2b0rbpFEY/tg$zTX3m0VOtqap8SiOW1DzLwUumTqa/99ERjyRwic0ioE";

/** The hash of a password, for keeping. */
export const hashPassword = (password: string): Promise<string> => hash(password, parameters);

/** Whether the password is the one behind the hash; takes as long when there is no hash. */
export async function verifyPassword(stored: string | null, password: string): Promise<boolean> {
  const matches = await verify(stored ?? NOBODY, password);
  return stored !== null && matches;
}

export const passwordField = z
  .string()
  .min(10, "must have at least 10 characters")
  .max(256, "may have at most 256 characters");

export const emailField = z.string().trim().toLowerCase().max(254).pipe(z.email("must be an e-mail address"));
