import { busPath, connectBus, type LocalBusClient } from "@/server/bus";
import { systemClock } from "@/server/clock";
import type { Config } from "@/server/config";
import { openTestDatabase, type PrismaClient } from "@/server/db";
import { batchOf } from "@/server/db/client";
import { type Gateway, startGateway } from "@/server/gateway/index";
import { createLogger } from "@/server/log";
import type { Context } from "@/server/services/context";
import { createContext } from "@/server/services/create-context";
import { ensureInstance } from "@/server/services/instance/ensure";
import { createFirstAdministrator } from "@/server/services/instance/setup";
import { JumpClock } from "./jump-clock";

const silent = createLogger("tests", "silent");

/** A gateway in this process, on an empty database and free ports, whose hours can be skipped. */
export interface TestGateway {
  readonly clock: JumpClock;
  readonly db: PrismaClient;
  readonly config: Config;
  readonly context: Context;
  readonly accountId: string;
  readonly bus: LocalBusClient;
  /** The port of "coap://", "coaps+tcp://" and so on. */
  port(service: "bootstrap" | "lwm2m", scheme: "coap" | "coap+tcp" | "coaps" | "coaps+tcp"): number;
  /** Types of the events so far, of one device or of nobody (null), oldest first, with their text. */
  events(deviceId?: string | null): Promise<{ type: string; text: string }[]>;
  /** Ends it and starts it again on the same ports. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export async function startTestGateway(env: Readonly<Record<string, string>> = {}): Promise<TestGateway> {
  const { db, config, close } = await openTestDatabase({ GANGWAY_INSECURE_COAP: "1", ...env });
  const clock = new JumpClock();
  const bus = connectBus({ path: busPath(config), clock: systemClock, log: silent });
  const context = createContext({ config, db, bus, clock });
  await ensureInstance(context, { publicHost: "127.0.0.1" });
  const { accountId } = await createFirstAdministrator(context, {
    token: null,
    email: "somebody@example.com",
    password: "a long enough password",
  });
  const start = (on: Config) => startGateway({ config: on, db, context, clock, log: silent });
  let gateway: Gateway = await start(config);
  const port: TestGateway["port"] = (service, scheme) => {
    const found = gateway.listeners.find(
      (one) => one.service === service && one.uri.startsWith(`${scheme}://`),
    );
    if (!found) throw new Error(`There is no ${scheme} listener.`);
    return found.port;
  };
  return {
    clock,
    db,
    config,
    context,
    accountId,
    bus,
    port,
    async events(deviceId) {
      // Rows that nobody waits for are written within a second; this waits for its turn behind them, and behind those
      // that a commit under way kept waiting.
      for (const ms of [1000, 0]) {
        clock.jump(ms);
        await batchOf(db)(() => {});
      }
      const rows = await db.deviceEvent.findMany({
        where: deviceId === undefined ? {} : { deviceId },
        orderBy: { id: "asc" },
      });
      return rows.map(({ type, description }) => ({ type, text: description }));
    },
    async restart() {
      const ports = {
        bootstrapPort: port("bootstrap", "coaps"),
        lwm2mPort: port("lwm2m", "coaps"),
        coapBootstrapPort: port("bootstrap", "coap"),
        coapLwm2mPort: port("lwm2m", "coap"),
      };
      await gateway.close();
      while (bus.connected) await new Promise((done) => setTimeout(done, 5));
      gateway = await start({ ...config, ...ports });
      while (!bus.connected) await new Promise((done) => setTimeout(done, 5));
    },
    async close() {
      await gateway.close();
      bus.close();
      await close();
    },
  };
}
