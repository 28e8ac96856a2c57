import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Config, ConfigError, loadConfig } from "./config";
import { createLogger, type Logger } from "./log";

/** What an entry point gets to start with. */
export interface ProcessContext {
  config: Config;
  log: Logger;
  /** True under `npm run dev`. */
  dev: boolean;
  /** Registers how to end what was just started; closers run in reverse order. */
  onclose(what: string, close: () => unknown): void;
}

/** Less than the supervisor waits before it kills. */
const CLOSE_WITHIN_MS = 9_000;
/** How long a predecessor with the same data folder may take to end. */
const PREDECESSOR_MS = 10_000;

/**
 * Runs one of the two processes: reads the configuration, holds the pid file, starts, and closes everything on
 * SIGINT, SIGTERM or the end of the supervisor. `start` returns the lines to show when the process is ready.
 */
export async function runProcess(
  name: "portal" | "gateway",
  start: (context: ProcessContext) => Promise<readonly string[]>,
): Promise<void> {
  process.title = `gangway-${name}`;
  const closers: { what: string; close: () => unknown }[] = [];
  let config: Config | null = null;
  let log: Logger | null = null;
  let pidFile: string | null = null;
  let closing: Promise<void> | null = null;

  const exit = (code: number): never => {
    if (pidFile) rmSync(pidFile, { force: true });
    process.exit(code);
  };
  const close = (why: string) => {
    closing ??= (async () => {
      log?.info(`stopping: ${why}`);
      let current = "start";
      setTimeout(() => {
        log?.error(`stopping took too long in: ${current}`);
        exit(1);
      }, CLOSE_WITHIN_MS);
      let code = 0;
      for (let closer = closers.pop(); closer; closer = closers.pop()) {
        current = closer.what;
        try {
          await closer.close();
        } catch (error) {
          code = 1;
          log?.error(error, `closing ${closer.what} failed`);
        }
      }
      log?.info("stopped");
      exit(code);
    })();
    return closing;
  };
  const fail = (error: unknown) => {
    const message = describeStartError(error, config);
    if (process.send) process.send({ type: "failed", message }, () => exit(1));
    else process.stderr.write(`${message}\n`, () => exit(1));
  };
  const crash = (error: unknown, kind: string) => {
    if (log) log.fatal(error instanceof Error ? error : { reason: String(error) }, kind);
    else console.error(kind, error);
    exit(1);
  };

  process.on("SIGINT", () => close("SIGINT"));
  process.on("SIGTERM", () => close("SIGTERM"));
  process.on("SIGHUP", () => close("SIGHUP"));
  process.on("disconnect", () => close("the supervisor ended"));
  process.on("unhandledRejection", (reason) => crash(reason, "unhandled rejection"));
  process.on("uncaughtException", (error) => crash(error, "uncaught exception"));

  try {
    config = loadConfig();
    log = createLogger(name, config.logLevel);
    pidFile = await claimPidFile(config.dataDir, name, log);
    const lines = await start({
      config,
      log,
      dev: process.argv.includes("--dev"),
      onclose: (what, run) => closers.push({ what, close: run }),
    });
    if (closing) return;
    log.info("ready");
    if (process.send) process.send({ type: "ready", lines });
    else process.stdout.write(`${lines.join("\n")}\n`);
  } catch (error) {
    // What a stop in the middle of the start leaves behind is no failure.
    if (!closing) fail(error);
  }
}

/** A failed start in words, naming the setting at fault where there is one. */
export function describeStartError(error: unknown, config: Config | null): string {
  if (error instanceof ConfigError) return error.message;
  if (!(error instanceof Error)) return String(error);
  const { code, port, address } = error as NodeJS.ErrnoException & { port?: number; address?: string };
  if (port !== undefined && (code === "EADDRINUSE" || code === "EACCES" || code === "EADDRNOTAVAIL")) {
    const variable = config && portVariable(config, port);
    const where = `Port ${port}${variable ? ` (${variable})` : ""}`;
    if (code === "EADDRINUSE")
      return `${where} is in use by another program: stop that program or choose another port.`;
    if (code === "EACCES") return `${where} may not be opened by this user: choose a port above 1023.`;
    return `The address ${address} (GANGWAY_HOST) is not one of this machine.`;
  }
  return error.stack ?? error.message;
}

function portVariable(config: Config, port: number): string | undefined {
  const variables: [string, number][] = [
    ["PORT", config.portalPort],
    ["GANGWAY_HTTPS_PORT", config.httpsPort],
    ["GANGWAY_BOOTSTRAP_PORT", config.bootstrapPort],
    ["GANGWAY_LWM2M_PORT", config.lwm2mPort],
    ["GANGWAY_COAP_BOOTSTRAP_PORT", config.coapBootstrapPort],
    ["GANGWAY_COAP_LWM2M_PORT", config.coapLwm2mPort],
  ];
  return variables.find(([, value]) => value === port)?.[0];
}

/** Writes the pid file; two processes of one kind on one data folder would use the same sequence numbers. */
async function claimPidFile(dataDir: string, name: string, log: Logger): Promise<string> {
  const file = join(dataDir, `${name}.pid`);
  const until = Date.now() + PREDECESSOR_MS;
  for (let told = false; ; ) {
    try {
      writeFileSync(file, `${process.pid}\n`, { flag: "wx" });
      return file;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const other = readPid(file);
    if (other === null || other === process.pid || !isRunning(other, name)) {
      rmSync(file, { force: true });
      continue;
    }
    if (Date.now() > until)
      throw new ConfigError(
        "GANGWAY_DATA",
        `Another Gangway (${name}, process ${other}) uses the data folder ${dataDir}: stop it, or set GANGWAY_DATA to a folder of its own.`,
      );
    if (!told) log.info(`waiting for process ${other}, which still uses this data folder`);
    told = true;
    await sleep(100);
  }
}

function readPid(file: string): number | null {
  try {
    const pid = Number.parseInt(readFileSync(file, "utf8"), 10);
    return pid > 0 ? pid : null;
  } catch {
    return null;
  }
}

function isRunning(pid: number, name: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  try {
    // After a crash the number may belong to somebody else.
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return commandLine.includes(`gangway-${name}`) || commandLine.includes(`${name}.`);
  } catch {
    return true;
  }
}
