import { type BusHandlers, busPath, serveBus } from "@/server/bus";
import type { BusEvent } from "@/server/bus/messages";
import type { Clock, Timer } from "@/server/clock";
import { CoapEndpoint, type RequestHandler } from "@/server/coap";
import { type Config, uriHost } from "@/server/config";
import { GroupCommit, type PrismaClient } from "@/server/db";
import type { Logger } from "@/server/log";
import { DeviceCertificateIssuer } from "@/server/pki";
import { pruneAuditLog } from "@/server/services/audit/prune";
import type { Context } from "@/server/services/context";
import { pruneEvents } from "@/server/services/events/prune";
import { loadAuthority } from "@/server/services/instance/authorities";
import {
  type HandshakeFailure,
  type Listener,
  listenDtls,
  listenTcp,
  listenTls,
  listenUdp,
  type Peer,
  type Verifier,
} from "@/server/transport";
import { AccountBook } from "./accounts";
import { Admissions, formatAddress } from "./admission";
import { BootstrapServer } from "./bootstrap/server";
import { Directory } from "./directory";
import { CertificateEnrolment } from "./est";
import { DeviceExchange } from "./exchange";
import { noteFailedHandshake } from "./failed-handshakes";
import { identityOf } from "./identity";
import { endNotice } from "./notices";
import { Notifier } from "./notifier";
import { DeviceOperations } from "./operations";
import { Presence } from "./presence";
import { RegistrationServer } from "./registration/server";
import { DeviceRequests } from "./requests";
import { createSessionStore } from "./session-store";
import { Structures } from "./structures";
import { Subscriptions } from "./subscriptions";
import { Timeline } from "./timeline";
import { TrustBook } from "./trust";

const DAY_MS = 86_400_000;
/** Devices that could not update while the gateway was down get this long after its start. */
const START_GRACE_MS = 30_000;
const SWEEP_MS = 1000;
const PRUNE_MS = 3_600_000;
/** How often notifications that nobody took are dropped. */
const DROP_MS = 10_000;
const FREE_PORT_TRIES = 20;
/** What bootstrap writes into /1/x/1, in seconds, unless the account says otherwise. */
const DEFAULT_LIFETIME_S = 3600;
/** How long a DTLS session that says nothing is kept: a device may sleep for a day and more. */
const SESSION_TTL_MS = 7 * DAY_MS;

type Service = "bootstrap" | "lwm2m";

export interface GatewayOptions {
  config: Config;
  db: PrismaClient;
  /** Acts as the service itself. */
  context: Omit<Context, "bus">;
  clock: Clock;
  log: Logger;
  /** How long an issued LwM2M certificate is valid, ms; a year by default. */
  certificateLifetimeMs?: number;
}

export interface Gateway {
  /** Where it listens, for a person. */
  readonly listeners: readonly { service: Service; uri: string; port: number }[];
  close(): Promise<void>;
}

/** Opens the listeners, the bus and everything between them. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { config, db, clock, log } = options;
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (let closer = closers.pop(); closer; closer = closers.pop()) await closer();
  };
  try {
    return await start(options, closers, close);
  } catch (error) {
    await close();
    throw error;
  }

  async function start(
    _: GatewayOptions,
    closers: (() => unknown)[],
    close: () => Promise<void>,
  ): Promise<Gateway> {
    const startedAt = clock.now();
    let stopped = false;
    const commit = new GroupCommit(db, clock, {
      onerror: (error, statement) => log.error({ err: error, statement }, "a row could not be written"),
    });
    closers.push(() => commit.close());

    // Comes before anything is read: who changes something from here on is heard, behind what was read.
    let answerWith: (handlers: BusHandlers) => void = () => {};
    const bus = await serveBus({
      path: busPath(config),
      handlers: new Promise((resolve) => {
        answerWith = resolve;
      }),
      log,
    });
    closers.push(() => bus.close());
    const tell = (event: BusEvent) => {
      // What waits for an application has to be delivered, whoever looks on.
      if (event.kind === "notifications" || bus.watched(event.accountId)) bus.publish(event);
    };
    const context: Context = {
      ...options.context,
      bus: {
        publish: tell,
        request: () => Promise.reject(new Error("The gateway does not ask itself.")),
      },
    };

    const listeners: { service: Service; listener: Listener }[] = [];
    const directory = await Directory.load(db, startedAt + START_GRACE_MS);
    const timeline = new Timeline(
      commit,
      { watched: bus.watched, publish: tell },
      clock,
      ({ id, deviceId }) => {
        // Whatever happens in between ends a run of updates: the next one stands behind it, on a row of its own.
        const registration = deviceId ? directory.registrationOf(deviceId) : undefined;
        if (registration?.keepAlive && registration.keepAlive.eventId !== id) registration.keepAlive = null;
      },
    );
    const deviceCa = await loadAuthority(context, "device-ca");
    const serverCa = await loadAuthority(context, "server-ca");
    const credentials = {
      bootstrap: await loadAuthority(context, "bootstrap-server"),
      lwm2m: await loadAuthority(context, "lwm2m-server"),
    };
    const trust = new TrustBook(context, deviceCa.certificate, clock);
    await trust.load();
    const accounts = new AccountBook(db);
    await accounts.load();
    const notifier = new Notifier({ db, clock, commit, publish: tell });
    await notifier.load();
    const admissions = new Admissions(directory, db, clock, trust);
    const onchange = (device: { id: string; accountId: string }, change: "created" | "updated") =>
      tell({ kind: "device", accountId: device.accountId, deviceId: device.id, change });

    const issuer = new DeviceCertificateIssuer(deviceCa, clock);
    const certificateLifetimeMs = options.certificateLifetimeMs ?? 365 * DAY_MS;
    const enrolment = new CertificateEnrolment(issuer, clock, certificateLifetimeMs);
    const presence = new Presence(clock);
    const exchange = new DeviceExchange({ clock, coap: () => lwm2m, commit, presence, publish: tell });
    const structures = new Structures();
    const unobserved = (error: unknown) => log.error({ err: error }, "observing failed");
    const subscriptions = new Subscriptions({
      clock,
      db,
      coap: () => lwm2m,
      directory,
      commit,
      timeline,
      presence,
      exchange,
      notifier,
      structures,
      publish: tell,
      onerror: unobserved,
    });
    await subscriptions.load();
    const operations = new DeviceOperations({
      clock,
      directory,
      commit,
      timeline,
      presence,
      exchange,
      subscriptions,
      structures,
    });
    const requests = new DeviceRequests({
      db,
      clock,
      commit,
      directory,
      presence,
      exchange,
      notifier,
      timeline,
      mayHave: (registration, path) => structures.of(registration).mayHave(path),
      onerror: (error) => log.error({ err: error }, "a request to a device could not be dealt with"),
    });
    await requests.load();
    presence.oncontact = (registration) => {
      requests.heard(registration);
      subscriptions.heard(registration);
    };
    const registrations: RegistrationServer = new RegistrationServer({
      clock,
      directory,
      admissions,
      commit,
      timeline,
      trusts: (caId) => trust.isActive(caId),
      registrationLifetime: (accountId) => accounts.get(accountId).registrationLifetime,
      enrolment,
      coap: () => lwm2m,
      structures,
      notifier,
      onregistering: (registration) => subscriptions.registering(registration),
      onending: (registration) => {
        requests.left(registration.deviceId);
        return subscriptions.ending(registration);
      },
      onregistered: (registration) => subscriptions.registered(registration),
      onupdated: (registration) => subscriptions.updated(registration),
      onmoved: (registration) => subscriptions.moved(registration),
      onended: (registration) => subscriptions.ended(registration),
      onchange,
      onheard: (registration) => presence.heard(registration),
      onsend: (registration, request) => subscriptions.sent(registration, request),
    });
    const bootstrap: BootstrapServer = new BootstrapServer({
      clock,
      coap: () => bootstrapCoap,
      directory,
      admissions,
      commit,
      timeline,
      notifier,
      issuer,
      enrolment,
      usesEst: (accountId) => accounts.get(accountId).deviceKeys,
      serverCa: serverCa.certificate,
      lwm2mCertificate: credentials.lwm2m.certificate,
      lwm2mUri: (transport) => {
        const found = listeners.find(
          ({ service, listener }) => service === "lwm2m" && listener.transport === transport,
        );
        if (!found) throw new Error(`There is no LwM2M listener for ${transport}.`);
        return uriOf(config.publicHost, found.listener);
      },
      certificateLifetimeMs,
      registrationLifetime: (accountId) => accounts.get(accountId).registrationLifetime ?? DEFAULT_LIFETIME_S,
      onchange,
      onended: (registration) => subscriptions.ended(registration),
      onerror: (error) => log.error({ err: error }, "a bootstrap session failed"),
    });

    const onerror = (peer: Peer, message: string) => {
      const identity = identityOf(peer);
      const deviceId =
        identity?.kind === "lwm2m" && directory.byId(identity.deviceId) ? identity.deviceId : null;
      timeline.knock("request.malformed", `coap ${peer.remote.address} ${message}`, {
        accountId: identity?.accountId ?? null,
        deviceId,
        data: { address: formatAddress(peer), transport: peer.transport, reason: message },
      });
    };
    const answering =
      (handler: RequestHandler): RequestHandler =>
      async (request) => {
        try {
          return await handler(request);
        } catch (error) {
          log.error({ err: error, path: request.path.join("/") }, "a request of a device failed");
          return { code: "5.00" };
        }
      };
    const bootstrapCoap: CoapEndpoint = new CoapEndpoint({
      clock,
      onerror,
      handler: answering((request) => bootstrap.handle(request)),
    });
    const lwm2m: CoapEndpoint = new CoapEndpoint({
      clock,
      onerror,
      handler: answering((request) => registrations.handle(request)),
    });

    /** Opens both transports of a service on one number; where any will do (0), it has to be free for both. */
    const open = async (
      service: Service,
      port: number,
      datagrams: (port: number) => Promise<Listener>,
      streams: (port: number) => Promise<Listener>,
    ): Promise<Listener> => {
      for (let left = port === 0 ? FREE_PORT_TRIES : 1; ; left--) {
        const first = await datagrams(port);
        try {
          for (const listener of [first, await streams(first.local.port)]) {
            listeners.push({ service, listener });
            closers.push(() => listener.close());
          }
          return first;
        } catch (error) {
          await first.close();
          if (left === 1 || (error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
        }
      }
    };
    const onfailure = (service: Service) => (failure: HandshakeFailure) =>
      noteFailedHandshake(timeline, trust, service, failure);
    /** Tells in the timeline of a device when its sessions begin and end. */
    const watch = (service: Service, peer: Peer) => {
      const identity = identityOf(peer);
      if (identity?.kind !== "lwm2m" || !directory.byId(identity.deviceId)) return;
      const { accountId, deviceId } = identity;
      const data = { address: formatAddress(peer), transport: peer.transport };
      if (!peer.restored)
        timeline.note("session.established", { accountId, deviceId, data: { ...data, service } });
      const before = peer.onclose;
      peer.onclose = (reason) => {
        before?.(reason);
        // A device that was deleted has no timeline, and the end of the process is not the end of its sessions.
        if (!stopped && directory.byId(deviceId))
          timeline.note("session.closed", { accountId, deviceId, data: { ...data, reason } });
      };
    };
    const secure = async (service: Service, port: number, coap: CoapEndpoint, verify: Verifier) => {
      const pair = credentials[service];
      const common = {
        host: config.host,
        credentials: { chain: [pair.certificate], privateKey: pair.privateKey },
        verify,
        onpeer: (peer: Peer) => {
          coap.attach(peer);
          watch(service, peer);
          if (service === "lwm2m") registrations.connected(peer);
        },
        onfailure: onfailure(service),
        clock,
      };
      const store =
        service === "lwm2m"
          ? createSessionStore({
              db,
              commit,
              vault: context.vault,
              clock,
              onunreadable: (id) => log.warn({ id }, "a stored session was sealed with another secret"),
            })
          : null;
      const kept = store && { store, sessionTtlMs: SESSION_TTL_MS };
      return open(
        service,
        port,
        (port) => listenDtls({ ...common, port, cid: true, ...kept }),
        (port) => listenTls({ ...common, port }),
      );
    };
    const plain = async (service: Service, port: number, coap: CoapEndpoint) => {
      const common = { host: config.host, onpeer: (peer: Peer) => coap.attach(peer), clock };
      await open(
        service,
        port,
        (port) => listenUdp({ ...common, port }),
        (port) => listenTcp({ ...common, port }),
      );
    };
    await secure("bootstrap", config.bootstrapPort, bootstrapCoap, trust.verifier("bootstrap"));
    const dtls = await secure("lwm2m", config.lwm2mPort, lwm2m, trust.verifier("lwm2m"));
    if (config.insecureCoap) {
      await plain("bootstrap", config.coapBootstrapPort, bootstrapCoap);
      await plain("lwm2m", config.coapLwm2mPort, lwm2m);
    }
    // Devices whose DTLS sessions outlived the last process can be asked at once.
    for (const peer of dtls.peers()) {
      const identity = identityOf(peer);
      const registration =
        identity?.kind === "lwm2m" ? directory.registrationOf(identity.deviceId) : undefined;
      if (!registration) continue;
      registration.peer = peer;
      lwm2m.attach(peer);
    }

    // Devices that were suspended while nobody was here, or whose certificate is no longer trusted.
    await registrations.expel(directory.registrations());
    subscriptions.resume().catch(unobserved);
    closers.push(() => requests.stop());
    requests.resume();

    const endSessions = (gone: (peer: Peer) => boolean) => {
      for (const { listener } of listeners) for (const peer of listener.peers()) if (gone(peer)) peer.close();
    };
    const isOf = (deviceId: string) => (peer: Peer) => {
      const identity = identityOf(peer);
      return identity?.kind === "lwm2m" && identity.deviceId === deviceId;
    };
    const handlers: BusHandlers = {
      ping: () => ({
        pid: process.pid,
        startedAt,
        registrations: directory.registrationCount,
        peers: listeners.reduce((sum, { listener }) => sum + [...listener.peers()].length, 0),
        listeners: listeners.map(({ service, listener }) => ({
          service,
          uri: uriOf(config.publicHost, listener),
        })),
      }),
      "trust.reload": async () => {
        const gone = new Set(await trust.load());
        endSessions((peer) => {
          const identity = identityOf(peer);
          const caId = identity?.kind === "lwm2m" ? directory.byId(identity.deviceId)?.caId : identity?.caId;
          return gone.has(caId ?? "");
        });
        for (const caId of gone) if (!trust.has(caId)) directory.forgetCa(caId);
        await registrations.expel(directory.registrations());
        return { trusted: trust.size };
      },
      "device.request": (input) => requests.enqueue(input),
      "subscription.put": (input) => subscriptions.put(input),
      "subscription.remove": (input) => subscriptions.remove(input),
      "subscription.list": (input) => subscriptions.list(input),
      "owner.reload": async ({ accountId, ownerId }) => {
        await notifier.reload(accountId, ownerId);
        await subscriptions.reload(ownerId);
        await requests.reloadOwner(ownerId);
        return {};
      },
      "device.suspension": async ({ accountId, deviceId }) => {
        if (directory.byId(deviceId)?.accountId !== accountId) return {};
        if (!(await directory.admit(db, deviceId))?.suspended) return {};
        const registration = directory.registrationOf(deviceId);
        if (registration) await registrations.expel([registration]);
        endSessions(isOf(deviceId));
        return {};
      },
      "account.reload": async () => {
        await accounts.load();
        return {};
      },
      "device.read": (input) => operations.read(input),
      "device.write": (input) => operations.write(input),
      "device.execute": (input) => operations.execute(input),
      "device.observe": (input) => operations.observe(input),
      "device.unobserve": (input) => operations.unobserve(input),
      "device.rebootstrap": (input) => operations.rebootstrap(input),
      "device.renew": (input) => operations.renew(input),
      "device.added": async ({ deviceId }) => {
        await directory.admit(db, deviceId);
        return {};
      },
      "device.removed": async ({ accountId, deviceId }) => {
        const device = directory.byId(deviceId);
        if (!device || device.accountId !== accountId) return {};
        const registration = directory.removeDevice(deviceId);
        requests.left(deviceId);
        const rows = subscriptions.ending(registration ?? { deviceId, peer: null });
        if (registration) {
          const at = clock.now();
          rows.push(...notifier.broadcast(accountId, "de-registrations", () => endNotice(registration, at)));
        }
        if (rows.length > 0) await commit.addAll(rows);
        notifier.written(accountId, rows);
        registration?.peer?.close();
        endSessions(isOf(deviceId));
        return {};
      },
    };
    answerWith(handlers);
    // At the end it goes first: what is asked then is for the next process.
    closers.push(() => bus.close());

    /** Does something time and again, each time so long after the time before has ended. */
    const every = (ms: number, what: string, run: () => Promise<unknown>) => {
      const next = (): Timer =>
        clock.after(ms, () => {
          run()
            .catch((error) => log.error({ err: error }, `${what} failed`))
            .finally(() => {
              if (!stopped) timer = next();
            });
        });
      let timer = next();
      closers.push(() => timer.cancel());
    };
    every(SWEEP_MS, "ending expired registrations", () => registrations.sweep());
    every(DROP_MS, "deleting old notifications", () => notifier.sweep());
    every(PRUNE_MS, "deleting old events", () => pruneEvents(context).then(() => pruneAuditLog(context)));
    closers.push(() => {
      stopped = true;
    });

    return {
      listeners: listeners.map(({ service, listener }) => ({
        service,
        uri: uriOf(config.publicHost, listener),
        port: listener.local.port,
      })),
      close,
    };
  }
}

const SCHEMES = { dtls: "coaps", tls: "coaps+tcp", udp: "coap", tcp: "coap+tcp" } as const;

function uriOf(host: string, listener: Listener): string {
  return `${SCHEMES[listener.transport]}://${uriHost(host)}:${listener.local.port}`;
}
