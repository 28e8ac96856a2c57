import type { Timer } from "../clock";
import { codeClass, codeText, methodCode } from "./codes";
import { asBuffer, bodyLength, EMPTY, type Message, sorted, Type } from "./message";
import {
  type Block,
  blockBytes,
  blockOption,
  type CoapOption,
  findOption,
  isCritical,
  OptionNumber,
  readBlock,
  readUint,
  stringOption,
  szxFor,
  uintOption,
} from "./options";
import type { Outcome, Session, Transmission } from "./session";
import { randomToken, tokenKey } from "./tokens";
import {
  type AdoptedObservation,
  CoapFailure,
  type CoapFailureKind,
  type CoapObservation,
  type CoapRequest,
  type CoapResponse,
  type NotificationHandler,
} from "./types";

const DEFAULT_TIMEOUT_MS = 120_000;
const DEFAULT_BLOCK = 1024;
const CONTINUE = 0x5f;
const REQUEST_ENTITY_INCOMPLETE = 0x88;
const REQUEST_ENTITY_TOO_LARGE = 0x8d;
/** How often an upload is started over when the peer has lost what it had of it. */
const UPLOAD_RESTARTS = 2;
/** A notification this much later than the last one is newer whatever its number [RFC7641 §3.4]. */
const REORDERING_MS = 128_000;
/** Room for the header and one block option beside what is measured. */
const HEADER_ROOM = 32;

/** Options a response may carry; a critical one beside them makes it unusable [RFC7252 §5.4.1]. */
const KNOWN: ReadonlySet<number> = new Set([OptionNumber.BLOCK1, OptionNumber.BLOCK2]);

/** Our side as the one that asks: the queue, the request under way and the observations of one peer. */
export class ClientRole {
  #queue: Exchange[] = [];
  #current: Exchange | null = null;
  #observations: Map<string, Observation> | null = null;

  constructor(readonly session: Session) {}

  /** Who waits for responses with this token. */
  expects(token: string): "exchange" | "observation" | null {
    if (this.#current?.key === token) return "exchange";
    return this.#observations?.has(token) ? "observation" : null;
  }

  request(request: CoapRequest): Promise<CoapResponse> {
    return new Promise((resolve, reject) =>
      this.#enqueue(new Exchange(this, request, { token: randomToken(), observe: null, resolve, reject })),
    );
  }

  /** Sends one message that nothing is heard of; what would answer it is rejected like everything unasked. */
  tell(request: CoapRequest): void {
    const { session } = this;
    const payload = request.payload ?? EMPTY;
    const size = request.blockSize ?? DEFAULT_BLOCK;
    if (payload.length > size)
      throw new CoapFailure("too_large", `the payload does not fit one message of ${size} bytes`);
    const options = requestOptions(request);
    if (request.contentFormat !== undefined)
      options.push(uintOption(OptionNumber.CONTENT_FORMAT, request.contentFormat));
    try {
      const code = methodCode(request.method);
      session.send(Type.NON, code, session.nextMessageId(), randomToken(), options, payload);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new CoapFailure("too_large", `the request cannot be written: ${error.message}`);
    } finally {
      this.#release();
    }
  }

  observe(request: CoapRequest, handler: NotificationHandler): Promise<CoapObservation> {
    return new Promise((resolve, reject) => {
      const token = randomToken();
      const observation = new Observation(this, token, request, handler);
      this.#enqueue(
        new Exchange(this, request, {
          token,
          observe: 0,
          onfirst: (message) => {
            if (codeClass(message.code) !== 2 || !findOption(message.options, OptionNumber.OBSERVE)) return;
            this.#add(observation);
            observation.fresh(message);
          },
          resolve: (response) => {
            observation.begin(response);
            resolve(observation as CoapObservation);
          },
          reject: (failure) => {
            this.drop(observation.token);
            reject(failure);
          },
        }),
      );
    });
  }

  /** Takes notifications with a token that no request of this session introduced. */
  adopt(token: Buffer, request: CoapRequest | null, handler: NotificationHandler): AdoptedObservation {
    const observation = new Observation(this, token, request, handler);
    this.#add(observation);
    observation.begin(null);
    return observation;
  }

  /** Stops listening without a word; the next notification is answered with a reset. */
  drop(token: string): boolean {
    const dropped = this.#observations?.delete(token) ?? false;
    this.#release();
    return dropped;
  }

  /** Ends an observation at the peer: GET with Observe 1 and the same token [RFC7641 §3.6]. */
  cancel(observation: Observation, token: Buffer, request: CoapRequest): Promise<void> {
    if (!this.drop(observation.token)) return Promise.resolve();
    return new Promise((resolve) =>
      this.session.clientRole().#enqueue(
        new Exchange(this.session.clientRole(), request, {
          token,
          observe: 1,
          resolve: () => resolve(),
          reject: () => resolve(),
        }),
      ),
    );
  }

  /** Fetches what is behind the first block of a notification [RFC7959 §2.6]. */
  continue(request: CoapRequest, first: Message, resolve: (response: CoapResponse) => void): void {
    this.#enqueue(
      new Exchange(this, request, { token: randomToken(), observe: null, first, resolve, reject: () => {} }),
    );
  }

  /** Returns what the acknowledgement has to wait for. */
  response(token: string, message: Message): Promise<void> | undefined {
    const current = this.#current;
    if (current?.key === token) {
      // A notification that crosses the cancellation with its token is not the answer to it.
      if (current.cancels && message.type !== Type.ACK && findOption(message.options, OptionNumber.OBSERVE))
        return undefined;
      // While a big first answer is fetched, notifications with the token of the observation come in between.
      current.receive(message);
      return undefined;
    }
    const observation = this.#observations?.get(token);
    if (codeClass(message.code) !== 2) this.drop(token);
    return observation?.notified(message);
  }

  /** Starts the next request once the one before is done [RFC7252 §4.7, NSTART = 1]. */
  pump(): void {
    if (this.#current || this.session.framing === null) return;
    this.#current = this.#queue.shift() ?? null;
    if (this.#current) this.#current.start();
    else this.#release();
  }

  finished(exchange: Exchange): void {
    if (this.#current !== exchange) return;
    this.#current = null;
    this.pump();
  }

  end(kind: CoapFailureKind, reason: string): void {
    const exchanges = this.#current ? [this.#current, ...this.#queue] : this.#queue;
    this.#current = null;
    this.#queue = [];
    this.#observations = null;
    for (const exchange of exchanges) exchange.fail(kind, reason);
  }

  #enqueue(exchange: Exchange): void {
    if (this.session.closed) {
      exchange.fail("closed", "the connection has ended");
      return;
    }
    if (this.#queue.length >= this.session.shared.limits.maxQueue) {
      exchange.fail("cancelled", "too many requests are waiting for this peer");
      return;
    }
    this.#queue.push(exchange);
    this.pump();
  }

  #add(observation: Observation): void {
    (this.#observations ??= new Map()).set(observation.token, observation);
  }

  /** An idle peer keeps nothing of this role. */
  #release(): void {
    if (this.#observations?.size === 0) this.#observations = null;
    if (!this.#current && this.#queue.length === 0 && !this.#observations && this.session.client === this)
      this.session.client = null;
  }
}

class Observation implements AdoptedObservation {
  first: CoapResponse | null = null;
  readonly token: string;
  #sequence = -1;
  #at = 0;
  /** Notifications that came before the answer was handed out. */
  #held: CoapResponse[] | null = [];
  #arrived = 0;
  #delivered = 0;

  constructor(
    private readonly role: ClientRole,
    private readonly tokenBytes: Buffer,
    private readonly request: CoapRequest | null,
    private readonly handler: NotificationHandler,
  ) {
    this.token = tokenKey(tokenBytes);
  }

  begin(first: CoapResponse | null): void {
    this.first = first;
    // Behind the caller's own continuation, so that it knows the observation before it hears of it.
    queueMicrotask(() =>
      queueMicrotask(() => {
        const held = this.#held ?? [];
        this.#held = null;
        for (const response of held) this.#hand(response)?.catch(() => {});
      }),
    );
  }

  /** Notes number and time of a message, unless it is older than what is known [RFC7641 §3.4]. */
  fresh(message: Message): boolean {
    const value = findOption(message.options, OptionNumber.OBSERVE);
    const sequence = value ? readUint(value, 3) : null;
    const now = this.role.session.shared.clock.now();
    // Reliable transports deliver in order, so the number says nothing there [RFC8323 §7.1].
    if (sequence !== null && this.#sequence >= 0 && !this.role.session.reliable) {
      const ahead = (sequence - this.#sequence) & 0xffffff;
      const newer = (ahead > 0 && ahead < 0x800000) || now > this.#at + REORDERING_MS;
      if (!newer) return false;
    }
    this.#sequence = sequence ?? this.#sequence;
    this.#at = now;
    return true;
  }

  notified(message: Message): Promise<void> | undefined {
    const success = codeClass(message.code) === 2;
    const before = this.#sequence;
    if (success && !this.fresh(message)) return undefined;
    const sequence = this.#sequence;
    const order = ++this.#arrived;
    const deliver = (response: CoapResponse) => {
      if (order < this.#delivered) return undefined;
      this.#delivered = order;
      if (!this.#held) return this.#hand(response);
      this.#held.push(response);
      return undefined;
    };
    const block = findBlock(message, OptionNumber.BLOCK2);
    if (!(success && block?.more && this.request))
      return deliver(toResponse(message, message.payload))?.catch((error: unknown) => {
        // It is not acknowledged, and what is sent again is news.
        if (this.#sequence === sequence) this.#sequence = before;
        throw error;
      });
    this.role.continue(this.request, message, (response) => void deliver(response)?.catch(() => {}));
    return undefined;
  }

  cancel(): Promise<void> {
    if (!this.request) {
      this.role.drop(this.token);
      return Promise.resolve();
    }
    return this.role.cancel(this, this.tokenBytes, this.request);
  }

  #hand(response: CoapResponse): Promise<void> | undefined {
    const failed = (error: unknown) =>
      this.role.session.shared.report(
        this.role.session.peer,
        `a notification could not be handled: ${words(error)}`,
      );
    try {
      const handled = this.handler(response);
      if (!(handled instanceof Promise)) return undefined;
      return handled.catch((error: unknown) => {
        failed(error);
        throw error;
      });
    } catch (error) {
      failed(error);
      return undefined;
    }
  }
}

interface ExchangeOptions {
  token: Buffer;
  observe: 0 | 1 | null;
  /** The first block of an answer whose rest is to be fetched. */
  first?: Message;
  onfirst?: (message: Message) => void;
  resolve: (response: CoapResponse) => void;
  reject: (failure: CoapFailure) => void;
}

/** One request with all its blocks both ways [RFC7959]. */
class Exchange {
  key: string;
  readonly cancels: boolean;
  #token: Buffer;
  #done = false;
  #deadline: Timer | null = null;
  #transmission: Transmission | null = null;
  readonly #body: Uint8Array;
  #blockSize: number;
  #blockwise = false;
  /** Bytes of the body the peer has, and of the block under way. */
  #sent = 0;
  #sending = 0;
  /** First message of the answer and the blocks of it so far. */
  #first: Message | null = null;
  #parts: Uint8Array[] = [];
  #received = 0;
  #restarted = false;
  #uploadRestarts = 0;
  /** Observe of the very first answer, which the ones after a restart do not repeat. */
  #observe: number | null = null;

  constructor(
    private readonly role: ClientRole,
    private readonly request: CoapRequest,
    private readonly options: ExchangeOptions,
  ) {
    this.#token = options.token;
    this.key = tokenKey(options.token);
    this.cancels = options.observe === 1;
    this.#body = request.payload ?? EMPTY;
    this.#blockSize = blockBytes(szxFor(request.blockSize ?? DEFAULT_BLOCK));
  }

  get #session(): Session {
    return this.role.session;
  }

  start(): void {
    const ms = this.request.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#deadline = this.#session.shared.clock.after(ms, () =>
      this.fail("timeout", `no answer within ${Math.round(ms / 1000)} s`),
    );
    if (this.#body.length > this.#session.shared.limits.maxUpload) {
      this.fail("too_large", `the payload is larger than ${this.#session.shared.limits.maxUpload} bytes`);
      return;
    }
    if (this.options.first) this.#take(this.options.first);
    else this.#upload();
  }

  fail(kind: CoapFailureKind, reason: string): void {
    if (this.#finish()) this.options.reject(new CoapFailure(kind, reason));
    this.role.finished(this);
  }

  receive(message: Message): void {
    if (this.#done) return;
    this.#transmission?.stop();
    this.#transmission = null;
    for (const { number } of message.options) {
      if (isCritical(number) && !KNOWN.has(number)) {
        this.fail("bad_response", `the answer has the unknown critical option ${number}`);
        return;
      }
    }
    if (this.#nextUpload(message)) return;
    this.#take(message);
  }

  #finish(): boolean {
    if (this.#done) return false;
    this.#done = true;
    this.#deadline?.cancel();
    this.#transmission?.stop();
    return true;
  }

  #resolve(response: CoapResponse): void {
    if (this.#finish()) this.options.resolve({ ...response, observe: this.#observe });
    this.role.finished(this);
  }

  /** Sends the body, or its next block. */
  #upload(): void {
    const body = this.#body;
    const options = requestOptions(this.request);
    if (this.request.contentFormat !== undefined)
      options.push(uintOption(OptionNumber.CONTENT_FORMAT, this.request.contentFormat));
    if (this.options.observe !== null) options.push(uintOption(OptionNumber.OBSERVE, this.options.observe));
    if (!this.#blockwise && this.#fits(options)) {
      this.#sending = body.length;
      this.#send(options, body);
      return;
    }
    this.#blockwise = true;
    const block = body.subarray(this.#sent, this.#sent + this.#blockSize);
    this.#sending = block.length;
    const num = this.#sent / this.#blockSize;
    const more = this.#sent + block.length < body.length;
    options.push(blockOption(OptionNumber.BLOCK1, { num, more, szx: szxFor(this.#blockSize) }));
    if (this.#sent === 0) options.push(uintOption(OptionNumber.SIZE1, body.length));
    this.#send(options, block);
  }

  /** True when the body needs no blocks. */
  #fits(options: readonly CoapOption[]): boolean {
    if (!this.#session.reliable) return this.#body.length <= this.#blockSize;
    try {
      return bodyLength(sorted(options), this.#body) + HEADER_ROOM <= this.#session.peerMaxMessage;
    } catch {
      return true;
    }
  }

  /** Goes on with the upload after an answer to one block; false when the answer is the final one. */
  #nextUpload(message: Message): boolean {
    const block = findBlock(message, OptionNumber.BLOCK1);
    const size = block ? blockBytes(block.szx) : this.#blockSize;
    if (message.code === REQUEST_ENTITY_TOO_LARGE) {
      // A smaller size in the refusal is an invitation to begin again with it [RFC7959 §2.9.3].
      const current = this.#blockwise ? this.#blockSize : this.#body.length;
      if (!block || size >= current) return false;
      this.#blockwise = true;
      this.#blockSize = size;
      this.#sent = 0;
      this.#upload();
      return true;
    }
    const rest = this.#body.length - this.#sent - this.#sending;
    if (message.code === REQUEST_ENTITY_INCOMPLETE && this.#startsOver(rest === 0)) {
      this.#sent = 0;
      this.#upload();
      return true;
    }
    if (message.code !== CONTINUE && !(rest > 0 && block && codeClass(message.code) === 2)) return false;
    const expected = this.#sent / this.#blockSize;
    if (rest <= 0 || (block && block.num !== expected && block.num * size !== this.#sent)) {
      this.fail("bad_response", "the peer acknowledged a block that was not sent");
      return true;
    }
    this.#sent += this.#sending;
    if (size < this.#blockSize) this.#blockSize = size;
    this.#upload();
    return true;
  }

  /**
   * Whether an upload that the peer has lost part of begins anew [RFC7959 §2.9.2]. A peer without deduplication also says
   * so to a last block that comes twice: it may have carried out the request, which only an idempotent one can bear.
   */
  #startsOver(last: boolean): boolean {
    if (!this.#blockwise || this.#uploadRestarts >= UPLOAD_RESTARTS) return false;
    if (last && (this.request.method === "POST" || this.request.method === "PATCH")) return false;
    this.#uploadRestarts++;
    return true;
  }

  /** Takes an answer or one block of it. */
  #take(message: Message): void {
    const first = this.#first === null;
    if (first) {
      this.#first = message;
      if (!this.#restarted) this.options.onfirst?.(message);
      this.#observe ??= toResponse(message, EMPTY).observe;
    }
    const block = findBlock(message, OptionNumber.BLOCK2);
    if (!block || codeClass(message.code) !== 2 || (first && block.num === 0 && !block.more)) {
      if (first || codeClass(message.code) !== 2) {
        this.#resolve(toResponse(message, message.payload));
        return;
      }
      this.fail("bad_response", "a block of the answer came without its number");
      return;
    }
    if (!first && !sameTag(message, this.#first!)) {
      this.#restart();
      return;
    }
    const size = blockBytes(block.szx);
    const whole = message.payload.length > 0 && message.payload.length % size === 0;
    if (block.num * size !== this.#received || (block.more && !whole)) {
      this.fail("bad_response", "the blocks of the answer do not join");
      return;
    }
    this.#received += message.payload.length;
    if (this.#received > this.#session.shared.limits.maxPayload) {
      this.fail("too_large", `the answer is larger than ${this.#session.shared.limits.maxPayload} bytes`);
      return;
    }
    this.#parts.push(message.payload);
    if (!block.more) {
      this.#resolve(toResponse(this.#first!, Buffer.concat(this.#parts)));
      return;
    }
    this.#download(Math.min(size, this.#blockSize));
  }

  /** Asks for the next block: the same request without Observe and without its body [RFC7959 §2.4, §2.7]. */
  #download(size: number): void {
    // The token of an observation stays with its notifications; other exchanges keep theirs, as Pelion's client expects.
    if (this.options.observe === 0 && this.#token === this.options.token) {
      this.#token = randomToken();
      this.key = tokenKey(this.#token);
    }
    const options = requestOptions(this.request);
    options.push(
      blockOption(OptionNumber.BLOCK2, { num: this.#received / size, more: false, szx: szxFor(size) }),
    );
    this.#send(options, EMPTY);
  }

  /** The resource changed between two blocks; one more try from the start [RFC7959 §2.4]. */
  #restart(): void {
    if (this.#restarted || this.request.method !== "GET") {
      this.fail("bad_response", "the resource changed while it was read");
      return;
    }
    this.#restarted = true;
    this.#first = null;
    this.#parts = [];
    this.#received = 0;
    this.#send(requestOptions(this.request), EMPTY);
  }

  #send(options: readonly CoapOption[], payload: Uint8Array): void {
    const session = this.#session;
    const code = methodCode(this.request.method);
    const settled = (outcome: Outcome) => {
      if (outcome === "reset") this.fail("reset", "the peer rejected the request with a reset");
      else if (outcome === "timeout") this.fail("timeout", "the peer does not acknowledge");
    };
    try {
      if (this.request.confirmable === false && !session.reliable) {
        session.send(Type.NON, code, session.nextMessageId(), this.#token, options, payload);
        return;
      }
      const { renew } = this.request;
      this.#transmission = session.sendConfirmable(code, this.#token, options, payload, settled, renew);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.fail("too_large", `the request cannot be written: ${error.message}`);
    }
  }
}

function requestOptions({ path, query, accept }: CoapRequest): CoapOption[] {
  const options: CoapOption[] = [];
  for (const segment of path) options.push(stringOption(OptionNumber.URI_PATH, segment));
  for (const item of query ?? []) options.push(stringOption(OptionNumber.URI_QUERY, item));
  if (accept !== undefined) options.push(uintOption(OptionNumber.ACCEPT, accept));
  return options;
}

function findBlock(message: Message, number: number): Block | null {
  const value = findOption(message.options, number);
  return value ? readBlock(value) : null;
}

function sameTag(a: Message, b: Message): boolean {
  const left = findOption(a.options, OptionNumber.ETAG);
  const right = findOption(b.options, OptionNumber.ETAG);
  return left && right ? asBuffer(left).equals(right) : left === right;
}

function toResponse(message: Message, payload: Uint8Array): CoapResponse {
  const uint = (number: number, bytes: number) => {
    const value = findOption(message.options, number);
    return value ? readUint(value, bytes) : null;
  };
  return {
    code: codeText(message.code),
    contentFormat: uint(OptionNumber.CONTENT_FORMAT, 2),
    payload,
    locationPath: message.options
      .filter((option) => option.number === OptionNumber.LOCATION_PATH)
      .map((option) => asBuffer(option.value).toString("utf8")),
    observe: uint(OptionNumber.OBSERVE, 3),
    maxAge: uint(OptionNumber.MAX_AGE, 4),
  };
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
