import { Delivery } from "@/server/api/notification/delivery";
import type { Config } from "@/server/config";
import type { PrismaClient } from "@/server/db";
import { type Gateway, startGateway } from "@/server/gateway/index";
import type { Transports } from "@/server/gateway/listeners";
import type { Logger } from "@/server/log";
import type { Context, Vault } from "@/server/services/context";
import { listenDtls } from "@/server/transport";
import { SimulatedBus } from "./bus";
import type { Disk } from "./disk";
import { StandIns } from "./dtls";
import { listenStreams, type Network } from "./network";
import { Life, type World } from "./world";

/** Errors that a process may log in bad weather; any other is a fault. */
const EXPECTED = /disk is full|database or disk is full|killed/;

/** What a process writes into its log. */
class Log {
  constructor(
    private readonly world: World,
    private readonly name: string,
    private readonly onunexpected: (message: string) => void,
  ) {}

  #write(level: string, facts: unknown, message?: string): void {
    const error = (facts as { err?: unknown } | null)?.err;
    const words = error instanceof Error ? `${error.message}` : error === undefined ? "" : String(error);
    const line = `${this.name} log ${level}: ${message ?? facts} ${words}`.trim();
    if (level === "error") {
      this.world.say(line);
      if (!EXPECTED.test(words))
        this.onunexpected(`${line}\n${error instanceof Error ? error.stack : JSON.stringify(facts)}`);
    }
  }

  readonly logger = {
    error: (facts: unknown, message?: string) => this.#write("error", facts, message),
    warn: (facts: unknown, message?: string) => this.#write("warn", facts, message),
    info: () => {},
    debug: () => {},
  } as unknown as Logger;
}

/** The two processes of an instance, which may end at any moment and be started again on what is on disk. */
export class Instance {
  readonly bus: SimulatedBus;
  readonly vault: Vault;
  gateway: { life: Life; running: Gateway | null } | null = null;
  portal: { life: Life; context: Context; delivery: Delivery } | null = null;
  /** Hears of every new life of the portal: applications come back to it. */
  onportal: () => void = () => {};
  onunexpected: (message: string) => void = () => {};
  #lives = 0;

  constructor(
    readonly world: World,
    readonly disk: Disk,
    readonly network: Network,
    vault: Vault,
  ) {
    this.bus = new SimulatedBus(world);
    this.vault = vault;
  }

  get config(): Config {
    return this.disk.config;
  }

  #context(life: Life): Omit<Context, "bus"> {
    return {
      db: this.disk.clientFor(life) as PrismaClient,
      clock: life.clock,
      vault: this.vault,
      actor: { kind: "system" },
    };
  }

  startGateway(skew = 0): void {
    if (this.gateway?.life.alive) return;
    const life = new Life(this.world, `gateway#${++this.#lives}`, skew);
    const entry: { life: Life; running: Gateway | null } = { life, running: null };
    this.gateway = entry;
    this.world.say(`${life.name} starts`);
    const context = this.#context(life);
    const log = new Log(this.world, life.name, (message) => this.onunexpected(message));
    startGateway({
      config: this.config,
      db: context.db,
      context,
      clock: life.clock,
      log: log.logger,
      transports: this.#transports(life),
      serveBus: this.bus.serverFor(life),
    }).then(
      (gateway) => {
        entry.running = gateway;
        this.world.say(`${life.name} is ready`);
      },
      (error: unknown) => {
        if (!life.alive) return;
        this.world.say(`${life.name} does not start: ${error}`);
        if (!EXPECTED.test(String(error)))
          this.onunexpected(`The gateway does not start: ${(error as Error).stack}`);
        life.kill();
      },
    );
    life.onend(() => this.world.say(`${life.name} ends`));
  }

  /** Ends it as SIGTERM does. */
  async stopGateway(): Promise<void> {
    const gateway = this.gateway;
    if (!gateway?.running) return;
    await gateway.running.close();
    gateway.life.kill();
  }

  startPortal(skew = 0): void {
    if (this.portal?.life.alive) return;
    const life = new Life(this.world, `portal#${++this.#lives}`, skew);
    this.world.say(`${life.name} starts`);
    const bus = this.bus.clientFor(life);
    const context: Context = { ...this.#context(life), bus };
    const log = new Log(this.world, life.name, (message) => this.onunexpected(message));
    const delivery = new Delivery({
      context,
      config: this.config,
      log: log.logger,
      events: { subscribe: (run: Parameters<typeof bus.subscribe>[0]) => bus.subscribe(run) } as never,
    });
    this.portal = { life, context, delivery };
    life.onend(() => this.world.say(`${life.name} ends`));
    this.onportal();
  }

  #transports(life: Life): Transports {
    const { network } = this;
    const handshakes = new StandIns(life, network);
    const unused = () => Promise.reject(new Error("Plain CoAP is not simulated."));
    return {
      listenDtls: (options) =>
        listenDtls({
          ...options,
          handshakes,
          bind: async ({ port }, receive) => network.bindServer(life, port, receive),
        }),
      listenTls: async (options) => listenStreams(network, life, options),
      listenUdp: unused,
      listenTcp: unused,
    };
  }
}
