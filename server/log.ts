import pino, { type Logger } from "pino";

export type { Logger };

/** What Gangway may say about itself, from nothing to everything. */
export const LOG_LEVELS = ["silent", "fatal", "error", "warn", "info", "debug", "trace"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A logger that writes one JSON line per message to stdout, or to stderr where stdout carries results (CLI). */
export function createLogger(
  name: string,
  level: LogLevel = "info",
  output: "stdout" | "stderr" = "stdout",
): Logger {
  return pino(
    {
      name,
      level,
      base: { name },
      redact: {
        paths: ["password", "secret", "privateKey", "*.password", "*.secret", "*.privateKey"],
        censor: "…",
      },
    },
    pino.destination({ fd: output === "stdout" ? 1 : 2, sync: true }),
  );
}
