import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type BusServer, busPath, serveBus } from "@/server/bus";
import { type Config, loadConfig } from "@/server/config";
import { migrate, openDatabase, type PrismaClient } from "@/server/db";
import { createLogger } from "@/server/log";
import type { Context } from "@/server/services/context";
import { actAs, createContext } from "@/server/services/create-context";
import { createFirstAdministrator } from "@/server/services/instance/setup";
import { unasked } from "./bus-handlers";
import { ended } from "./child-process";
import { freePort } from "./free-port";

/** The portal as it is built, pages and all, in a process of its own, which can be killed; the gateway is this process's end of the bus. */
export interface WholePortal {
  url: string;
  /** The same with TLS, with a certificate of the instance's own CA. */
  secureUrl: string;
  config: Config;
  db: PrismaClient;
  bus: BusServer;
  accountId: string;
  /** Acts as the administrator of the account. */
  ctx: Context;
  /** Ends it without a chance to write anything (SIGKILL). */
  kill(): Promise<void>;
  /** Ends it in order. */
  stop(): Promise<void>;
  /** Starts it on the same data folder and ports; resolves when it answers. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Starts build/portal.js on an empty data folder with one account. */
export async function startWholePortal(): Promise<WholePortal> {
  const folder = mkdtempSync(join(tmpdir(), "gangway-portal-"));
  const [http, https] = await Promise.all([0, 0].map(freePort));
  const env = {
    GANGWAY_DATA: folder,
    GANGWAY_HOST: "127.0.0.1",
    GANGWAY_PUBLIC_HOST: "127.0.0.1",
    PORT: String(http),
    GANGWAY_HTTPS_PORT: String(https),
    GANGWAY_CALLBACK_ALLOW: "127.0.0.1",
    GANGWAY_LOG_LEVEL: "error",
  };
  const config = loadConfig(env);
  await migrate(config);
  const db = await openDatabase(config);
  const log = createLogger("tests", "silent");
  const bus = await serveBus({
    path: busPath(config),
    handlers: { ...unasked, "owner.reload": () => ({}) },
    log,
  });
  const system = createContext({ config, db, bus });
  const email = "somebody@example.com";
  const { accountId, userId: id } = await createFirstAdministrator(system, {
    token: null,
    email,
    password: "a long enough password",
  });
  const url = `http://127.0.0.1:${http}`;
  let child: ChildProcess;
  const start = async () => {
    child = spawn(process.execPath, [resolve("build/portal.js")], {
      env: { PATH: process.env.PATH ?? "", NODE_ENV: "production", ...env },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const started = child;
    while (!(await answers(url))) {
      if (started.exitCode !== null) throw new Error(`The portal ended with ${started.exitCode}.`);
      await new Promise((done) => setTimeout(done, 20));
    }
  };
  await start();
  return {
    url,
    secureUrl: `https://127.0.0.1:${https}`,
    config,
    db,
    bus,
    accountId,
    ctx: actAs(system, { kind: "user", id, accountId, role: "administrator", email }),
    kill: () => ended(child, "SIGKILL"),
    stop: () => ended(child, "SIGTERM"),
    start,
    async close() {
      await ended(child, "SIGTERM");
      await bus.close();
      await db.$disconnect();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The API is there before the pages are. */
const answers = (url: string): Promise<boolean> =>
  fetch(`${url}/v3/devices`).then(
    ({ status }) => status === 401,
    () => false,
  );
