import { crc32 } from "node:zlib";
import type { Clock, Timer } from "../clock";
import type { Peer } from "../transport/types";
import { ClientRole } from "./client";
import { codeClass, EMPTY_CODE, Signal } from "./codes";
import {
  decodeFrame,
  decodeShim,
  detectFraming,
  encodeFrame,
  encodeShim,
  FrameReader,
  type Framing,
  measureShim,
  measureStream,
} from "./framing";
import {
  asBuffer,
  decodeMessage,
  EMPTY,
  encodeEmpty,
  encodeMessage,
  Malformed,
  type Message,
  Type,
} from "./message";
import { type CoapOption, isCritical, readUint, SignalOption, uintOption } from "./options";
import { retransmissionWaits, type TransmissionParameters } from "./parameters";
import { ServerRole } from "./server";
import { tokenKey } from "./tokens";
import type { CoapFailureKind, RequestHandler } from "./types";

/** Bounds per peer; a peer that goes beyond them is refused, never served at the cost of others. */
export interface Limits {
  /** Largest body put together, or answered in blocks, in bytes. */
  maxPayload: number;
  /** Largest body of a request of ours. */
  maxUpload: number;
  /** Requests to a peer that may wait for the one before them. */
  maxQueue: number;
  /** Requests of a peer that may be in the handler or unacknowledged at a time. */
  maxPending: number;
  /** Messages remembered for deduplication, and the bytes of answers kept with them. */
  maxRemembered: number;
  maxRememberedBytes: number;
  /** Block-wise uploads, and big answers kept for block-wise download. */
  maxTransfers: number;
  /** Observers of our resources. */
  maxObservers: number;
}

/** What all sessions of one endpoint share. */
export interface Shared {
  readonly clock: Clock;
  readonly parameters: TransmissionParameters;
  readonly exchangeLifetimeMs: number;
  readonly nonLifetimeMs: number;
  readonly random: () => number;
  handler: RequestHandler;
  readonly limits: Limits;
  report(peer: Peer, message: string): void;
  /** Has {@link ServerRole.sweep} called now and then until it says that nothing is left to expire. */
  sweepLater(session: Session): void;
  closed(session: Session): void;
}

/** How to treat one peer. */
export interface PeerSettings {
  /** Largest block to answer with, in bytes; default 1024, over Pelion's framings 512. */
  blockSize?: number;
  /**
   * How long an answer may take and still be piggybacked on the acknowledgement; default 2000 (PROCESSING_DELAY).
   * Infinity never acknowledges ahead of the answer: what Pelion's client needs and gets over its own framings.
   */
  piggybackMs?: number;
}

export type Outcome = "ack" | "reset" | "timeout";

/** MMS of a peer that has not sent its own [RFC8323 §5.3.1]. */
const DEFAULT_MAX_MESSAGE = 1152;
/** Room for header, token and options beside the payload. */
const OVERHEAD = 2048;
const PELION_BLOCK = 512;
/** Largest TLS record [RFC8446 §5.1]. */
const MAX_RECORD = 16_384;

/** One message that is repeated until it is acknowledged [RFC7252 §4.2]. */
export class Transmission {
  #timer: Timer | null = null;
  readonly #waits: Generator<number>;
  /** More than one when each sending has its own. */
  readonly #messageIds: number[] = [];

  constructor(
    private readonly session: Session,
    /** Hex of the token. */
    readonly token: string,
    /** Sends the message, again from the second time on, and tells its ID. */
    private readonly send: () => number,
    private readonly done: (outcome: Outcome) => void,
  ) {
    this.#waits = retransmissionWaits(session.shared.parameters, session.shared.random);
    this.#send();
    this.#wait();
  }

  settle(outcome: Outcome): void {
    this.stop();
    this.done(outcome);
  }

  stop(): void {
    this.#timer?.cancel();
    for (const messageId of this.#messageIds) this.session.transmissions?.delete(messageId);
    if (this.session.transmissions?.size === 0) this.session.transmissions = null;
  }

  #wait(): void {
    this.#timer = this.session.shared.clock.after(this.#waits.next().value as number, () => this.#elapsed());
  }

  #elapsed(): void {
    const next = this.#waits.next();
    if (next.done) {
      this.settle("timeout");
      return;
    }
    this.#send();
    this.#timer = this.session.shared.clock.after(next.value, () => this.#elapsed());
  }

  #send(): void {
    const messageId = this.send();
    if (this.#messageIds.includes(messageId)) return;
    this.#messageIds.push(messageId);
    (this.session.transmissions ??= new Map()).set(messageId, this);
  }
}

/** Everything this room knows about one peer; what is not in use is null. */
export class Session {
  framing: Framing | null = null;
  closed = false;
  blockSize = 1024;
  piggybackMs: number;
  /** Unacknowledged confirmable messages of ours by message id. */
  transmissions: Map<number, Transmission> | null = null;
  client: ClientRole | null = null;
  server: ServerRole | null = null;
  /** Largest RFC 8323 message it takes, and whether it knows block-wise transfer [RFC8323 §5.3]. */
  peerMaxMessage = DEFAULT_MAX_MESSAGE;
  peerBlockwise = false;
  #nextMessageId: number;
  #reader: FrameReader | null = null;
  /** First bytes of a stream that do not yet tell how it is framed. */
  #undecided: Uint8Array | null = null;

  constructor(
    readonly shared: Shared,
    readonly peer: Peer,
  ) {
    this.#nextMessageId = peer.messageIdSeed & 0xffff;
    this.piggybackMs = shared.parameters.ackTimeoutMs;
    if (peer.transport === "udp" || peer.transport === "dtls") this.framing = "datagram";
  }

  /** True where the transport delivers in order and once: no types, ids or repetition [RFC8323 §2.3]. */
  get reliable(): boolean {
    return this.framing === "stream";
  }

  /** Bytes of one RFC 8323 message of ours, header and options not counted. */
  get maxMessage(): number {
    return this.shared.limits.maxPayload + OVERHEAD;
  }

  settings(settings: PeerSettings): void {
    if (settings.blockSize !== undefined) this.blockSize = settings.blockSize;
    if (settings.piggybackMs !== undefined) this.piggybackMs = settings.piggybackMs;
  }

  /** Speaks first, as the side that opened the connection must [RFC8323 §5.3]. */
  begin(framing: Framing): void {
    this.#decided(framing);
  }

  /** Bytes from the transport. */
  receive(bytes: Uint8Array): void {
    if (this.closed || bytes.length === 0) return;
    if (this.framing === null) {
      const head = this.#undecided ? Buffer.concat([this.#undecided, bytes]) : asBuffer(bytes);
      const framing = detectFraming(head, this.peer.transport as "tcp" | "tls");
      if (framing === "more") {
        this.#undecided = Buffer.from(head);
        return;
      }
      if (framing === null) {
        this.#drop("the connection does not start with a CoAP message");
        return;
      }
      this.#undecided = null;
      this.#decided(framing);
      this.#deframe(head);
    } else this.#deframe(asBuffer(bytes));
  }

  #decided(framing: Framing): void {
    this.framing = framing;
    if (framing === "stream") {
      this.#reader = new FrameReader(measureStream, this.maxMessage);
      this.#signal(Signal.CSM, EMPTY, [
        // Together these also invite BERT blocks, which are understood but not sent [RFC8323 §5.3.2, §6].
        uintOption(SignalOption.MAX_MESSAGE_SIZE, this.maxMessage),
        { number: SignalOption.BLOCK_WISE_TRANSFER, value: EMPTY },
      ]);
    } else if (this.peer.transport === "tcp" || this.peer.transport === "tls") {
      if (framing === "shim") this.#reader = new FrameReader(measureShim, this.maxMessage);
      this.blockSize = Math.min(this.blockSize, PELION_BLOCK);
      this.piggybackMs = Number.POSITIVE_INFINITY;
    }
    this.client?.pump();
  }

  #deframe(bytes: Buffer): void {
    if (this.framing === "datagram") {
      this.#datagram(decodeMessage(bytes), bytes);
      return;
    }
    const fits = this.#reader!.push(bytes, (frame) => {
      if (this.framing === "shim") this.#datagram(decodeShim(frame), frame);
      else this.#frame(decodeFrame(frame));
      return !this.closed;
    });
    if (fits || this.closed) return;
    const reason = `a message is larger than ${this.maxMessage} bytes`;
    if (!this.reliable) {
      this.#drop(reason);
      return;
    }
    this.shared.report(this.peer, reason);
    this.abort(reason);
  }

  /** `bytes` are those the message was read from. */
  #datagram(message: Message | Malformed, bytes: Uint8Array): void {
    if (message instanceof Malformed) {
      this.shared.report(this.peer, `malformed CoAP message: ${message.reason}`);
      // A message that cannot be read is rejected when it is confirmable and else ignored [RFC7252 §4.2, §4.3].
      if (message.type === Type.CON) this.sendEmpty(Type.RST, message.messageId);
      return;
    }
    if (message.code === EMPTY_CODE) {
      this.#empty(message);
      return;
    }
    switch (codeClass(message.code)) {
      case 0:
        if (message.type === Type.CON || message.type === Type.NON)
          this.#server().request(message, crc32(bytes));
        return;
      case 2:
      case 4:
      case 5:
        this.#response(message, bytes);
        return;
      default:
        // Reserved code classes are rejected or ignored [RFC7252 §4.2, §4.3].
        if (message.type === Type.CON) this.sendEmpty(Type.RST, message.messageId);
    }
  }

  #empty(message: Message): void {
    switch (message.type) {
      case Type.CON:
        // A ping is an empty confirmable message, its answer a reset [RFC7252 §4.3].
        this.sendEmpty(Type.RST, message.messageId);
        return;
      case Type.ACK:
        this.transmissions?.get(message.messageId)?.settle("ack");
        return;
      case Type.RST: {
        const transmission = this.transmissions?.get(message.messageId);
        if (transmission) transmission.settle("reset");
        else this.server?.reset(message.messageId);
      }
    }
  }

  #response(message: Message, received: Uint8Array): void {
    const token = tokenKey(message.token);
    if (message.type === Type.ACK) {
      const transmission = this.transmissions?.get(message.messageId);
      // Message id and token of a piggybacked response must both match [RFC7252 §5.3.2].
      if (transmission?.token !== token) return;
      transmission.settle("ack");
      this.client?.response(token, message);
      return;
    }
    if (message.type === Type.RST) return;
    const server = this.#server();
    const checksum = crc32(received);
    const former = server.remembered(message.messageId, token, checksum);
    if (former) {
      if (message.type === Type.CON && former.reply) this.sendRaw(former.reply);
      return;
    }
    const expected = this.client?.expects(token) ?? null;
    const bytes = this.#encode(
      expected ? Type.ACK : Type.RST,
      EMPTY_CODE,
      message.messageId,
      EMPTY,
      [],
      EMPTY,
    );
    // Repeated notifications are told by their number: remembering them would push out requests.
    if (expected === "observation" && codeClass(message.code) === 2) {
      const handled = this.client?.response(token, message);
      if (message.type !== Type.CON) return;
      // What could not be taken is not acknowledged, and so comes again.
      if (handled)
        void handled.then(
          () => this.closed || this.sendRaw(bytes),
          () => {},
        );
      else this.sendRaw(bytes);
      return;
    }
    // A response or notification nobody waits for is rejected, so that an observer we dropped is ended [RFC7641 §3.6].
    if (message.type === Type.CON || !expected) this.sendRaw(bytes);
    server.remember(message, token, checksum, bytes);
    if (expected) this.client?.response(token, message);
  }

  #frame(message: Message | Malformed): void {
    if (message instanceof Malformed) {
      this.shared.report(this.peer, `malformed CoAP message: ${message.reason}`);
      this.abort(message.reason);
      return;
    }
    if (message.code === EMPTY_CODE) return;
    switch (codeClass(message.code)) {
      case 0:
        this.#server().request(message, 0);
        return;
      case 2:
      case 4:
      case 5:
        this.client?.response(tokenKey(message.token), message);
        return;
      case 7:
        this.#signalled(message);
        return;
    }
  }

  #signalled(message: Message): void {
    switch (message.code) {
      case Signal.CSM:
        for (const { number, value } of message.options) {
          if (number === SignalOption.MAX_MESSAGE_SIZE)
            this.peerMaxMessage = readUint(value, 4) ?? DEFAULT_MAX_MESSAGE;
          else if (number === SignalOption.BLOCK_WISE_TRANSFER) this.peerBlockwise = true;
          else if (isCritical(number)) {
            this.abort("unknown critical option in CSM", [uintOption(SignalOption.BAD_CSM_OPTION, number)]);
            return;
          }
        }
        return;
      case Signal.PING:
        this.#signal(
          Signal.PONG,
          message.token,
          message.options.filter((option) => option.number === SignalOption.CUSTODY),
        );
        return;
      case Signal.RELEASE:
        // Nothing new is begun; what is under way fails with the connection [RFC8323 §5.5].
        this.#close("released by the peer");
        return;
      case Signal.ABORT: {
        const words = asBuffer(message.payload).toString("utf8");
        this.#drop(`the peer aborted the connection${words && `: ${words}`}`);
        return;
      }
    }
  }

  #signal(
    code: number,
    token: Uint8Array,
    options: readonly CoapOption[],
    payload: Uint8Array = EMPTY,
  ): void {
    this.sendRaw(encodeFrame({ code, token, options, payload }));
  }

  /** Tells why and closes [RFC8323 §5.6]. */
  abort(reason: string, options: readonly CoapOption[] = []): void {
    if (this.closed) return;
    this.#signal(Signal.ABORT, EMPTY, options, Buffer.from(reason));
    this.#close(reason);
  }

  #drop(reason: string): void {
    this.shared.report(this.peer, reason);
    this.#close(reason);
  }

  #close(reason: string): void {
    this.peer.close();
    this.end(reason);
  }

  #encode(
    type: Type,
    code: number,
    messageId: number,
    token: Uint8Array,
    options: readonly CoapOption[],
    payload: Uint8Array,
  ): Buffer {
    const message: Message = { type, code, messageId, token, options, payload };
    if (this.framing === "stream") return encodeFrame(message);
    return this.framing === "shim" ? encodeShim(message) : encodeMessage(message);
  }

  /** Sends one message and returns its bytes, for sending it again. */
  send(
    type: Type,
    code: number,
    messageId: number,
    token: Uint8Array,
    options: readonly CoapOption[],
    payload: Uint8Array,
  ): Uint8Array {
    const bytes = this.#encode(type, code, messageId, token, options, payload);
    this.sendRaw(bytes);
    return bytes;
  }

  /**
   * Sends a message that `done` hears the outcome of: at once "ack" over RFC 8323. With `renew` each sending has a
   * message ID of its own, and an answer to any of them counts.
   */
  sendConfirmable(
    code: number,
    token: Uint8Array,
    options: readonly CoapOption[],
    payload: Uint8Array,
    done: (outcome: Outcome) => void,
    renew = false,
  ): Transmission | null {
    let messageId = this.nextMessageId();
    let bytes: Uint8Array | null = null;
    const send = () => {
      if (bytes && !renew) this.sendRaw(bytes);
      else {
        if (bytes) messageId = this.nextMessageId();
        bytes = this.send(Type.CON, code, messageId, token, options, payload);
      }
      return messageId;
    };
    if (!this.reliable) return new Transmission(this, tokenKey(token), send, done);
    send();
    done("ack");
    return null;
  }

  sendEmpty(type: Type, messageId: number): Uint8Array {
    if (this.framing === "shim") return this.send(type, EMPTY_CODE, messageId, EMPTY, [], EMPTY);
    const bytes = encodeEmpty(type, messageId);
    this.sendRaw(bytes);
    return bytes;
  }

  sendRaw(bytes: Uint8Array): void {
    if (this.closed) return;
    if (this.peer.transport !== "tls" || bytes.length <= MAX_RECORD) {
      this.peer.send(bytes);
      return;
    }
    for (let at = 0; at < bytes.length; at += MAX_RECORD) this.peer.send(bytes.subarray(at, at + MAX_RECORD));
  }

  /** Ids go up by one from the seed and are never begun anew [RFC7252 §4.4]. */
  nextMessageId(): number {
    let id: number;
    do {
      id = this.#nextMessageId;
      this.#nextMessageId = (id + 1) & 0xffff;
    } while (this.transmissions?.has(id));
    return id;
  }

  clientRole(): ClientRole {
    return (this.client ??= new ClientRole(this));
  }

  #server(): ServerRole {
    return (this.server ??= new ServerRole(this));
  }

  /** Ends what is under way; messages already answered stay remembered against repetition. */
  forget(kind: CoapFailureKind, reason: string): void {
    const client = this.client;
    this.client = null;
    client?.end(kind, reason);
    this.server?.end();
  }

  /** The transport is gone. */
  end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.forget("closed", `the connection ended: ${reason}`);
    for (const transmission of [...(this.transmissions?.values() ?? [])]) transmission.stop();
    this.#reader = null;
    this.#undecided = null;
    this.server = null;
    this.shared.closed(this);
  }
}
