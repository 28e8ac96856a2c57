import type { openApiDocument } from "@/server/api/document";
import type { BusEvent } from "@/server/bus/messages";
import type { Clock } from "@/server/clock";
import type { Config } from "@/server/config";
import type { PrismaClient } from "@/server/db";
import type { Logger } from "@/server/log";
import type { BusClient, Vault } from "@/server/services/context";

/** The bus as the portal holds it. */
export interface PortalBus extends BusClient {
  subscribe(listener: (event: BusEvent) => void): () => void;
  /** Has the gateway send events of these accounts only. */
  watch(accounts: readonly string[]): void;
}

/** What the portal process started and its pages use. */
export interface PortalRuntime {
  config: Config;
  db: PrismaClient;
  bus: PortalBus;
  clock: Clock;
  vault: Vault;
  log: Logger;
  /** Encrypts the session cookies. */
  sessionSecret: string;
  /** Ports that were bound; they differ from the configured ones when those are 0. */
  ports: { http: number; https: number };
  version: string;
  /** Whether the application of an owner has its WebSocket open. */
  isConnected(ownerId: string): boolean;
  /** What the API serves, as /openapi.json tells it. */
  openApi(): ReturnType<typeof openApiDocument>;
}

// Next's bundles and portal.js are two module graphs in one process: a module variable would exist twice.
const KEY = Symbol.for("gangway.portal");
const holder = globalThis as { [KEY]?: PortalRuntime };

export function setRuntime(runtime: PortalRuntime): void {
  holder[KEY] = runtime;
}

/** The running portal; pages are only served by it. */
export function runtime(): PortalRuntime {
  const found = holder[KEY];
  if (!found)
    throw new Error("The pages run inside the portal process: start it with npm start or npm run dev.");
  return found;
}
