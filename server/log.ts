import pino, { type Logger } from "pino";
import type { LogLevel } from "./config/log-levels";
import { RepeatedErrors } from "./repeated-errors";

export type { Logger, LogLevel };

/** A logger that writes one JSON line per message to stdout, or to stderr where stdout carries results (CLI). */
export function createLogger(
  name: string,
  level: LogLevel = "info",
  output: "stdout" | "stderr" = "stdout",
): Logger {
  const repeated = new RepeatedErrors({
    now: Date.now,
    after(ms, run) {
      const timer = setTimeout(run, ms).unref();
      return { cancel: () => clearTimeout(timer) };
    },
  });
  return pino(
    {
      name,
      level,
      base: { name },
      redact: {
        paths: ["password", "secret", "privateKey", "*.password", "*.secret", "*.privateKey"],
        censor: "…",
      },
      hooks: {
        logMethod(args, method, level) {
          const log = (...line: typeof args) => method.apply(this, line);
          if (level < pino.levels.values.error! || repeated.mayLog(args, log)) log(...args);
        },
      },
    },
    pino.destination({ fd: output === "stdout" ? 1 : 2, sync: true }),
  );
}
