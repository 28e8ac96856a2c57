import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import type { Config } from "@/server/config";
import { cpuSeconds, ended, ready } from "../support/child-process";

/** The portal in a process of its own, as far as applications see it: its time is its own, and it can be killed. */
export interface PortalProcess {
  /** Of its HTTP server; it changes with every start. */
  readonly port: number;
  /** Seconds of processor time it has used. */
  cpuSeconds(): number;
  /** Ends it without a chance to write anything (SIGKILL). */
  kill(): Promise<void>;
  /** Starts it again on the same data folder. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Starts the portal of a data folder that is there; callbacks may go to this machine. */
export async function startPortalProcess(config: Config): Promise<PortalProcess> {
  const folder = mkdtempSync(resolve("build", "bench-portal-"));
  const program = join(folder, "main.mjs");
  await build({
    entryPoints: [resolve("tests", "bench", "_portal-main.ts")],
    outfile: program,
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node20.19",
    format: "esm",
    sourcemap: "inline",
    logLevel: "silent",
  });
  let child: ChildProcess;
  let port = 0;
  const start = async () => {
    child = spawn(process.execPath, ["--enable-source-maps", program], {
      env: {
        PATH: process.env.PATH ?? "",
        NODE_ENV: "production",
        GANGWAY_DATA: config.dataDir,
        GANGWAY_HOST: "127.0.0.1",
        GANGWAY_PUBLIC_HOST: "127.0.0.1",
        PORT: "0",
        GANGWAY_CALLBACK_ALLOW: "127.0.0.1",
        GANGWAY_LOG_LEVEL: "error",
      },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    port = Number((await ready(child))[0]);
  };
  await start();
  return {
    get port() {
      return port;
    },
    cpuSeconds: () => cpuSeconds(child),
    kill: () => ended(child, "SIGKILL"),
    start,
    async close() {
      await ended(child, "SIGTERM");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
