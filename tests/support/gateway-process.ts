import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
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
  /** Bytes it holds in memory. */
  residentBytes(): number;
  /** Ends it without a chance to write anything (SIGKILL). */
  kill(): Promise<void>;
  /** Starts it again on the same data folder and ports. */
  start(): Promise<void>;
  close(): Promise<void>;
}

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
    child = spawn(process.execPath, ["--expose-gc", resolve("build/gateway.js")], {
      env: { PATH: process.env.PATH ?? "", NODE_ENV: "production", ...env },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    await ready(child);
    while (!bus.connected) await new Promise((done) => setTimeout(done, 5));
  };
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((done) => child.once("exit", done));
    child.kill(signal);
    await ended;
  };
  await start();
  const stat = () => readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return {
    config,
    db,
    context,
    accountId,
    bus,
    cpuSeconds: () => (Number(stat()[11]) + Number(stat()[12])) / 100,
    residentBytes: () => Number(stat()[21]) * 4096,
    kill: () => end("SIGKILL"),
    start,
    async close() {
      bus.close();
      await end("SIGTERM");
      await db.$disconnect();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on("message", (message: { type: string; message?: string }) => {
      if (message.type === "ready") resolve();
      else if (message.type === "failed") reject(new Error(message.message));
    });
    child.once("exit", (code) => reject(new Error(`The gateway ended with ${code}.`)));
  });
}
