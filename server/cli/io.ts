/** What a command may touch of the outside. */
export interface Io {
  /** Results; scripts read them. */
  out(text: string): void;
  /** Everything else. */
  err(text: string): void;
  /** Reads all of standard input. */
  input(): Promise<string>;
  /** Files are named from here. */
  cwd: string;
  /** Instead of the environment of the process. */
  env?: Readonly<Record<string, string>>;
  /** Aborted by Ctrl-C from the first call on; for commands that run until then. */
  interrupted(): AbortSignal;
}

/** A mistake of the caller: shown as it is, exit code 1. */
export class CliError extends Error {}

/** A command line that cannot be read: shown with the way it should be, exit code 2. */
export class UsageError extends Error {}
