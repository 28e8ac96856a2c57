import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createApi } from "@/server/api";
import { busPath, connectBus } from "@/server/bus";
import { systemClock } from "@/server/clock";
import { openDatabase } from "@/server/db";
import { withEcho } from "@/server/portal/echo";
import { runProcess } from "@/server/process";
import { createContext } from "@/server/services/create-context";

// The portal's process as applications see it: server/portal.ts without the pages, which would have to be built.
await runProcess("portal", async ({ config, log, onclose }) => {
  const db = await openDatabase(config);
  onclose("the database", () => db.$disconnect());
  const local = connectBus({ path: busPath(config), clock: systemClock, log });
  onclose("the bus", () => local.close());
  const bus = withEcho(local);
  const context = createContext({ config, db, bus });
  const api = createApi({ context, config, log, version: "0.0.0", events: bus });
  const server = createServer((req, res) => void api.answer(req, res));
  server.on("upgrade", (req, socket, head) => void api.upgrade(req, socket, head));
  await new Promise<void>((resolve) => server.listen(config.portalPort, config.host, resolve));
  onclose("the HTTP server", () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  onclose("the API", () => api.close());
  return [String((server.address() as AddressInfo).port)];
});
