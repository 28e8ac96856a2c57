import pino, { type Logger } from "pino";
import type { LogLevel } from "./config/log-levels";

export type { Logger, LogLevel };

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
