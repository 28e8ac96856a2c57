import type { Clock } from "@/server/clock";
import type { CoapEndpoint } from "@/server/coap";
import { type Config, uriHost } from "@/server/config";
import type { GroupCommit, PrismaClient } from "@/server/db";
import type { Logger } from "@/server/log";
import type { Vault } from "@/server/services/context";
import {
  type HandshakeFailure,
  type Listener,
  listenDtls,
  listenTcp,
  listenTls,
  listenUdp,
  type Peer,
} from "@/server/transport";
import { formatAddress } from "./admission";
import { noteFailedHandshake } from "./failed-handshakes";
import { identityOf } from "./identity";
import type { Parts } from "./parts";
import { createSessionStore } from "./session-store";

const FREE_PORT_TRIES = 20;
/** How long a DTLS session that says nothing is kept: a device may sleep for a day and more. */
const SESSION_TTL_MS = 7 * 86_400_000;

export type Service = "bootstrap" | "lwm2m";

/** How listeners are opened; a test may put others in their place. */
export interface Transports {
  listenDtls: typeof listenDtls;
  listenTls: typeof listenTls;
  listenUdp: typeof listenUdp;
  listenTcp: typeof listenTcp;
}

export const networkTransports: Transports = { listenDtls, listenTls, listenUdp, listenTcp };

export interface ListenersInput {
  config: Config;
  clock: Clock;
  db: PrismaClient;
  commit: GroupCommit;
  vault: Vault;
  log: Logger;
  transports: Transports;
}

/** Where devices come in: each service over DTLS and TLS, and plain where that is wanted. */
export class Listeners {
  readonly #open: { service: Service; listener: Listener }[] = [];
  /** The end of the process is not the end of sessions. */
  #closing = false;

  constructor(private readonly input: ListenersInput) {}

  /** Opens all of them. */
  async open(parts: Parts): Promise<void> {
    const { config } = this.input;
    await this.#secure("bootstrap", config.bootstrapPort, parts);
    await this.#secure("lwm2m", config.lwm2mPort, parts);
    if (!config.insecureCoap) return;
    await this.#plain("bootstrap", config.coapBootstrapPort, parts.coap.bootstrap);
    await this.#plain("lwm2m", config.coapLwm2mPort, parts.coap.lwm2m);
  }

  /** Sends no session a word: most of them go on with the next process. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const { listener } of this.#open.splice(0).reverse()) await listener.close();
  }

  /** Where it listens, for a person. */
  get addresses(): { service: Service; uri: string; port: number }[] {
    return this.#open.map(({ service, listener }) => ({
      service,
      uri: uriOf(this.input.config.publicHost, listener),
      port: listener.local.port,
    }));
  }

  /** Where a device that came over this transport is to register. */
  lwm2mUri(transport: Peer["transport"]): string {
    const found = this.#open.find(
      ({ service, listener }) => service === "lwm2m" && listener.transport === transport,
    );
    if (!found) throw new Error(`There is no LwM2M listener for ${transport}.`);
    return uriOf(this.input.config.publicHost, found.listener);
  }

  *peers(service?: Service): IterableIterator<Peer> {
    for (const open of this.#open) if (!service || open.service === service) yield* open.listener.peers();
  }

  /** Ends the sessions of whoever is gone. */
  endSessions(gone: (peer: Peer) => boolean): void {
    for (const peer of [...this.peers()]) if (gone(peer)) peer.close();
  }

  async #secure(service: Service, port: number, parts: Parts): Promise<void> {
    const { config, clock, transports, db, commit, vault, log } = this.input;
    const { coap, credentials, timeline, trust, registration } = parts;
    const { certificate, privateKey } = credentials[service];
    const common = {
      host: config.host,
      credentials: { chain: [certificate], privateKey },
      verify: trust.verifier(service),
      onpeer: (peer: Peer) => {
        coap[service].attach(peer);
        this.#watch(service, peer, parts);
        if (service === "lwm2m") registration.connected(peer);
      },
      onfailure: (failure: HandshakeFailure) => noteFailedHandshake(timeline, trust, service, failure),
      clock,
    };
    const kept = service === "lwm2m" && {
      store: createSessionStore({
        db,
        commit,
        vault,
        clock,
        onunreadable: (id) => log.warn({ id }, "a stored session was sealed with another secret"),
      }),
      sessionTtlMs: SESSION_TTL_MS,
    };
    await this.#pair(
      service,
      port,
      (port) => transports.listenDtls({ ...common, port, cid: true, ...kept }),
      (port) => transports.listenTls({ ...common, port }),
    );
  }

  async #plain(service: Service, port: number, coap: CoapEndpoint): Promise<void> {
    const { config, clock, transports } = this.input;
    const common = { host: config.host, onpeer: (peer: Peer) => coap.attach(peer), clock };
    await this.#pair(
      service,
      port,
      (port) => transports.listenUdp({ ...common, port }),
      (port) => transports.listenTcp({ ...common, port }),
    );
  }

  /** Opens both transports of a service on one number; where any will do (0), it has to be free for both. */
  async #pair(
    service: Service,
    port: number,
    datagrams: (port: number) => Promise<Listener>,
    streams: (port: number) => Promise<Listener>,
  ): Promise<void> {
    for (let left = port === 0 ? FREE_PORT_TRIES : 1; ; left--) {
      const first = await datagrams(port);
      try {
        const second = await streams(first.local.port);
        this.#open.push({ service, listener: first }, { service, listener: second });
        return;
      } catch (error) {
        await first.close();
        if (left === 1 || (error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      }
    }
  }

  /** Tells in the timeline of a device when its sessions begin and end. */
  #watch(service: Service, peer: Peer, { directory, timeline }: Parts): void {
    const identity = identityOf(peer);
    if (identity?.kind !== "lwm2m" || !directory.byId(identity.deviceId)) return;
    const { accountId, deviceId } = identity;
    const data = { address: formatAddress(peer), transport: peer.transport };
    if (!peer.restored)
      timeline.note("session.established", { accountId, deviceId, data: { ...data, service } });
    const before = peer.onclose;
    peer.onclose = (reason) => {
      before?.(reason);
      // A device that was deleted has no timeline.
      if (!this.#closing && directory.byId(deviceId))
        timeline.note("session.closed", { accountId, deviceId, data: { ...data, reason } });
    };
  }
}

const SCHEMES = { dtls: "coaps", tls: "coaps+tcp", udp: "coap", tcp: "coap+tcp" } as const;

function uriOf(host: string, listener: Listener): string {
  return `${SCHEMES[listener.transport]}://${uriHost(host)}:${listener.local.port}`;
}
