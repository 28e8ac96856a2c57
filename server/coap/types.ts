import type { Peer } from "../transport/types";

/** Method names by their registered spelling (RFC 7252 §12.1.1, RFC 8132 §4). */
export type Method = "GET" | "POST" | "PUT" | "DELETE" | "FETCH" | "PATCH" | "iPATCH";

/** A response code as people write it, for instance "2.05". */
export type Code = `${number}.${string}`;

/** A request to a peer. */
export interface CoapRequest {
  method: Method;
  /** Decoded path segments. */
  path: readonly string[];
  /** Uri-Query options, one string each. */
  query?: readonly string[];
  accept?: number;
  contentFormat?: number;
  payload?: Uint8Array;
  /** Milliseconds for the whole exchange after the request was sent first; default 120000. */
  timeoutMs?: number;
  /** Largest block to use for this peer, in bytes; default 1024, Pelion's client wants 512. */
  blockSize?: number;
  /** False sends it non-confirmable: once, without acknowledgement; default true. */
  confirmable?: boolean;
  /**
   * True gives every sending a message ID of its own, for a peer that may have ignored the ones before; it may then carry
   * the request out more than once. Default false.
   */
  renew?: boolean;
}

/** A complete response, blocks put together. */
export interface CoapResponse {
  code: Code;
  contentFormat: number | null;
  payload: Uint8Array;
  locationPath: readonly string[];
  observe: number | null;
  maxAge: number | null;
}

/** Why a request to a peer got no response. */
export type CoapFailureKind = "timeout" | "reset" | "closed" | "cancelled" | "too_large" | "bad_response";

/** Thrown (rejected) by {@link CoapEndpoint.request} and observe when there is no response to hand out. */
export class CoapFailure extends Error {
  constructor(
    readonly kind: CoapFailureKind,
    message: string,
  ) {
    super(message);
    this.name = "CoapFailure";
  }
}

/** A whole request from a peer, blocks put together. */
export interface IncomingRequest {
  readonly peer: Peer;
  readonly method: Method;
  readonly path: readonly string[];
  readonly query: readonly string[];
  readonly confirmable: boolean;
  readonly contentFormat: number | null;
  readonly accept: number | null;
  readonly payload: Uint8Array;
  /** Hex of the token, for logs and timelines. */
  readonly token: string;
  /** 0 asks to observe, 1 to end it (RFC 7641 §2); null when the option is absent. */
  readonly observe: number | null;
}

/** What a handler answers. */
export interface OutgoingResponse {
  code: Code;
  payload?: Uint8Array | string;
  contentFormat?: number;
  locationPath?: readonly string[];
  maxAge?: number;
  /** Runs once the answer was handed to the transport, or cannot be since the connection ended before. */
  sent?: () => void;
  /**
   * Takes the observer that a GET with Observe 0 asks to become; called after the answer was sent.
   * Without it, or with an error code, the request is answered like a plain GET.
   */
  observe?: (observer: Observer) => void;
}

/** What an observer is told (RFC 7641 §4.2). */
export interface Notification {
  /** Default "2.05"; an error code ends the observation. */
  code?: Code;
  payload?: Uint8Array | string;
  contentFormat?: number;
  maxAge?: number;
  /** Default false; every 24 hours one is confirmable all the same (RFC 7641 §4.5). */
  confirmable?: boolean;
}

/** Why an observer is told nothing any longer. */
export type ObserverEnd = "cancelled" | "reset" | "timeout" | "error" | "replaced" | "closed";

/** One peer that observes something of ours (RFC 7641), as the side with the resource sees it. */
export interface Observer {
  readonly peer: Peer;
  /** Hex of the token. */
  readonly token: string;
  readonly path: readonly string[];
  /** Sends a notification; while one is unacknowledged only the latest of those behind it is kept. */
  notify(notification: Notification): void;
  /** Called once. */
  onend: ((reason: ObserverEnd) => void) | null;
}

export type RequestHandler = (request: IncomingRequest) => Promise<OutgoingResponse> | OutgoingResponse;

/** A running observation (RFC 7641) as its client sees it. */
export interface CoapObservation {
  /** The answer to the GET that started it; when its `observe` is null the peer does not take observers. */
  readonly first: CoapResponse;
  /** Hex of the token. */
  readonly token: string;
  /** Cancels: GET with Observe 1 and the same token (RFC 7641 §3.6); resolves when answered or given up. */
  cancel(): Promise<void>;
}

/** An observation known from elsewhere: kept over a restart, or begun by the device itself. */
export type AdoptedObservation = Pick<CoapObservation, "token" | "cancel">;

/**
 * Called for every newer notification; an error code is the last one (RFC 7641 §4.2). A confirmable one is acknowledged
 * when the promise that the handler may return has resolved: what was acknowledged is not sent again, and what the handler
 * rejects is.
 */
export type NotificationHandler = (response: CoapResponse) => unknown;
