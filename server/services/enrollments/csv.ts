import { isEnrollmentIdentity } from "./identity";

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

/**
 * Reads a list of enrollment identities: one a line, as the first of its values. The first line is a header; lines
 * whose first value is empty do not count. A value may stand in quotation marks, and is then taken as it is.
 */
export function readIdentities(csv: string): ListEntry[] {
  return csv
    .split(/\r\n|\r|\n/)
    .slice(1)
    .flatMap((line) => {
      const start = trim(line);
      if (start.startsWith('"')) return [quoted(start)];
      const text = trim(start.split(",", 1)[0] ?? "");
      return text === "" ? [] : [{ text, valid: isEnrollmentIdentity(text) }];
    });
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
