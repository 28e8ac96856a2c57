import { z } from "zod";
import { type Actor, type Scope, scopes } from "../context";
import { ServiceError } from "../errors";

/** What a key is to be restricted to, in any order. */
export const scopesField = z
  .array(z.enum(scopes))
  .min(1, "needs at least one")
  .transform((given) => scopes.filter((scope) => given.includes(scope)));

/** Scopes as kept: words joined by spaces. */
export const readScopes = (text: string): Scope[] => {
  const words = text.split(" ");
  return scopes.filter((scope) => words.includes(scope));
};
export const writeScopes = (given: readonly Scope[]): string => given.join(" ");

/** What the actor may do: everything, unless it is a key that is restricted. */
export const scopesOf = (actor: Actor): readonly Scope[] =>
  (actor.kind === "apiKey" && actor.scopes) || scopes;

const missing = (actor: Actor, wanted: readonly Scope[]) =>
  wanted.filter((scope) => !scopesOf(actor).includes(scope));

/** Nobody hands on, or gets hold of, what they may not do themselves. */
export function requireScopes(actor: Actor, wanted: readonly Scope[]): void {
  const lacking = missing(actor, wanted);
  if (lacking.length > 0)
    throw new ServiceError(
      "forbidden",
      `The key of this request lacks ${lacking.map((scope) => `“${scope}”`).join(", ")}: it may not make, change or delete keys that have it.`,
    );
}

/** For what makes or changes people, who may do everything in the portal. */
export function requireEveryScope(actor: Actor): void {
  if (missing(actor, scopes).length > 0)
    throw new ServiceError("forbidden", "Users and accounts take a key with every scope.");
}
