import { IDENTITY_PATTERN, isEnrollmentIdentity } from "./identity";

/** A line of a list of enrollment identities. */
export interface ListEntry {
  /** What stands where the identity should be. */
  text: string;
  valid: boolean;
}

/** What is cut off around a value: U+0000 to U+0020, and nothing else that is white. */
const trim = (text: string): string => {
  let from = 0;
  let to = text.length;
  while (from < to && text.charCodeAt(from) <= 0x20) from++;
  while (to > from && text.charCodeAt(to - 1) <= 0x20) to--;
  return text.slice(from, to);
};

/** What somebody wrote who meant an identity: too much like one to be a header. */
const LIKE_AN_IDENTITY = /^"?[\0-\x20]*(?:A[-_ ]?)?[0-9a-f]{2}(?:[: -]?[0-9a-f]{2}){7}/i;
/** An identity with more behind it, but no comma between. */
const SEPARATED_BY = new RegExp(
  `^"?${IDENTITY_PATTERN}"?(?: *([;|])|[ \\t]*(\\t)[ \\t]*(?=[^ \\t,])| +(?=[^ \\t,]))`,
);

const linesOf = (csv: string) => csv.replace(/^\ufeff/, "").split(/\r\n|\r|\n/);

/**
 * Reads a list of enrollment identities: one a line, as the first of its values. The first line may be a header; lines
 * whose first value is empty do not count. A value may stand in quotation marks, and is then taken as it is.
 */
export function readIdentities(csv: string): ListEntry[] {
  return linesOf(csv).flatMap((line, index) => {
    const start = trim(line);
    if (index === 0 && !LIKE_AN_IDENTITY.test(start)) return [];
    if (start.startsWith('"')) return [quoted(start)];
    const text = trim(start.split(",", 1)[0] ?? "");
    return text === "" ? [] : [{ text, valid: isEnrollmentIdentity(text) }];
  });
}

/** Says where values are separated by something else than the comma; null where nothing is. */
export function foreignSeparator(csv: string): string | null {
  for (const [index, line] of linesOf(csv).entries()) {
    const found = SEPARATED_BY.exec(trim(line));
    if (!found) continue;
    const [, mark, tab] = found;
    const what = mark ? `“${mark}”` : tab ? "a tab" : "a space";
    return `separates values with ${what} (line ${index + 1}): it has to be a comma`;
  }
  return null;
}

function quoted(line: string): ListEntry {
  const end = line.indexOf('"', 1);
  const text = line.slice(1, end < 0 ? undefined : end);
  const rest = trim(line.slice(end + 1));
  const closed = end > 0 && (rest === "" || rest.startsWith(","));
  return { text, valid: closed && isEnrollmentIdentity(text) };
}

/** What became of one entry. */
export interface ListOutcome {
  identity: string;
  /** When it was taken in or deleted; null: it was not, for the reason that follows. */
  at: Date | null;
  error: { code: number; type: string; message: string } | null;
}

const row = (values: readonly string[]) =>
  `${values.map((value) => `"${value.replaceAll('"', '""')}"`).join(",")}\r\n`;

const ERROR_FIELDS = ["error__code", "error__type", "error__message", "error__fields"];
const errorValues = ({ error }: ListOutcome) =>
  error ? [String(error.code), error.type, error.message, ""] : ["", "", "", ""];

/** The report on every entry of a list. */
export const fullReport = {
  header: (kind: "upload" | "delete") =>
    row(["entity__id", kind === "upload" ? "entity__created_at" : "entity__deleted_at", ...ERROR_FIELDS]),
  line: (outcome: ListOutcome) =>
    row([outcome.identity, outcome.at?.toISOString() ?? "", ...errorValues(outcome)]),
};

/** The report on what did not work. */
export const errorsReport = {
  header: () => row(["entity__id", ...ERROR_FIELDS]),
  line: (outcome: ListOutcome) => (outcome.error ? row([outcome.identity, ...errorValues(outcome)]) : ""),
};
