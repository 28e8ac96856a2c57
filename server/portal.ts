import { readFileSync } from "node:fs";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import next from "next";
import { createApi } from "./api";
import { openApiDocument } from "./api/document";
import { busPath, connectBus } from "./bus";
import { systemClock } from "./clock";
import { uriHost } from "./config";
import { openDatabase } from "./db";
import { createVault } from "./pki";
import { contextFor } from "./portal/context";
import { withEcho } from "./portal/echo";
import { normalizeForwarded, secure } from "./portal/headers";
import { answerHealth } from "./portal/health";
import { LiveHub } from "./portal/live";
import { type PortalRuntime, setRuntime } from "./portal/runtime";
import { sessionSecret } from "./portal/session-secret";
import { portalCredentials } from "./portal/tls";
import { answerUnupgraded, isWebSocket } from "./portal/upgrade";
import { runProcess } from "./process";
import { EnrollmentWorker } from "./services/enrollments/worker";
import { ensureInstance } from "./services/instance/ensure";
import { ensureAdministrator, issueSetupToken } from "./services/instance/setup";
import { recoverRenewals } from "./services/renewals/recover";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Requests that are under way may finish; then the rest is cut. */
const GRACE_MS = 2_000;

await runProcess("portal", async ({ config, log, dev, onclose }) => {
  const db = await openDatabase(config);
  onclose("the database", () => db.$disconnect());
  const bus = connectBus({ path: busPath(config), clock: systemClock, log });
  onclose("the bus", () => bus.close());

  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  let document: ReturnType<typeof openApiDocument> | undefined;
  const runtime: PortalRuntime = {
    config,
    db,
    bus: withEcho(bus),
    clock: systemClock,
    vault: createVault(config),
    log,
    sessionSecret: sessionSecret(config),
    ports: { http: config.portalPort, https: config.httpsPort },
    version,
    isConnected: () => false,
    openApi: () => (document ??= openApiDocument(version)),
  };
  setRuntime(runtime);
  const ctx = contextFor({ kind: "system" });
  await ensureInstance(ctx, { publicHost: config.publicHost });
  if (config.admin) await ensureAdministrator(ctx, config.admin);
  await recoverRenewals(ctx);
  const lists = new EnrollmentWorker(ctx, (error) =>
    log.error({ err: error }, "going through a list of enrollment identities failed"),
  );
  onclose("lists of enrollment identities", () => lists.close());

  // next-auth takes its address from the forwarded headers, which normalizeForwarded makes true for each request.
  // biome-ignore-start lint/style/noProcessEnv: libraries are told here, nothing is read
  process.env.AUTH_TRUST_HOST = "1";
  process.env.NEXT_TELEMETRY_DISABLED = "1";
  delete process.env.NEXTAUTH_URL;
  // biome-ignore-end lint/style/noProcessEnv: libraries are told here, nothing is read

  const api = createApi({ context: ctx, config, log, version, events: runtime.bus });
  runtime.isConnected = (ownerId) => api.delivery.isConnected(ownerId);
  const hub = new LiveHub(api.streams);
  let pages: ((req: IncomingMessage, res: ServerResponse) => Promise<void>) | undefined;
  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    normalizeForwarded(req, config.trustProxy);
    if (api.owns(req.url ?? "/")) return api.answer(req, res);
    secure(req, res, dev);
    const url = parseTarget(req.url);
    if (!url) return void res.writeHead(400, { "Content-Type": "text/plain" }).end("This is no address.");
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
  // Next listens for upgrades on the server that it is given: it hears of those that are left to it.
  const upgrades = createServer();
  for (const server of [http, https]) {
    server.on("upgrade", (req: IncomingMessage, socket: Socket, head: Buffer) => {
      normalizeForwarded(req, config.trustProxy);
      if (api.upgrades(req)) void api.upgrade(req, socket, head);
      else if (dev && isWebSocket(req)) upgrades.emit("upgrade", req, socket, head);
      else answerUnupgraded(server, req, socket, head);
    });
  }
  onclose("the HTTP server", () => end(http));
  onclose("the HTTPS server", () => end(https));
  runtime.ports = {
    http: await bind(http, config.portalPort, config.host),
    https: await bind(https, config.httpsPort, config.host),
  };
  onclose("the API", () => api.close());

  const app = next({ dev, dir: root, httpServer: upgrades, port: runtime.ports.http, hostname: "localhost" });
  await app.prepare();
  onclose("the pages", () => app.close());
  pages = app.getRequestHandler();

  const host = uriHost(config.publicHost);
  const token = await issueSetupToken(ctx);
  return [
    `portal     http://${host}:${runtime.ports.http}`,
    `           https://${host}:${runtime.ports.https}  (certificate of ${config.tls ? "GANGWAY_TLS_CERT" : "this instance's own CA"})`,
    ...(token
      ? [
          "",
          "Make the first administrator here; the link works once:",
          `http://${host}:${runtime.ports.http}/setup?token=${token}`,
        ]
      : []),
  ];
});

/** Listens and returns the port that was bound. */
function bind(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

/** Takes no more requests; those under way may finish, then the rest is cut. */
function end(server: Server): Promise<void> {
  return new Promise((resolve) => {
    if (!server.listening) return resolve();
    server.close(() => resolve());
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), GRACE_MS).unref();
  });
}

/** Null for a request target that is no path, as `CONNECT` and scanners send them. */
function parseTarget(target: string | undefined): URL | null {
  try {
    return new URL(`http://portal${target?.startsWith("/") ? target : `/${target ?? ""}`}`);
  } catch {
    return null;
  }
}
