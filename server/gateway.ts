import { systemClock } from "./clock";
import { openDatabase } from "./db";
import { startGateway } from "./gateway/index";
import { createVault } from "./pki";
import { runProcess } from "./process";
import { ensureInstance } from "./services/instance/ensure";

await runProcess("gateway", async ({ config, log, onclose }) => {
  const db = await openDatabase(config);
  onclose("the database", () => db.$disconnect());
  const context = {
    db,
    clock: systemClock,
    vault: createVault(config),
    actor: { kind: "system" as const },
  };
  const alone = {
    request: () => Promise.reject(new Error("The gateway does not ask itself.")),
    publish: () => {},
  };
  await ensureInstance({ ...context, bus: alone }, config);
  const gateway = await startGateway({ config, db, context, clock: systemClock, log });
  onclose("the gateway", () => gateway.close());
  return gateway.listeners.map(
    ({ service, uri }) => `${service === "lwm2m" ? "LwM2M    " : "bootstrap"}  ${uri}`,
  );
});
