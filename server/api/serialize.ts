/** UTC with milliseconds and `Z`. */
export const iso = (at: Date | number): string => new Date(at).toISOString();

export const isoOrNull = (at: Date | null): string | null => at && iso(at);

/** The API's way to write the name of a field. */
export const snakeCase = (text: string): string =>
  text.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** The day of a time, UTC. */
export const dayOrNull = (at: Date | null): string | null => at && iso(at).slice(0, 10);
