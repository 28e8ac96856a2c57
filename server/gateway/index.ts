import { type BusHandlers, busPath, serveBus } from "@/server/bus";
import type { BusEvent } from "@/server/bus/messages";
import type { Clock } from "@/server/clock";
import type { Config } from "@/server/config";
import { GroupCommit, type PrismaClient } from "@/server/db";
import type { Logger } from "@/server/log";
import type { Context } from "@/server/services/context";
import { busHandlers, takeRemovals } from "./bus-handlers";
import { identityOf } from "./identity";
import { startJobs } from "./jobs";
import { Listeners, networkTransports, type Service, type Transports } from "./listeners";
import { buildParts } from "./parts";

export interface GatewayOptions {
  config: Config;
  db: PrismaClient;
  /** Acts as the service itself. */
  context: Omit<Context, "bus">;
  clock: Clock;
  log: Logger;
  /** How long an issued LwM2M certificate is valid, ms; a year by default. */
  certificateLifetimeMs?: number;
  /** How devices come in; the network by default. */
  transports?: Transports;
  /** How the portal comes in; a local socket by default. */
  serveBus?: typeof serveBus;
}

export interface Gateway {
  /** Where it listens, for a person. */
  readonly listeners: readonly { service: Service; uri: string; port: number }[];
  close(): Promise<void>;
}

/** Opens the listeners, the bus and everything between them. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (let closer = closers.pop(); closer; closer = closers.pop()) await closer();
  };
  try {
    return { listeners: await start(options, closers), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(options: GatewayOptions, closers: (() => unknown)[]): Promise<Gateway["listeners"]> {
  const { config, db, clock, log } = options;
  const startedAt = clock.now();
  const commit = new GroupCommit(db, clock, {
    onerror: (error, statement) => log.error({ err: error, statement }, "a row could not be written"),
  });
  closers.push(() => commit.close());

  // Open first, so that no change made while the rest is loading is missed.
  let answerWith: (handlers: BusHandlers) => void = () => {};
  const handlers = new Promise<BusHandlers>((resolve) => {
    answerWith = resolve;
  });
  const bus = await (options.serveBus ?? serveBus)({ path: busPath(config), handlers, log });
  closers.push(() => bus.close());
  const publish = (event: BusEvent) => {
    // What waits for an application has to be delivered, whether anybody is watching or not.
    if (event.kind === "notifications" || bus.watched(event.accountId)) bus.publish(event);
  };
  const context: Context = {
    ...options.context,
    bus: { publish, request: () => Promise.reject(new Error("The gateway does not ask itself.")) },
  };

  const { vault } = context;
  const transports = options.transports ?? networkTransports;
  const listeners = new Listeners({ config, clock, db, commit, vault, log, transports });
  const parts = await buildParts({
    context,
    db,
    commit,
    bus,
    clock,
    log,
    publish,
    lwm2mUri: (transport) => listeners.lwm2mUri(transport),
    certificateLifetimeMs: options.certificateLifetimeMs,
  });
  closers.push(() => listeners.close());
  await listeners.open(parts);
  const { directory, registration, registrations, requests, subscriptions, coap } = parts;
  // Devices whose DTLS sessions outlived the last process can be asked at once.
  for (const peer of listeners.peers("lwm2m")) {
    const identity = identityOf(peer);
    const current = identity?.kind === "lwm2m" ? directory.registrationOf(identity.deviceId) : undefined;
    if (!current) continue;
    registrations.moveTo(current, peer);
    coap.lwm2m.attach(peer);
  }
  // Devices that were suspended in the meantime, or whose certificate is no longer trusted.
  await registration.expel(directory.registrations());
  await takeRemovals(parts, listeners, db);
  subscriptions.resume().catch((error) => log.error({ err: error }, "observing failed"));
  closers.push(() => requests.stop());
  requests.resume();

  answerWith(busHandlers(parts, listeners, { db, commit, startedAt }));
  // Closed first: what is asked from then on is for the next process.
  closers.push(() => bus.close());
  closers.push(startJobs(parts, { clock, log, context }));
  return listeners.addresses;
}
