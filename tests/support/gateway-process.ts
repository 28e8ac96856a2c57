import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { busPath, connectBus, type LocalBusClient } from "@/server/bus";
import { systemClock } from "@/server/clock";
import { type Config, loadConfig } from "@/server/config";
import { migrate, openDatabase, type PrismaClient } from "@/server/db";
import { createLogger } from "@/server/log";
import type { Context } from "@/server/services/context";
import { createContext } from "@/server/services/create-context";
import { createFirstAdministrator } from "@/server/services/instance/setup";
import { cpuSeconds, ended, ready } from "./child-process";
import { freePort } from "./free-port";

/** A gateway in a process of its own: its time and memory are its own, and it can be killed. */
export interface GatewayProcess {
  config: Config;
  db: PrismaClient;
  context: Context;
  accountId: string;
  bus: LocalBusClient;
  /** Seconds of processor time it has used. */
  cpuSeconds(): number;
  /**
   * Bytes after a full collection: JavaScript with its buffers, and all that is resident but for the free part of the
   * JavaScript heap, which grows and shrinks as it likes.
   */
  memory(): Promise<{ heap: number; used: number }>;
  /** Ends it without a chance to write anything (SIGKILL). */
  kill(): Promise<void>;
  /** Starts it again on the same data folder and ports. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Runs inside the gateway's process before anything of its own. */
const MEMORY_REPORTER = `process.on("message", (message) => {
  if (message.type !== "memory") return;
  gc();
  gc();
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
  const heap = heapUsed + external;
  process.send({ type: "memory", heap, used: rss - heapTotal + heapUsed });
});`;

const silent = createLogger("tests", "silent");

/** Starts build/gateway.js on an empty data folder with one account and whatever `prepare` puts there. */
export async function startGatewayProcess(
  prepare: (context: Context, accountId: string) => Promise<void> = async () => {},
): Promise<GatewayProcess> {
  const folder = mkdtempSync(join(tmpdir(), "gangway-process-"));
  const [bootstrap, lwm2m, coapBootstrap, coapLwm2m] = await Promise.all([0, 0, 0, 0].map(freePort));
  const env = {
    GANGWAY_DATA: folder,
    GANGWAY_HOST: "127.0.0.1",
    GANGWAY_PUBLIC_HOST: "127.0.0.1",
    GANGWAY_BOOTSTRAP_PORT: String(bootstrap),
    GANGWAY_LWM2M_PORT: String(lwm2m),
    GANGWAY_COAP_BOOTSTRAP_PORT: String(coapBootstrap),
    GANGWAY_COAP_LWM2M_PORT: String(coapLwm2m),
    GANGWAY_INSECURE_COAP: "1",
    GANGWAY_LOG_LEVEL: "error",
  };
  const config = loadConfig(env);
  await migrate(config);
  const db = await openDatabase(config);
  const bus = connectBus({ path: busPath(config), clock: systemClock, log: silent });
  const context = createContext({ config, db, bus });
  const { accountId } = await createFirstAdministrator(context, {
    token: null,
    email: "somebody@example.com",
    password: "a long enough password",
  });
  await prepare(context, accountId);
  let child: ChildProcess;
  const start = async () => {
    const preload = `data:text/javascript,${encodeURIComponent(MEMORY_REPORTER)}`;
    child = spawn(process.execPath, ["--expose-gc", "--import", preload, resolve("build/gateway.js")], {
      env: { PATH: process.env.PATH ?? "", NODE_ENV: "production", ...env },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    await ready(child);
    while (!bus.connected) await new Promise((done) => setTimeout(done, 5));
  };
  await start();
  return {
    config,
    db,
    context,
    accountId,
    bus,
    cpuSeconds: () => cpuSeconds(child),
    memory: () =>
      new Promise((done) => {
        child.on("message", function answered(message: { type: string; heap: number; used: number }) {
          if (message.type !== "memory") return;
          child.off("message", answered);
          done({ heap: message.heap, used: message.used });
        });
        child.send({ type: "memory" });
      }),
    kill: () => ended(child, "SIGKILL"),
    start,
    async close() {
      bus.close();
      await ended(child, "SIGTERM");
      await db.$disconnect();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
