import { readFileSync, rmSync, writeFileSync } from "node:fs";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import next from "next";
import { busPath, connectBus, type LocalBusClient } from "./bus";
import type { BusEvent } from "./bus/messages";
import { systemClock } from "./clock";
import { type Config, loadConfig, uriHost } from "./config";
import { openDatabase } from "./db";
import { createLogger } from "./log";
import { createVault } from "./pki";
import { contextFor } from "./portal/context";
import { normalizeForwarded, secure } from "./portal/headers";
import { answerHealth } from "./portal/health";
import { LiveHub } from "./portal/live";
import { type PortalBus, type PortalRuntime, setRuntime } from "./portal/runtime";
import { sessionSecret } from "./portal/session-secret";
import { portalCredentials } from "./portal/tls";
import { ensureInstance } from "./services/instance/ensure";
import { ensureAdministrator, issueSetupToken } from "./services/instance/setup";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Requests that are under way may finish; then the rest is cut. */
const GRACE_MS = 2_000;

process.title = "gangway-portal";

const closers: { name: string; close: () => unknown }[] = [];
let stopping: Promise<void> | undefined;

/** Undoes in reverse order what was started. */
function stop(code: number): Promise<void> {
  stopping ??= (async () => {
    for (const { name, close } of closers.reverse()) {
      try {
        await close();
      } catch (error) {
        process.stderr.write(`gangway-portal: closing ${name}: ${(error as Error).message}\n`);
      }
    }
    process.exit(code);
  })();
  return stopping;
}

async function start(): Promise<void> {
  const config = loadConfig();
  const log = createLogger("portal", config.logLevel);
  const db = await openDatabase(config);
  closers.push({ name: "database", close: () => db.$disconnect() });
  const bus = connectBus({ path: busPath(config), clock: systemClock, log });
  closers.push({ name: "bus", close: () => bus.close() });

  const runtime: PortalRuntime = {
    config,
    db,
    bus: withEcho(bus),
    clock: systemClock,
    vault: createVault(config),
    log,
    sessionSecret: sessionSecret(config),
    ports: { http: config.portalPort, https: config.httpsPort },
    version: JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version,
  };
  setRuntime(runtime);
  const ctx = contextFor({ kind: "system" });
  await ensureInstance(ctx, { publicHost: config.publicHost });
  if (config.admin) await ensureAdministrator(ctx, config.admin);

  // next-auth takes its address from the forwarded headers, which normalizeForwarded makes true for each request.
  // biome-ignore-start lint/style/noProcessEnv: libraries are told here, nothing is read
  process.env.AUTH_TRUST_HOST = "1";
  process.env.NEXT_TELEMETRY_DISABLED = "1";
  delete process.env.NEXTAUTH_URL;
  const dev = process.env.NODE_ENV === "development";
  // biome-ignore-end lint/style/noProcessEnv: libraries are told here, nothing is read

  const hub = new LiveHub();
  let pages: ((req: IncomingMessage, res: ServerResponse) => Promise<void>) | undefined;
  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    const url = new URL(req.url ?? "/", "http://portal");
    normalizeForwarded(req, config.trustProxy);
    secure(req, res, dev);
    if (url.pathname === "/healthz") return answerHealth(res);
    if (url.pathname === "/live") return hub.open(req, res, url);
    if (!pages) return void res.writeHead(503, { "Retry-After": "1" }).end("Starting.");
    return pages(req, res);
  };
  const listener: RequestListener = (req, res) => {
    answer(req, res).catch((error: unknown) => {
      log.error({ err: error, method: req.method }, "a request failed");
      if (!res.headersSent) res.writeHead(500, { "Content-Type": "text/plain" });
      res.end("This did not work because of a fault on this server.");
    });
  };

  const http = createServer(listener);
  const https = createTlsServer(await portalCredentials(ctx, config), listener);
  runtime.ports = { http: await bind(http, config, "http"), https: await bind(https, config, "https") };
  closers.push({ name: "live streams", close: () => hub.close() });

  const app = next({ dev, dir: root, httpServer: http, port: runtime.ports.http, hostname: "localhost" });
  await app.prepare();
  closers.push({ name: "pages", close: () => app.close() });
  pages = app.getRequestHandler();
  if (dev) {
    const upgrade = app.getUpgradeHandler();
    for (const server of [http, https])
      server.on("upgrade", (req, socket, head) => void upgrade(req, socket, head));
  }

  const pidFile = join(config.dataDir, "portal.pid");
  writeFileSync(pidFile, `${process.pid}\n`);
  closers.push({ name: "pid file", close: () => rmSync(pidFile, { force: true }) });

  const origins = portalOrigins(config, runtime.ports);
  const token = await issueSetupToken(ctx);
  const lines = [
    `Portal     ${origins.http}`,
    `           ${origins.https}  (certificate of ${config.tls ? "GANGWAY_TLS_CERT" : "this instance's own CA"})`,
    ...(token
      ? ["", "Make the first administrator here, once:", `           ${origins.http}/setup?token=${token}`]
      : []),
  ];
  log.info({ ...runtime.ports, version: runtime.version }, "portal is up");
  if (process.send) process.send({ type: "ready", lines });
  else process.stdout.write(`${lines.join("\n")}\n`);
}

/** The gateway does not send our own events back, and our own pages want them too. */
function withEcho(bus: LocalBusClient): PortalBus {
  const listeners = new Set<(event: BusEvent) => void>();
  return {
    request: (op, input) => bus.request(op, input),
    publish(event) {
      bus.publish(event);
      for (const listener of listeners) listener(event);
    },
    subscribe(listener) {
      listeners.add(listener);
      const unsubscribe = bus.subscribe(listener);
      return () => {
        listeners.delete(listener);
        unsubscribe();
      };
    },
  };
}

/** Addresses for the person at the terminal: the machine itself when no other name is known. */
function portalOrigins(config: Config, ports: PortalRuntime["ports"]) {
  const host = uriHost(config.publicHost);
  return { http: `http://${host}:${ports.http}`, https: `https://${host}:${ports.https}` };
}

/** Listens and returns the port that was bound. */
function bind(server: Server, config: Config, scheme: "http" | "https"): Promise<number> {
  const port = scheme === "http" ? config.portalPort : config.httpsPort;
  closers.push({
    name: `${scheme} server`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), GRACE_MS).unref();
      }),
  });
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const variable = scheme === "http" ? "PORT" : "GANGWAY_HTTPS_PORT";
      reject(
        error.code === "EADDRINUSE"
          ? new Error(`Port ${port} is taken by another program; set ${variable} to a free one.`)
          : error,
      );
    });
    server.listen(port, config.host, () => resolve((server.address() as AddressInfo).port));
  });
}

process.on("SIGTERM", () => void stop(0));
process.on("SIGINT", () => void stop(0));
process.on("disconnect", () => void stop(0));

start().catch((error: Error) => {
  process.stderr.write(`gangway-portal: ${error.name === "ConfigError" ? error.message : error.stack}\n`);
  process.send?.({ type: "failed", message: error.message });
  void stop(1);
});
