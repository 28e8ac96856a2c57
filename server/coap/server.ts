import { createHash } from "node:crypto";
import type { Timer } from "../clock";
import type { Peer } from "../transport/types";
import { codeByte, codeClass, methodOf } from "./codes";
import { asBuffer, bodyLength, EMPTY, type Message, sorted, Type } from "./message";
import {
  type Block,
  blockBytes,
  blockOption,
  type CoapOption,
  isCritical,
  OptionNumber,
  readBlock,
  readUint,
  SZX_BERT,
  stringOption,
  szxFor,
  uintOption,
} from "./options";
import type { Session } from "./session";
import { tokenKey } from "./tokens";
import type {
  Code,
  IncomingRequest,
  Method,
  Notification,
  Observer,
  ObserverEnd,
  OutgoingResponse,
} from "./types";

/** How long a big answer is kept for its later blocks. */
const DOWNLOAD_MS = 60_000;
/** At least one notification in this time must be confirmable [RFC7641 §4.5]. */
const CONFIRM_MS = 24 * 3_600_000;
const HEADER_ROOM = 32;
const CONTINUE = codeByte("2.31")!;
const INTERNAL_ERROR = codeByte("5.00")!;

/** A message already taken, and what was answered [RFC7252 §4.5]. */
interface Remembered {
  messageId: number;
  token: string;
  /** Of the bytes it came as: what differs in them is another message. */
  checksum: number;
  expiresAt: number;
  reply: Uint8Array | null;
  /** Set while the request is being handled. */
  pending: Reply | null;
}

interface Upload {
  key: string;
  parts: Uint8Array[];
  length: number;
  expiresAt: number;
}

interface Download {
  key: string;
  code: number;
  payload: Uint8Array;
  options: readonly CoapOption[];
  expiresAt: number;
}

/** Our side as the one that answers: deduplication, block-wise bodies, the handler and its observers. */
export class ServerRole {
  #remembered: Remembered[] = [];
  #rememberedBytes = 0;
  #pending = 0;
  #uploads: Upload[] | null = null;
  #downloads: Download[] | null = null;
  observers: Map<string, ObserverEntry> | null = null;
  #sequence = 0;

  constructor(readonly session: Session) {}

  /** The entry of a message that was taken before. */
  remembered(messageId: number, token: string, checksum: number): Remembered | null {
    const now = this.session.shared.clock.now();
    for (let at = this.#remembered.length - 1; at >= 0; at--) {
      const entry = this.#remembered[at]!;
      // A repetition has the same bytes [RFC7252 §4.2]. A client that begins its ids anew (after a reboot, on plain UDP)
      // may come to the same id, and even to the same token, with another request.
      if (
        entry.messageId === messageId &&
        entry.token === token &&
        entry.checksum === checksum &&
        entry.expiresAt > now
      )
        return entry;
    }
    return null;
  }

  remember(
    message: Message,
    token: string,
    checksum: number,
    reply: Uint8Array | null,
    pending: Reply | null = null,
  ): Remembered {
    const { shared } = this.session;
    const lifetime = message.type === Type.CON ? shared.exchangeLifetimeMs : shared.nonLifetimeMs;
    const entry: Remembered = {
      messageId: message.messageId,
      token,
      checksum,
      expiresAt: shared.clock.now() + lifetime,
      reply: null,
      pending,
    };
    this.#remembered.push(entry);
    if (reply) this.keep(entry, reply);
    if (this.#remembered.length > shared.limits.maxRemembered) this.#forgetOldest();
    if (this.#remembered.length === 1) shared.sweepLater(this.session);
    return entry;
  }

  /** Keeps the answer for repetitions. */
  keep(entry: Remembered, reply: Uint8Array): void {
    const { maxRememberedBytes } = this.session.shared.limits;
    this.#rememberedBytes += reply.length - (entry.reply?.length ?? 0);
    entry.reply = reply;
    while (this.#rememberedBytes > maxRememberedBytes && this.#remembered.length > 1) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const oldest = this.#remembered.shift();
    this.#rememberedBytes -= oldest?.reply?.length ?? 0;
    if (oldest) oldest.reply = null;
  }

  /** Lets go of what has expired; true when something is left that will. */
  sweep(now: number): boolean {
    this.#remembered = this.#remembered.filter((entry) => {
      if (entry.expiresAt > now) return true;
      this.#rememberedBytes -= entry.reply?.length ?? 0;
      return false;
    });
    this.#uploads = alive(this.#uploads, now);
    this.#downloads = alive(this.#downloads, now);
    const busy = this.#remembered.length > 0 || this.#uploads !== null || this.#downloads !== null;
    if (!busy && this.#pending === 0 && !this.observers && this.session.server === this)
      this.session.server = null;
    return busy;
  }

  /** A request, or a repetition of one; `checksum` is of the bytes it came as. */
  request(message: Message, checksum: number): void {
    const { session } = this;
    const token = tokenKey(message.token);
    if (session.reliable) {
      if (this.#pending >= session.shared.limits.maxPending) {
        new Reply(this, message).error("5.03", "too many requests at a time");
        return;
      }
      this.#take(message, token, new Reply(this, message));
      return;
    }
    const former = this.remembered(message.messageId, token, checksum);
    if (former) {
      // A repeated non-confirmable request is ignored, a confirmable one answered as before [RFC7252 §4.5].
      if (message.type !== Type.CON) return;
      if (!former.reply) former.pending?.repeated();
      else session.sendRaw(former.reply);
      return;
    }
    // Not remembered, so that its repetition finds room.
    if (this.#pending >= session.shared.limits.maxPending) return;
    const reply = new Reply(this, message);
    reply.entry = this.remember(message, token, checksum, null, reply);
    this.#take(message, token, reply);
  }

  #take(message: Message, token: string, reply: Reply): void {
    const method = methodOf(message.code);
    if (!method) {
      reply.error("4.05", "unknown method");
      return;
    }
    const request = readRequest(this.session.peer, message, method, token);
    if (typeof request === "string") {
      // Not understood and not confirmable: rejected, that is ignored [RFC7252 §5.4.1, §4.3].
      if (message.type === Type.NON && request !== PROXY) {
        reply.drop();
        return;
      }
      reply.error(request === PROXY ? "5.05" : "4.02", request);
      return;
    }
    if (request.invalid) {
      reply.error("4.00", request.invalid);
      return;
    }
    const { block1, block2 } = request;
    if (!this.session.reliable && (block1?.szx === SZX_BERT || block2?.szx === SZX_BERT)) {
      reply.error("4.00", "reserved block size");
      return;
    }
    if (block1 && !this.#collect(request, block1, message.payload, reply)) return;
    if (message.payload.length > this.session.shared.limits.maxPayload) {
      this.#tooLarge(reply, null);
      return;
    }
    if (block2 && block2.num > 0 && !block1) {
      const download = this.#downloads?.find(
        (one) => one.key === request.key && one.expiresAt > this.session.shared.clock.now(),
      );
      if (download) {
        this.#serve(download, block2, reply, []);
        return;
      }
      // A safe request can be handled once more for its later blocks; another must not be.
      if (method !== "GET" && method !== "FETCH") {
        reply.error("4.08", "the answer is no longer kept");
        return;
      }
    }
    this.#handle(request, reply);
  }

  /** Puts a body together; true when it is whole (and in the request), else it was answered. */
  #collect(request: Request, block: Block, payload: Uint8Array, reply: Reply): boolean {
    const { shared } = this.session;
    const size = blockBytes(block.szx);
    const offset = block.num * size;
    const fits = block.szx === SZX_BERT ? payload.length % size === 0 : payload.length === size;
    if (block.more && (!fits || payload.length === 0)) {
      reply.error("4.00", "the payload is not as long as its block says");
      return false;
    }
    reply.block1 = block;
    if (Math.max(offset + payload.length, request.size1 ?? 0) > shared.limits.maxPayload) {
      this.#uploads = without(this.#uploads, request.key);
      this.#tooLarge(reply, block);
      return false;
    }
    let upload = this.#uploads?.find((one) => one.key === request.key);
    if (block.num === 0) {
      this.#uploads = without(this.#uploads, request.key);
      if (!block.more) return true;
      upload = { key: request.key, parts: [], length: 0, expiresAt: 0 };
      this.#uploads = bounded(this.#uploads, upload, shared.limits.maxTransfers);
      shared.sweepLater(this.session);
    }
    if (!upload || upload.length !== offset) {
      this.#uploads = without(this.#uploads, request.key);
      reply.block1 = null;
      reply.error("4.08", "a block before this one is missing");
      return false;
    }
    upload.parts.push(Uint8Array.from(payload));
    upload.length += payload.length;
    upload.expiresAt = shared.clock.now() + shared.exchangeLifetimeMs;
    if (block.more) {
      reply.send(CONTINUE, [], EMPTY);
      return false;
    }
    this.#uploads = without(this.#uploads, request.key);
    request.payload = Buffer.concat(upload.parts, upload.length);
    return true;
  }

  #tooLarge(reply: Reply, block: Block | null): void {
    reply.block1 = block && { ...block, more: false };
    const max = this.session.shared.limits.maxPayload;
    reply.send(codeByte("4.13")!, [uintOption(OptionNumber.SIZE1, max)], Buffer.from(`at most ${max} bytes`));
  }

  #handle(request: Request, reply: Reply): void {
    // GET with Observe 1 ends the observation with this token [RFC7641 §3.6].
    if (request.observe === 1) this.observers?.get(request.token)?.end("cancelled");
    let answer: Promise<OutgoingResponse> | OutgoingResponse;
    try {
      answer = this.session.shared.handler(request);
    } catch (error) {
      this.#failed(error, reply);
      return;
    }
    if (!(answer instanceof Promise)) {
      this.#answer(request, answer, reply);
      return;
    }
    this.#pending++;
    reply.wait();
    answer.then(
      (response) => {
        this.#pending--;
        this.#answer(request, response, reply);
      },
      (error) => {
        this.#pending--;
        this.#failed(error, reply);
      },
    );
  }

  #failed(error: unknown, reply: Reply): void {
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.session.shared.report(this.session.peer, `a request could not be handled: ${words}`);
    reply.send(INTERNAL_ERROR, [], EMPTY);
  }

  #answer(request: Request, response: OutgoingResponse, reply: Reply): void {
    if (this.session.closed) {
      reply.drop();
      this.#follow(() => response.sent?.());
      return;
    }
    const code = codeByte(response.code);
    if (code === null || codeClass(code) < 2) {
      this.#failed(new Error(`no code: ${response.code}`), reply);
      return;
    }
    const payload = toBytes(response.payload);
    const options = responseOptions(response);
    let observer: ObserverEntry | null = null;
    if (response.observe && request.observe === 0 && codeClass(code) === 2) {
      observer = this.#observer(request);
      if (observer) options.push(uintOption(OptionNumber.OBSERVE, this.nextSequence()));
    }
    try {
      this.respond(request, request.block2, code, options, payload, reply);
    } catch (error) {
      if (reply.done) throw error;
      observer?.end("error");
      this.#failed(error, reply);
      return;
    }
    this.#follow(() => {
      response.sent?.();
      if (observer) response.observe?.(observer);
    });
  }

  #follow(run: () => void): void {
    try {
      run();
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      this.session.shared.report(this.session.peer, `what follows an answer failed: ${words}`);
    }
  }

  /** Sends a whole answer, or its first block. */
  respond(
    request: Pick<Request, "method" | "key">,
    asked: Block | null,
    code: number,
    options: CoapOption[],
    payload: Uint8Array,
    reply: Sender,
  ): void {
    const { session } = this;
    const limit = Math.min(session.blockSize, asked ? blockBytes(asked.szx) : session.blockSize);
    const whole =
      session.reliable && (!asked || asked.szx === SZX_BERT)
        ? bodyLength(sorted(options), payload) + HEADER_ROOM <= session.peerMaxMessage
        : payload.length <= limit;
    if ((whole && !asked?.num) || codeClass(code) !== 2) {
      reply.send(code, options, payload);
      return;
    }
    if (request.method === "GET" && !whole)
      options.push({ number: OptionNumber.ETAG, value: tagOf(payload) });
    const download = {
      key: request.key,
      code,
      payload,
      options: options.filter((option) => option.number !== OptionNumber.OBSERVE),
      expiresAt: session.shared.clock.now() + DOWNLOAD_MS,
    };
    if (!whole) {
      this.#downloads = bounded(
        without(this.#downloads, download.key),
        download,
        session.shared.limits.maxTransfers,
      );
      session.shared.sweepLater(session);
    }
    const observe = options.filter((option) => option.number === OptionNumber.OBSERVE);
    this.#serve(download, { num: asked?.num ?? 0, more: false, szx: szxFor(limit) }, reply, observe);
  }

  #serve(download: Download, asked: Block, reply: Sender, extra: readonly CoapOption[]): void {
    const szx = Math.min(asked.szx, szxFor(this.session.blockSize));
    const size = blockBytes(szx);
    const offset = asked.num * blockBytes(asked.szx);
    const { payload } = download;
    if (offset >= payload.length && offset > 0) {
      reply.send(codeByte("4.00")!, [], Buffer.from("no such block"));
      return;
    }
    const part = payload.subarray(offset, offset + size);
    const more = offset + part.length < payload.length;
    const options = [
      ...download.options,
      ...extra,
      blockOption(OptionNumber.BLOCK2, { num: offset / size, more, szx }),
    ];
    if (offset === 0) options.push(uintOption(OptionNumber.SIZE2, payload.length));
    download.expiresAt = this.session.shared.clock.now() + DOWNLOAD_MS;
    reply.send(download.code, options, part);
  }

  #observer(request: Request): ObserverEntry | null {
    this.observers?.get(request.token)?.end("replaced");
    if ((this.observers?.size ?? 0) >= this.session.shared.limits.maxObservers) return null;
    const entry = new ObserverEntry(this, request);
    (this.observers ??= new Map()).set(entry.token, entry);
    return entry;
  }

  /** Goes up over all observations of this peer, so that a repeated registration continues it [RFC7641 §4.4]. */
  nextSequence(): number {
    this.#sequence = (this.#sequence + 1) & 0xffffff;
    return this.#sequence;
  }

  /** A reset that belongs to no confirmable message: it may reject a notification [RFC7641 §3.6]. */
  reset(messageId: number): void {
    for (const observer of this.observers?.values() ?? []) {
      if (observer.lastMessageId === messageId) {
        observer.end("reset");
        return;
      }
    }
  }

  /** Tells every observer that it is over; what is remembered stays. */
  end(): void {
    for (const observer of [...(this.observers?.values() ?? [])]) observer.end("closed");
    this.#uploads = null;
    this.#downloads = null;
  }

  begun(): void {
    this.#pending++;
  }

  done(): void {
    this.#pending--;
  }
}

/** Somewhere an answer or notification can be sent to. */
interface Sender {
  send(code: number, options: CoapOption[], payload: Uint8Array): void;
}

/** The way back for one request. */
class Reply implements Sender {
  entry: Remembered | null = null;
  /** Block1 to be confirmed in the answer. */
  block1: Block | null = null;
  done = false;
  #acknowledged = false;
  #timer: Timer | null = null;

  constructor(
    private readonly role: ServerRole,
    private readonly message: Message,
  ) {}

  /** The handler takes its time: acknowledge when it takes too long [RFC7252 §5.2.2]. */
  wait(): void {
    const { session } = this.role;
    if (
      session.reliable ||
      this.message.type !== Type.CON ||
      session.piggybackMs === Number.POSITIVE_INFINITY
    )
      return;
    this.#timer = session.shared.clock.after(session.piggybackMs, () => this.#acknowledge());
  }

  /** The peer asks again before there is an answer. */
  repeated(): void {
    if (this.role.session.piggybackMs !== Number.POSITIVE_INFINITY) this.#acknowledge();
  }

  #acknowledge(): void {
    if (this.#acknowledged || this.done) return;
    this.#acknowledged = true;
    this.#timer?.cancel();
    const bytes = this.role.session.sendEmpty(Type.ACK, this.message.messageId);
    if (this.entry) this.role.keep(this.entry, bytes);
  }

  error(code: Code, words: string): void {
    this.send(codeByte(code)!, [], Buffer.from(words));
  }

  drop(): void {
    this.done = true;
    this.#timer?.cancel();
    if (this.entry) this.entry.pending = null;
  }

  send(code: number, options: CoapOption[], payload: Uint8Array): void {
    const { session } = this.role;
    const { token, messageId, type } = this.message;
    if (this.block1) options.push(blockOption(OptionNumber.BLOCK1, this.block1));
    if (this.#acknowledged) {
      this.role.begun();
      session.sendConfirmable(code, token, options, payload, () => this.role.done());
    } else if (type === Type.CON) {
      const bytes = session.send(Type.ACK, code, messageId, token, options, payload);
      if (this.entry) this.role.keep(this.entry, bytes);
    } else {
      // A non-confirmable request gets a non-confirmable answer [RFC7252 §5.2.3].
      session.send(Type.NON, code, session.nextMessageId(), token, options, payload);
    }
    this.drop();
  }
}

class ObserverEntry implements Observer {
  readonly token: string;
  readonly path: readonly string[];
  onend: ((reason: ObserverEnd) => void) | null = null;
  lastMessageId = -1;
  readonly #tokenBytes: Uint8Array;
  readonly #request: Pick<Request, "method" | "key">;
  #ended = false;
  #unacknowledged = false;
  #waiting: Notification | null = null;
  #confirmedAt: number;

  constructor(
    private readonly role: ServerRole,
    request: Request,
  ) {
    this.token = request.token;
    this.path = request.path;
    this.#tokenBytes = Uint8Array.from(Buffer.from(request.token, "hex"));
    this.#request = { method: request.method, key: request.key };
    this.#confirmedAt = role.session.shared.clock.now();
  }

  get peer(): Peer {
    return this.role.session.peer;
  }

  notify(notification: Notification): void {
    if (this.#ended) return;
    if (this.#unacknowledged) {
      // While one is under way only the newest state counts [RFC7641 §4.5.2].
      this.#waiting = notification;
      return;
    }
    const { session } = this.role;
    const code = codeByte(notification.code ?? "2.05");
    if (code === null) throw new RangeError(`no code: ${notification.code}`);
    const now = session.shared.clock.now();
    const success = codeClass(code) === 2;
    const confirmable = notification.confirmable === true || now - this.#confirmedAt >= CONFIRM_MS;
    const options = responseOptions(notification);
    // An error notification carries no Observe and is the last [RFC7641 §4.2].
    if (success) options.push(uintOption(OptionNumber.OBSERVE, this.role.nextSequence()));
    this.role.respond(this.#request, null, code, options, toBytes(notification.payload), {
      send: (sentCode, sentOptions, payload) => this.#send(confirmable, sentCode, sentOptions, payload),
    });
    if (!success) this.end("error");
  }

  #send(confirmable: boolean, code: number, options: readonly CoapOption[], payload: Uint8Array): void {
    const { session } = this.role;
    if (!confirmable && !session.reliable) {
      this.lastMessageId = session.nextMessageId();
      session.send(Type.NON, code, this.lastMessageId, this.#tokenBytes, options, payload);
      return;
    }
    this.#unacknowledged = true;
    session.sendConfirmable(code, this.#tokenBytes, options, payload, (outcome) => {
      this.#unacknowledged = false;
      if (outcome !== "ack") return this.end(outcome);
      this.#confirmedAt = session.shared.clock.now();
      const waiting = this.#waiting;
      this.#waiting = null;
      if (waiting) this.notify(waiting);
    });
  }

  end(reason: ObserverEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting = null;
    if (this.role.observers?.get(this.token) === this) this.role.observers.delete(this.token);
    if (this.role.observers?.size === 0) this.role.observers = null;
    this.onend?.(reason);
  }
}

/** A request on its way through this room. */
interface Request extends IncomingRequest {
  payload: Uint8Array;
  block1: Block | null;
  block2: Block | null;
  size1: number | null;
  /** The same for all blocks of one body [RFC7959 §2.4]. */
  readonly key: string;
  /** Why the request cannot be served although every option is known. */
  invalid: string | null;
}

const PROXY = "this server is no proxy";

/** Reads the options; a string names one that must be refused [RFC7252 §5.4.1]. */
function readRequest(peer: Peer, message: Message, method: Method, token: string): Request | string {
  const path: string[] = [];
  const query: string[] = [];
  let contentFormat: number | null = null;
  let accept: number | null = null;
  let observe: number | null = null;
  let block1: Block | null = null;
  let block2: Block | null = null;
  let size1: number | null = null;
  let invalid: string | null = null;
  for (const { number, value } of message.options) {
    switch (number) {
      case OptionNumber.URI_PATH:
      case OptionNumber.URI_QUERY: {
        const text = asBuffer(value).toString("utf8");
        if (text.includes("\ufffd") && !asBuffer(value).equals(Buffer.from(text)))
          invalid = "the path or query is not UTF-8";
        (number === OptionNumber.URI_PATH ? path : query).push(text);
        break;
      }
      case OptionNumber.CONTENT_FORMAT:
        contentFormat ??= readUint(value, 2);
        break;
      case OptionNumber.ACCEPT:
        accept = readUint(value, 2);
        if (accept === null) return "Accept is too long";
        break;
      case OptionNumber.OBSERVE:
        observe = readUint(value, 3);
        break;
      case OptionNumber.BLOCK1:
        block1 = readBlock(value);
        if (!block1) return "Block1 is too long";
        break;
      case OptionNumber.BLOCK2:
        block2 = readBlock(value);
        if (!block2) return "Block2 is too long";
        break;
      case OptionNumber.SIZE1:
        size1 = readUint(value, 4);
        break;
      case OptionNumber.PROXY_URI:
      case OptionNumber.PROXY_SCHEME:
        return PROXY;
      case OptionNumber.URI_HOST:
      case OptionNumber.URI_PORT:
        break;
      default:
        if (isCritical(number)) return `option ${number} is critical and not known`;
    }
  }
  return {
    peer,
    method,
    path,
    query,
    confirmable: message.type === Type.CON,
    contentFormat,
    accept,
    payload: message.payload,
    token,
    observe: method === "GET" || method === "FETCH" ? observe : null,
    block1,
    block2,
    size1,
    invalid,
    get key() {
      return `${method}\0${path.join("/")}\0${query.join("&")}\0${accept ?? ""}`;
    },
  };
}

function responseOptions(response: OutgoingResponse | Notification): CoapOption[] {
  const options: CoapOption[] = [];
  if ("locationPath" in response)
    for (const segment of response.locationPath ?? [])
      options.push(stringOption(OptionNumber.LOCATION_PATH, segment));
  if (response.contentFormat !== undefined)
    options.push(uintOption(OptionNumber.CONTENT_FORMAT, response.contentFormat));
  if (response.maxAge !== undefined) options.push(uintOption(OptionNumber.MAX_AGE, response.maxAge));
  return options;
}

function toBytes(payload: Uint8Array | string | undefined): Uint8Array {
  return payload === undefined ? EMPTY : typeof payload === "string" ? Buffer.from(payload) : payload;
}

function tagOf(payload: Uint8Array): Uint8Array {
  return createHash("sha256").update(payload).digest().subarray(0, 8);
}

function alive<T extends { expiresAt: number }>(items: T[] | null, now: number): T[] | null {
  const left = items?.filter((item) => item.expiresAt > now);
  return left?.length ? left : null;
}

function without<T extends { key: string }>(items: T[] | null, key: string): T[] | null {
  const left = items?.filter((item) => item.key !== key);
  return left?.length ? left : null;
}

/** Adds an item; the oldest make room. */
function bounded<T>(items: T[] | null, item: T, max: number): T[] {
  const all = [...(items ?? []), item];
  return all.length > max ? all.slice(all.length - max) : all;
}
