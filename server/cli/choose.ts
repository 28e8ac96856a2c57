import { CliError } from "./io";

/** The one thing a person means: by its whole ID, one of its names, or the beginning of its ID. */
export function choose<T extends { id: string }>(
  what: string,
  candidates: readonly T[],
  wanted: string,
  names: (candidate: T) => readonly string[],
): T {
  const exact = candidates.find(({ id }) => id === wanted);
  if (exact) return exact;
  const named = candidates.filter((candidate) => names(candidate).includes(wanted));
  const found =
    named.length > 0 ? named : candidates.filter(({ id }) => wanted !== "" && id.startsWith(wanted));
  if (found.length > 1) throw new CliError(`“${wanted}” means ${found.length} of them: give the whole ID.`);
  if (!found[0]) throw new CliError(`There is no ${what} “${wanted}”.`);
  return found[0];
}
