const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "4 s", "12 min", "3 h", "5 d". */
export function span(ms: number): string {
  if (ms < MINUTE) return `${Math.max(0, Math.floor(ms / SECOND))} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h`;
  if (ms < 730 * DAY) return `${Math.floor(ms / DAY)} d`;
  return `${Math.floor(ms / (365 * DAY))} years`;
}

export const age = (ms: number): string => (ms < SECOND ? "now" : `${span(ms)} ago`);
export const inFuture = (ms: number): string => `in ${span(ms)}`;

/** "2026-11-22 14:03:09", local unless `utc`. */
export function dateTime(ms: number, utc = false): string {
  const date = new Date(ms);
  const shifted = utc ? date : new Date(ms - date.getTimezoneOffset() * MINUTE);
  const [day, time] = shifted.toISOString().split("T");
  return `${day} ${time?.slice(0, 8)}${utc ? " UTC" : ""}`;
}

export const day = (at: string | number | Date): string => new Date(at).toISOString().slice(0, 10);

/** "it starts again" as a sentence of its own. */
export const sentence = (text: string): string =>
  text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

/** "lost_or_stolen" as a person reads it. */
export const categoryWords = (reference: string): string =>
  reference.charAt(0).toUpperCase() + reference.slice(1).replaceAll("_", " ");

/** "1 device", "2 devices". */
export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

const UNITS = ["bytes", "kB", "MB", "GB"] as const;

/** "12 bytes", "3.4 kB", "50 MB". */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  for (; value >= 1000 && unit < UNITS.length - 1; unit++) value /= 1000;
  return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** The first characters of a fingerprint, in pairs. */
export const shortFingerprint = (hex: string): string => `${hex.slice(0, 8)}…${hex.slice(-8)}`;
