import type { ParseArgsConfig } from "node:util";
import type { Io } from "./io";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** What was on the command line behind the command's words. */
export interface Arguments {
  positionals: string[];
  values: Record<string, string | boolean | undefined>;
}

/** One command of the command line. */
export interface Command {
  /** For instance ["keys", "create"]. */
  words: readonly string[];
  /** Names of what must follow, in order. */
  positionals: readonly string[];
  options?: Options;
  /** Lines of help for the options: ["--out FILE", "where to write it"]. */
  optionHelp?: readonly (readonly [string, string])[];
  /** One sentence. */
  summary: string;
  /** More for `help COMMAND`. */
  details?: string;
  run(io: Io, args: Arguments): Promise<void>;
}

/** An option's text, when it was given. */
export function text(args: Arguments, name: string): string | undefined {
  const value = args.values[name];
  return typeof value === "string" ? value : undefined;
}

export const accountOption: Options = { account: { type: "string" } };
export const accountHelp = [
  "--account ID|NAME",
  "the account to act in; the first one when left out",
] as const;
export const jsonOption: Options = { json: { type: "boolean" } };
export const jsonHelp = ["--json", "as JSON, for scripts"] as const;
