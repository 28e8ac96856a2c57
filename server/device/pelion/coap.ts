import { randomBytes } from "node:crypto";
import type { Clock, Timer } from "@/server/clock";
import {
  CoapFailure,
  type Code,
  codeByte,
  codeText,
  decodeMessage,
  encodeMessage,
  Malformed,
  type Message,
  type Method,
  OptionNumber,
  retransmissionWaits,
  Type,
} from "@/server/coap";
import { methodCode, methodOf } from "@/server/coap/codes";
import {
  type Block,
  blockBytes,
  blockOption,
  type CoapOption,
  findOption,
  readBlock,
  readUint,
  stringOption,
  uintOption,
} from "@/server/coap/options";
import type { Peer } from "@/server/transport";

/** The client's only block size, in bytes and as SZX. */
export const BLOCK_BYTES = 512;
const BLOCK_SZX = 5;
/** Largest body it puts together from blocks. */
const MAX_BODY = 65_535;
/** Three resends, 3 s apart at first: its network has a round trip of 3 s. */
const RETRANSMISSION = { ackTimeoutMs: 3000, ackRandomFactor: 1.5, maxRetransmit: 3, maxLatencyMs: 100_000 };
/** Over TCP it pings after so long without having sent anything. */
export const PING_AFTER_MS = 540_000;
const REMEMBERED = 4;
const REMEMBERED_MS = 300_000;

const EMPTY = new Uint8Array(0);
const CONTINUE = 0x5f;
const INCOMPLETE = 0x88;
const TOO_LARGE = 0x8d;

/** What one process of the client keeps over its connections: message ids, and the last ones it heard. */
export class CoapMemory {
  #messageId = randomBytes(2).readUInt16BE();
  #heard: { port: number; messageId: number; at: number; answer: Uint8Array | null }[] = [];

  constructor(private readonly clock: Clock) {}

  nextMessageId(): number {
    this.#messageId = (this.#messageId + 1) & 0xffff;
    return this.#messageId;
  }

  /**
   * Null for a message that is new. A repeated one gives what was answered to it: an id is told from others by the
   * server's port only, and so one that comes again on another connection within 300 s is never acted on.
   */
  hear(port: number, messageId: number): { answer: Uint8Array | null } | null {
    const now = this.clock.now();
    this.#heard = this.#heard.filter(({ at }) => now - at < REMEMBERED_MS);
    const known = this.#heard.find((one) => one.port === port && one.messageId === messageId);
    if (known) return known;
    this.#heard.push({ port, messageId, at: now, answer: null });
    if (this.#heard.length > REMEMBERED) this.#heard.shift();
    return null;
  }

  answered(port: number, messageId: number, answer: Uint8Array): void {
    const known = this.#heard.find((one) => one.port === port && one.messageId === messageId);
    if (known) known.answer = answer;
  }
}

/** A request of the client. */
export interface PelionRequest {
  method: Method;
  path: readonly string[];
  query?: readonly string[];
  /** Default 0, which it sends without a payload too. */
  contentFormat?: number;
  payload?: Uint8Array;
  /** Asks for blocks of 512 from the start on, as an enrolment does. */
  block2?: boolean;
  /** Sees the answer before anything that came behind it. */
  onresponse?(code: Code): void;
}

export interface PelionResponse {
  code: Code;
  payload: Uint8Array;
  locationPath: readonly string[];
  maxAge: number | null;
}

/** A whole request of the server. */
export interface PelionIncoming {
  method: Method | null;
  path: readonly string[];
  query: readonly string[];
  contentFormat: number | null;
  accept: number | null;
  observe: number | null;
  token: Uint8Array;
  payload: Uint8Array;
}

export interface PelionAnswer {
  code: Code;
  payload?: Uint8Array | string;
  contentFormat?: number;
  observe?: number;
  /** False leaves the token out, as the client does for /.well-known/core. */
  token?: boolean;
}

/** An answer, or one block of it. */
type Part = PelionAnswer & { block?: Block };

/** What became of a confirmable message. */
export type Delivery = "ack" | "reset" | "timeout" | "closed";

/** The ways the client answers a request; a request that is not answered is ignored. */
export interface Responder {
  piggyback(answer: PelionAnswer): void;
  /** An empty acknowledgement; the answer comes later, or never. */
  acknowledge(): void;
  separate(answer: PelionAnswer, done?: (delivery: Delivery) => void): void;
}

export interface PelionCoapOptions {
  clock: Clock;
  random: () => number;
  memory: CoapMemory;
  /** Port of the server. */
  port: number;
  /** Pings when it is quiet; done over TCP only. */
  ping: boolean;
  onrequest(request: PelionIncoming, responder: Responder): void;
  /** A message was not acknowledged or the connection ended: it is of no use any more. */
  onend(reason: string): void;
}

interface Pending {
  request: PelionRequest;
  token: Uint8Array;
  messageId: number;
  /** Block of the body under way. */
  block1: number;
  parts: Uint8Array[];
  resolve(response: PelionResponse): void;
  reject(error: CoapFailure): void;
}

/** CoAP as Pelion's client speaks it on one connection: RFC 7252 messages over any transport, odd forms included. */
export class PelionCoap {
  readonly #outgoing = new Map<number, { timer: Timer; done(delivery: Delivery): void }>();
  readonly #pending = new Map<string, Pending>();
  /** Big answers by path, to be asked for block by block. */
  readonly #downloads = new Map<string, PelionAnswer>();
  #upload: { key: string; parts: Uint8Array[]; next: number } | null = null;
  #ping: Timer | null = null;
  #ended = false;

  constructor(
    private readonly peer: Peer,
    private readonly options: PelionCoapOptions,
  ) {
    peer.onmessage = (message) => this.#receive(message);
    peer.onclose = (reason) => this.#end(reason);
    this.#quiet();
  }

  get ended(): boolean {
    return this.#ended;
  }

  request(request: PelionRequest): Promise<PelionResponse> {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(new CoapFailure("closed", "the connection has ended"));
        return;
      }
      const token = randomBytes(4);
      const pending: Pending = { request, token, messageId: -1, block1: 0, parts: [], resolve, reject };
      this.#pending.set(token.toString("hex"), pending);
      this.#sendBlock(pending, this.#blockwise(request) ? { num: 0, szx: BLOCK_SZX } : null);
    });
  }

  /** Sends a notification about a path (segments joined by slashes). */
  notify(path: string, token: Uint8Array, answer: PelionAnswer, done: (delivery: Delivery) => void): void {
    this.#confirm(codeByte(answer.code) ?? 0, token, this.#body(answer, path), done);
  }

  /** Gives the connection up without a word about the requests on it. */
  close(): void {
    const { peer } = this;
    this.abandon();
    peer.close();
  }

  /** Lets the connection stand and never looks at it again, as a process does that started itself anew. */
  abandon(): void {
    this.#ended = true;
    this.peer.onmessage = null;
    this.peer.onclose = null;
    this.#settle("closed");
  }

  // ---- what goes out

  #blockwise({ payload = EMPTY }: PelionRequest): boolean {
    return payload.length > BLOCK_BYTES;
  }

  #sendBlock(pending: Pending, block: Pick<Block, "num" | "szx"> | null, block2 = 0): void {
    const { request, token } = pending;
    const { payload = EMPTY, query = [], path, contentFormat = 0 } = request;
    // Nearly every message of it has an empty Max-Age, and requests without a payload name a format for it.
    const options: CoapOption[] = [
      ...path.map((segment) => stringOption(OptionNumber.URI_PATH, segment)),
      uintOption(OptionNumber.CONTENT_FORMAT, contentFormat),
      uintOption(OptionNumber.MAX_AGE, 0),
      ...query.map((item) => stringOption(OptionNumber.URI_QUERY, item)),
    ];
    if (request.block2)
      options.push(blockOption(OptionNumber.BLOCK2, { num: block2, more: false, szx: BLOCK_SZX }));
    let body = block2 > 0 ? EMPTY : payload;
    if (block) {
      const size = blockBytes(block.szx);
      const end = (block.num + 1) * size;
      body = payload.subarray(block.num * size, end);
      const more = end <= payload.length;
      options.push(blockOption(OptionNumber.BLOCK1, { ...block, more }));
      if (block.num === 0) options.push(uintOption(OptionNumber.SIZE1, payload.length));
    }
    pending.block1 = block?.num ?? -1;
    const what = `${request.method} /${path.join("/")}`;
    pending.messageId = this.#confirm(
      methodCode(request.method),
      token,
      { options, payload: body },
      (delivery) => {
        if (delivery === "ack") return;
        const failure =
          delivery === "timeout"
            ? new CoapFailure("timeout", `${what} was not answered`)
            : delivery === "reset"
              ? new CoapFailure("reset", `${what} was answered with a reset`)
              : new CoapFailure("closed", "the connection ended");
        this.#finish(pending, () => pending.reject(failure));
      },
    );
  }

  #finish(pending: Pending, then: () => void): void {
    if (this.#pending.delete(Buffer.from(pending.token).toString("hex"))) then();
  }

  #confirm(
    code: number,
    token: Uint8Array,
    { options, payload }: { options: CoapOption[]; payload: Uint8Array },
    done: (delivery: Delivery) => void,
  ): number {
    const messageId = this.options.memory.nextMessageId();
    const bytes = encodeMessage({ type: Type.CON, code, messageId, token, options, payload });
    const waits = retransmissionWaits(RETRANSMISSION, this.options.random);
    const entry = { timer: null as unknown as Timer, done };
    const wait = () => {
      const next = waits.next();
      if (next.done) {
        this.#outgoing.delete(messageId);
        done("timeout");
        this.#end("the server does not answer");
        return;
      }
      entry.timer = this.options.clock.after(next.value, () => {
        // The last wait ends in giving up.
        if (++resends <= RETRANSMISSION.maxRetransmit) this.#send(bytes);
        wait();
      });
    };
    let resends = 0;
    this.#outgoing.set(messageId, entry);
    wait();
    this.#send(bytes);
    return messageId;
  }

  #send(bytes: Uint8Array): void {
    if (this.#ended) return;
    this.peer.send(bytes);
    this.#quiet();
  }

  #quiet(): void {
    if (!this.options.ping) return;
    this.#ping?.cancel();
    this.#ping = this.options.clock.after(PING_AFTER_MS, () =>
      this.#confirm(0, EMPTY, { options: [], payload: EMPTY }, () => {}),
    );
  }

  // ---- what comes in

  #receive(bytes: Uint8Array): void {
    const message = decodeMessage(bytes);
    if (message instanceof Malformed) {
      if (message.type !== null) this.#reset(message.messageId);
      return;
    }
    const { type, code, messageId } = message;
    if (type === Type.CON && code === 0) {
      this.#reset(messageId);
      return;
    }
    if (type === Type.CON || type === Type.NON) {
      const known = this.options.memory.hear(this.options.port, messageId);
      if (known) {
        if (known.answer) this.#send(known.answer);
        return;
      }
    }
    if (type === Type.ACK || type === Type.RST) {
      const sent = this.#outgoing.get(messageId);
      sent?.timer.cancel();
      this.#outgoing.delete(messageId);
      sent?.done(type === Type.RST ? "reset" : "ack");
      if (type === Type.RST || code === 0) return;
    }
    if (code >> 5 === 0) this.#incoming(message);
    // A separate response is taken but never acknowledged.
    else this.#response(message);
  }

  #reset(messageId: number): void {
    this.#send(Uint8Array.of(0x70, 0, messageId >> 8, messageId & 0xff));
  }

  #response(message: Message): void {
    const pending = this.#pending.get(Buffer.from(message.token).toString("hex"));
    if (!pending) return;
    const block1 = optionBlock(message, OptionNumber.BLOCK1);
    if (message.code === CONTINUE && block1) {
      // It goes on behind the block that the server names, in the size that the server names.
      if (block1.num === pending.block1) this.#sendBlock(pending, { num: block1.num + 1, szx: block1.szx });
      return;
    }
    const block2 = optionBlock(message, OptionNumber.BLOCK2);
    if (pending.request.block2 && message.code >> 5 === 2) {
      pending.parts.push(message.payload);
      if (block2?.more) {
        this.#sendBlock(pending, null, block2.num + 1);
        return;
      }
    }
    const payload = pending.parts.length > 0 ? Buffer.concat(pending.parts) : message.payload;
    const maxAge = findOption(message.options, OptionNumber.MAX_AGE);
    pending.request.onresponse?.(codeText(message.code));
    this.#finish(pending, () =>
      pending.resolve({
        code: codeText(message.code),
        // What did not fit one block and came whole is cut, and nobody can use it.
        payload: !block2 && payload.length > BLOCK_BYTES ? EMPTY : payload,
        locationPath: message.options
          .filter((option) => option.number === OptionNumber.LOCATION_PATH)
          .map((option) => Buffer.from(option.value).toString("utf8")),
        maxAge: maxAge && readUint(maxAge, 4),
      }),
    );
  }

  #incoming(message: Message): void {
    const request = readRequest(message);
    const responder = this.#responder(message, request);
    const key = `${request.path.join("/")} ${Buffer.from(request.token).toString("hex")}`;
    const block2 = optionBlock(message, OptionNumber.BLOCK2);
    const download = this.#downloads.get(request.path.join("/"));
    if (block2 && block2.num > 0 && download && request.method === "GET") {
      this.#piggyback(message, { ...download, block: block2 }, null);
      return;
    }
    const block1 = optionBlock(message, OptionNumber.BLOCK1);
    if (!block1) {
      if (request.payload.length > BLOCK_BYTES) this.#hint(message);
      else this.options.onrequest(request, responder);
      return;
    }
    if (block1.szx > BLOCK_SZX) {
      this.#hint(message);
      return;
    }
    if (block1.num === 0) this.#upload = { key, parts: [], next: 0 };
    const upload = this.#upload;
    const size = upload?.parts.reduce((sum, part) => sum + part.length, 0) ?? 0;
    if (!upload || upload.next !== block1.num || size + request.payload.length > MAX_BODY) {
      this.#acknowledge(message, INCOMPLETE, []);
      return;
    }
    upload.parts.push(request.payload);
    upload.next++;
    if (block1.more) {
      this.#acknowledge(message, CONTINUE, [blockOption(OptionNumber.BLOCK1, block1)]);
      return;
    }
    this.#upload = null;
    this.options.onrequest({ ...request, payload: Buffer.concat(upload.parts) }, responder);
  }

  /** Asks for blocks of 512. */
  #hint(message: Message): void {
    this.#acknowledge(message, TOO_LARGE, [
      blockOption(OptionNumber.BLOCK1, { num: 0, more: false, szx: BLOCK_SZX }),
    ]);
  }

  #responder(message: Message, request: PelionIncoming): Responder {
    return {
      piggyback: (answer) => this.#piggyback(message, answer, request.path.join("/")),
      acknowledge: () => {
        // Its empty acknowledgement is five bytes long: a Content-Format of no bytes hangs on.
        const bytes = Uint8Array.of(0x60, 0, message.messageId >> 8, message.messageId & 0xff, 0xc0);
        this.options.memory.answered(this.options.port, message.messageId, bytes);
        this.#send(bytes);
      },
      separate: (answer, done) => {
        this.#confirm(
          codeByte(answer.code) ?? 0,
          message.token,
          this.#body(answer, null),
          done ?? (() => {}),
        );
      },
    };
  }

  #piggyback(message: Message, answer: Part, path: string | null): void {
    const { options, payload } = this.#body(answer, path);
    const token = answer.token === false ? EMPTY : message.token;
    this.#acknowledge(message, codeByte(answer.code) ?? 0, options, payload, token);
  }

  #acknowledge(
    message: Message,
    code: number,
    options: readonly CoapOption[],
    payload: Uint8Array = EMPTY,
    token: Uint8Array = message.token,
  ): void {
    const type = message.type === Type.CON ? Type.ACK : Type.NON;
    const messageId = type === Type.ACK ? message.messageId : this.options.memory.nextMessageId();
    const bytes = encodeMessage({ type, code, messageId, token, options, payload });
    this.options.memory.answered(this.options.port, message.messageId, bytes);
    this.#send(bytes);
  }

  /** Options and payload of an answer; what does not fit one block is kept for whoever asks for the path. */
  #body(answer: Part, path: string | null): { options: CoapOption[]; payload: Uint8Array } {
    const { payload = EMPTY, contentFormat, observe, block } = answer;
    const body = typeof payload === "string" ? Buffer.from(payload) : payload;
    const options: CoapOption[] = [uintOption(OptionNumber.MAX_AGE, 0)];
    if (contentFormat !== undefined) options.push(uintOption(OptionNumber.CONTENT_FORMAT, contentFormat));
    if (observe !== undefined) options.push(uintOption(OptionNumber.OBSERVE, observe));
    if (body.length <= BLOCK_BYTES && !block) return { options, payload: body };
    const { num, szx } = block ?? { num: 0, szx: BLOCK_SZX };
    const end = (num + 1) * blockBytes(szx);
    options.push(blockOption(OptionNumber.BLOCK2, { num, szx, more: end < body.length }));
    options.push(uintOption(OptionNumber.SIZE2, body.length));
    if (path !== null) {
      const { observe: _, ...kept } = answer;
      this.#downloads.set(path, { ...kept, payload: body });
    }
    return { options, payload: body.subarray(num * blockBytes(szx), end) };
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#settle("closed");
    this.peer.onmessage = null;
    this.options.onend(reason);
  }

  #settle(delivery: Delivery): void {
    this.#ping?.cancel();
    for (const [messageId, { timer, done }] of [...this.#outgoing]) {
      timer.cancel();
      this.#outgoing.delete(messageId);
      done(delivery);
    }
    for (const pending of [...this.#pending.values()])
      this.#finish(pending, () => pending.reject(new CoapFailure("closed", "the connection ended")));
  }
}

function optionBlock(message: Message, number: number): Block | null {
  const value = findOption(message.options, number);
  return value && readBlock(value);
}

function readRequest(message: Message): PelionIncoming {
  const texts = (number: number) =>
    message.options
      .filter((option) => option.number === number)
      .map((option) => Buffer.from(option.value).toString("utf8"));
  const uint = (number: number, bytes: number) => {
    const value = findOption(message.options, number);
    return value && readUint(value, bytes);
  };
  return {
    method: methodOf(message.code),
    path: texts(OptionNumber.URI_PATH),
    query: texts(OptionNumber.URI_QUERY),
    contentFormat: uint(OptionNumber.CONTENT_FORMAT, 2),
    accept: uint(OptionNumber.ACCEPT, 2),
    observe: uint(OptionNumber.OBSERVE, 3),
    token: message.token,
    payload: message.payload,
  };
}
