import type { Clock, Timer } from "../clock";
import type { Peer } from "../transport/types";
import type { Framing } from "./framing";
import { DEFAULT_PARAMETERS, exchangeLifetime, nonLifetime, type TransmissionParameters } from "./parameters";
import { type Limits, type PeerSettings, Session, type Shared } from "./session";
import {
  type AdoptedObservation,
  CoapFailure,
  type CoapObservation,
  type CoapRequest,
  type CoapResponse,
  type Notification,
  type NotificationHandler,
  type RequestHandler,
} from "./types";

export const DEFAULT_LIMITS: Readonly<Limits> = {
  maxPayload: 65_536,
  maxUpload: 1_048_576,
  maxQueue: 256,
  maxPending: 32,
  maxRemembered: 32,
  maxRememberedBytes: 8192,
  maxTransfers: 2,
  maxObservers: 128,
};

const SWEEP_MS = 30_000;

export interface EndpointOptions {
  clock: Clock;
  /** Answers requests; what it throws is answered 5.00 and reported. May also be given to {@link CoapEndpoint.serve}. */
  handler?: RequestHandler;
  /** Hears in words what a peer or the handler got wrong. */
  onerror?: (peer: Peer, message: string) => void;
  parameters?: Partial<TransmissionParameters>;
  /** Between 0 and 1, for the first wait of a retransmission. */
  random?: () => number;
  /** Largest body to take or answer with, in bytes; default 65536. */
  maxPayload?: number;
  limits?: Partial<Limits>;
}

export interface AttachOptions extends PeerSettings {
  /** True when we opened the connection: a stream then begins with our CSM [RFC8323 §5.3]. */
  initiator?: boolean;
  /** How to frame as the initiator of a stream; default RFC 8323 ("stream"). */
  framing?: Framing;
}

/** Requests and responses over any number of peers, in both roles at once. */
export class CoapEndpoint {
  readonly #shared: Shared;
  readonly #sessions = new Map<Peer, Session>();
  readonly #expiring = new Set<Session>();
  #sweeper: Timer | null = null;

  constructor(options: EndpointOptions) {
    const parameters = { ...DEFAULT_PARAMETERS, ...options.parameters };
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    if (options.maxPayload !== undefined) limits.maxPayload = options.maxPayload;
    this.#shared = {
      clock: options.clock,
      parameters,
      exchangeLifetimeMs: exchangeLifetime(parameters),
      nonLifetimeMs: nonLifetime(parameters),
      random: options.random ?? Math.random,
      handler: options.handler ?? (() => ({ code: "5.03" })),
      limits,
      report: (peer, message) => options.onerror?.(peer, message),
      sweepLater: (session) => {
        this.#expiring.add(session);
        this.#sweeper ??= options.clock.after(SWEEP_MS, () => this.#sweep());
      },
      closed: (session) => {
        this.#sessions.delete(session.peer);
        this.#settled(session);
      },
    };
  }

  /** Takes over a peer's messages; an `onclose` that is set already is still called. */
  attach(peer: Peer, options: AttachOptions = {}): void {
    if (this.#sessions.has(peer)) return;
    const session = new Session(this.#shared, peer);
    session.settings(options);
    this.#sessions.set(peer, session);
    const before = peer.onclose;
    peer.onmessage = (message) => session.receive(message);
    peer.onclose = (reason) => {
      session.end(reason);
      before?.(reason);
    };
    if (options.initiator && session.framing === null) session.begin(options.framing ?? "stream");
  }

  /** Changes how a peer is treated, for instance once it has told what it is. */
  adjust(peer: Peer, settings: PeerSettings): void {
    this.#sessions.get(peer)?.settings(settings);
  }

  /** Answers requests from now on, for an endpoint that is needed before what answers can be made. */
  serve(handler: RequestHandler): void {
    this.#shared.handler = handler;
  }

  /** Sends a request when those before it are done; rejects with {@link CoapFailure}. */
  request(peer: Peer, request: CoapRequest): Promise<CoapResponse> {
    const session = this.#open(peer);
    return session ? session.clientRole().request(request) : Promise.reject(notAttached());
  }

  /** Sends a request once and non-confirmable, before those that wait, and expects no answer; throws {@link CoapFailure}. */
  tell(peer: Peer, request: CoapRequest): void {
    const session = this.#open(peer);
    if (!session?.framing) throw notAttached();
    session.clientRole().tell(request);
  }

  /** Starts to observe [RFC7641]; rejects with {@link CoapFailure} when there is no answer. */
  observe(peer: Peer, request: CoapRequest, onnotification: NotificationHandler): Promise<CoapObservation> {
    const session = this.#open(peer);
    return session ? session.clientRole().observe(request, onnotification) : Promise.reject(notAttached());
  }

  /**
   * Takes notifications with a token (hex) that was agreed otherwise: before a restart, or by the device itself.
   * With `request` it can be cancelled at the peer and big notifications can be fetched.
   */
  adopt(
    peer: Peer,
    token: string,
    request: CoapRequest | null,
    onnotification: NotificationHandler,
  ): AdoptedObservation {
    const session = this.#open(peer);
    if (!session) throw notAttached();
    return session.clientRole().adopt(Buffer.from(token, "hex"), request, onnotification);
  }

  /** Stops listening to an observation without telling the peer: its next notification gets a reset. */
  drop(peer: Peer, token: string): boolean {
    return this.#sessions.get(peer)?.client?.drop(token) ?? false;
  }

  /** Tells the observer with this token (hex) something; false when there is none. */
  notify(peer: Peer, token: string, notification: Notification): boolean {
    const observer = this.#sessions.get(peer)?.server?.observers?.get(token);
    observer?.notify(notification);
    return observer !== undefined;
  }

  /**
   * Cancels the requests to a peer and drops observations in both directions. What was answered stays remembered,
   * so that a repetition of the request that led here is not handled a second time.
   */
  forget(peer: Peer): void {
    this.#sessions.get(peer)?.forget("cancelled", "the request was called off");
  }

  #open(peer: Peer): Session | null {
    return peer.closed ? null : (this.#sessions.get(peer) ?? null);
  }

  #sweep(): void {
    this.#sweeper = null;
    const now = this.#shared.clock.now();
    for (const session of this.#expiring) if (!session.server?.sweep(now)) this.#expiring.delete(session);
    if (this.#expiring.size > 0) this.#sweeper = this.#shared.clock.after(SWEEP_MS, () => this.#sweep());
  }

  #settled(session: Session): void {
    this.#expiring.delete(session);
    if (this.#expiring.size > 0) return;
    this.#sweeper?.cancel();
    this.#sweeper = null;
  }
}

function notAttached(): CoapFailure {
  return new CoapFailure("closed", "the peer is not connected");
}
