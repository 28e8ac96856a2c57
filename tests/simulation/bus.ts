import type { BusHandlers, serveBus } from "@/server/bus";
import { type BusEvent, gatewayRequests, isForEveryProcess } from "@/server/bus/messages";
import type { BusClient } from "@/server/services/context";
import { ServiceError } from "@/server/services/errors";
import type { Life, World } from "./world";

/** How long a message takes from one process to the other, ms. */
const TRIP_MS = 1;

interface Server {
  life: Life;
  handlers: Promise<BusHandlers>;
  listeners: Set<(event: BusEvent) => void>;
}

interface Client {
  life: Life;
  listeners: Set<(event: BusEvent) => void>;
}

/** The local socket between the processes, in memory. */
export class SimulatedBus {
  /** Hears of all that the gateway tells. */
  ontold: (event: BusEvent) => void = () => {};
  #server: Server | null = null;
  readonly #clients = new Set<Client>();

  constructor(private readonly world: World) {}

  /** Takes the place of serveBus for one life of the gateway. */
  serverFor(life: Life): typeof serveBus {
    return async ({ handlers }) => {
      const server: Server = { life, handlers: Promise.resolve(handlers), listeners: new Set() };
      this.#server = server;
      const gone = () => {
        if (this.#server === server) this.#server = null;
      };
      life.onend(gone);
      const clients = this.#clients;
      return {
        get clients() {
          return clients.size;
        },
        watched: () => clients.size > 0,
        subscribe(run) {
          server.listeners.add(run);
          return () => server.listeners.delete(run);
        },
        request: () => Promise.reject(new Error("The gateway does not ask itself.")),
        publish: (event) => {
          if (!life.alive) return;
          this.ontold(event);
          for (const client of clients) {
            if (!isForEveryProcess(event) && client.listeners.size === 0) continue;
            this.world.after(
              TRIP_MS,
              () => {
                if (client.life.alive) for (const run of client.listeners) run(event);
              },
              this.world.nextOrder(),
            );
          }
        },
        close: async () => gone(),
      };
    };
  }

  /** The portal's end, for one life of it. */
  clientFor(life: Life): BusClient & { subscribe(run: (event: BusEvent) => void): () => void } {
    const client: Client = { life, listeners: new Set() };
    this.#clients.add(client);
    life.onend(() => this.#clients.delete(client));
    return {
      subscribe(run) {
        client.listeners.add(run);
        return () => client.listeners.delete(run);
      },
      publish: (event) => {
        const server = this.#server;
        if (!life.alive || !server) return;
        this.world.after(TRIP_MS, () => {
          if (server.life.alive) for (const run of server.listeners) run(event);
        });
      },
      request: (op, input) =>
        new Promise((resolve, reject) => {
          const server = this.#server;
          const answer = (run: () => void) => this.world.after(TRIP_MS, () => life.alive && run());
          if (!server?.life.alive) {
            answer(() => reject(new ServiceError("unavailable", "The gateway is not running.")));
            return;
          }
          let answered = false;
          server.life.onend(() => {
            if (!answered)
              answer(() =>
                reject(new ServiceError("unavailable", "The gateway went down before it answered.")),
              );
            answered = true;
          });
          this.world.after(TRIP_MS, () => {
            if (!server.life.alive) return;
            const run = async () => {
              const checked = gatewayRequests[op].input.parse(input);
              const handlers = await server.handlers;
              return gatewayRequests[op].output.parse(await handlers[op](checked as never));
            };
            run().then(
              (output) => {
                if (!answered) answer(() => resolve(output as never));
                answered = true;
              },
              (error) => {
                if (!answered)
                  answer(() =>
                    reject(
                      error instanceof ServiceError
                        ? error
                        : new ServiceError("internal_error", String(error)),
                    ),
                  );
                answered = true;
              },
            );
          });
        }),
    };
  }
}
