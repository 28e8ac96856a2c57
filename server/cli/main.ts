import { parseArgs } from "node:util";
import { ConfigError } from "@/server/config";
import { MigrationError } from "@/server/db";
import { BundleError } from "@/server/pki";
import { ServiceError } from "@/server/services/errors";
import type { Command } from "./command";
import { accountCommands } from "./commands/accounts";
import { certificateCommands } from "./commands/certs";
import { deviceCommands } from "./commands/devices";
import { instanceCommands } from "./commands/instance";
import { keyCommands } from "./commands/keys";
import { runCommands } from "./commands/run";
import { CliError, type Io, UsageError } from "./io";

const commands: readonly Command[] = [
  ...keyCommands,
  ...certificateCommands,
  ...deviceCommands,
  ...runCommands,
  ...accountCommands,
  ...instanceCommands,
];

const CALL = "npm run --silent gangway --";

const usage = (command: Command) =>
  [...command.words, ...command.positionals, ...(command.options ? ["[options]"] : [])].join(" ");

/** Runs one command line; the answer is the exit code. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  let command: Command | undefined;
  try {
    const [first] = argv;
    if (first === undefined || first === "help" || first === "--help" || first === "-h") {
      io.out(help(argv.slice(1)));
      return 0;
    }
    command = commands.find(({ words }) => words.every((word, index) => argv[index] === word));
    if (!command) throw new UsageError(unknown(argv));
    const args = read(command, argv.slice(command.words.length));
    if (!args) {
      io.out(commandHelp(command));
      return 0;
    }
    await command.run(io, args);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      io.err(`${error.message}\n`);
      io.err(command ? `Usage: ${CALL} ${usage(command)}\n` : `See: ${CALL} help\n`);
      return 2;
    }
    io.err(`${explain(error)}\n`);
    return 1;
  }
}

function read(command: Command, argv: readonly string[]) {
  let parsed: ReturnType<typeof parse>;
  const parse = () =>
    parseArgs({
      args: [...argv],
      options: { ...command.options, help: { type: "boolean", short: "h" } },
      allowPositionals: true,
    });
  try {
    parsed = parse();
  } catch (error) {
    throw new UsageError(error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error));
  }
  const { positionals } = parsed;
  const values = parsed.values as Record<string, string | boolean | undefined>;
  if (values.help) return null;
  const missing = command.positionals[positionals.length];
  if (missing) throw new UsageError(`${missing} is missing.`);
  const extra = positionals[command.positionals.length];
  if (extra !== undefined) throw new UsageError(`“${extra}” is one too many.`);
  return { positionals, values };
}

function explain(error: unknown): string {
  if (error instanceof ServiceError) {
    // The first field is in the message already.
    const others = error.fields.slice(1).map(({ name, message }) => `\n  ${name}: ${message}`);
    return error.message + others.join("");
  }
  if ([CliError, ConfigError, MigrationError, BundleError].some((kind) => error instanceof kind))
    return (error as Error).message;
  return `Unexpected error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

function unknown(argv: readonly string[]): string {
  const group = commands.filter(({ words }) => words[0] === argv[0]);
  if (group.length === 0) return `There is no command “${argv[0]}”.`;
  return `“${argv[0]}” needs one of: ${group.map(({ words }) => words.slice(1).join(" ")).join(", ")}.`;
}

function help(words: readonly string[]): string {
  if (words.length > 0) {
    const found = commands.filter((command) => words.every((word, index) => command.words[index] === word));
    if (found.length === 0) throw new UsageError(`There is no command “${words.join(" ")}”.`);
    return found.map(commandHelp).join("\n");
  }
  const width = Math.max(...commands.map((command) => usage(command).length));
  const lines = commands.map((command) => `  ${usage(command).padEnd(width)}  ${command.summary}\n`);
  return `Usage: ${CALL} COMMAND

${lines.join("")}
Options of a command: ${CALL} help COMMAND
The instance is found as by npm start: GANGWAY_DATA names its folder (default ./data).
`;
}

function commandHelp(command: Command): string {
  const options = command.optionHelp ?? [];
  const width = Math.max(0, ...options.map(([option]) => option.length));
  return [
    `Usage: ${CALL} ${usage(command)}`,
    "",
    command.summary,
    ...(command.details ? [command.details] : []),
    ...(options.length > 0
      ? ["", ...options.map(([option, what]) => `  ${option.padEnd(width)}  ${what}`)]
      : []),
    "",
  ].join("\n");
}
