/** The stateless part of a DTLS server: ClientHello in, HelloVerifyRequest out [RFC6347 §4.2.1]. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../clock";
import { ContentType, HEADER_BYTES, type RecordView } from "./record-layer";

const CLIENT_HELLO = 1;
const HELLO_VERIFY_REQUEST = 3;
const HANDSHAKE_HEADER_BYTES = 12;
const RANDOM_BYTES = 32;
/** First byte of every cipher suite of TLS 1.3 [RFC8446 §B.4]. */
const TLS13_SUITES = 0x13;
const COOKIE_BYTES = 16;
const ROTATE_MS = 5 * 60_000;

/** What is looked at before any state is kept. */
export interface ClientHello {
  /** Tells one handshake of a client from its next, latin1. */
  random: string;
  cookie: Buffer;
}

/** True when the record begins a handshake anew: a ClientHello in the clear. */
export function isClientHello(datagram: Buffer, record: RecordView): boolean {
  return (
    record.type === ContentType.handshake && record.epoch === 0 && datagram[record.fragment] === CLIENT_HELLO
  );
}

/** Reads the first fragment of a ClientHello, which must hold the cookie; null when it is cut or malformed. */
export function readClientHello(datagram: Buffer, record: RecordView): ClientHello | null {
  const { fragment, end } = record;
  let at = fragment + HANDSHAKE_HEADER_BYTES;
  if (at + 2 + RANDOM_BYTES + 1 > end || datagram.readUIntBE(fragment + 6, 3) !== 0) return null;
  at += 2;
  const random = datagram.toString("latin1", at, at + RANDOM_BYTES);
  at += RANDOM_BYTES;
  at += 1 + (datagram[at] as number);
  if (at + 1 > end) return null;
  const length = datagram[at] as number;
  at += 1;
  if (at + length > end) return null;
  return { random, cookie: datagram.subarray(at, at + length) };
}

/**
 * True when a TLS ClientHello (the first bytes of a connection) names no cipher suite of TLS 1.3. Such a client may
 * offer that version all the same, and OpenSSL would take it and find nothing in common.
 */
export function lacksTls13Suites(stream: Buffer): boolean {
  // Record header, handshake header, legacy version and random come before the session id [RFC8446 §4.1.2, §5.1].
  const sessionId = 5 + 4 + 2 + RANDOM_BYTES;
  if (stream.length <= sessionId || stream[5] !== CLIENT_HELLO) return false;
  const suites = sessionId + 1 + (stream[sessionId] as number);
  if (stream.length < suites + 2) return false;
  const end = suites + 2 + stream.readUInt16BE(suites);
  if (stream.length < end) return false;
  for (let at = suites + 2; at + 2 <= end; at += 2) if (stream[at] === TLS13_SUITES) return false;
  return true;
}

/** Makes and checks cookies bound to an address and a ClientHello, under a secret that changes. */
export class CookieJar {
  readonly #clock: Clock;
  #current = randomBytes(32);
  #previous = this.#current;
  #rotateAt: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#rotateAt = clock.now() + ROTATE_MS;
  }

  make(address: string, hello: ClientHello): Buffer {
    this.#rotate();
    return this.#cookie(this.#current, address, hello);
  }

  check(address: string, hello: ClientHello): boolean {
    if (hello.cookie.length !== COOKIE_BYTES) return false;
    this.#rotate();
    if (timingSafeEqual(hello.cookie, this.#cookie(this.#current, address, hello))) return true;
    return timingSafeEqual(hello.cookie, this.#cookie(this.#previous, address, hello));
  }

  #cookie(secret: Buffer, address: string, hello: ClientHello): Buffer {
    return createHmac("sha256", secret)
      .update(`${address}|`)
      .update(hello.random, "latin1")
      .digest()
      .subarray(0, COOKIE_BYTES);
  }

  #rotate(): void {
    if (this.#clock.now() < this.#rotateAt) return;
    this.#previous = this.#current;
    this.#current = randomBytes(32);
    this.#rotateAt = this.#clock.now() + ROTATE_MS;
  }
}

/** The answer to a ClientHello without a valid cookie; it repeats that record's sequence number. */
export function helloVerifyRequest(datagram: Buffer, record: RecordView, cookie: Buffer): Buffer {
  const body = 3 + cookie.length;
  const answer = Buffer.alloc(HEADER_BYTES + HANDSHAKE_HEADER_BYTES + body);
  answer[0] = ContentType.handshake;
  // Version 1.0 whatever is negotiated later [RFC6347 §4.2.1].
  answer.writeUInt16BE(0xfeff, 1);
  datagram.copy(answer, 3, record.start + 3, record.start + 11);
  answer.writeUInt16BE(HANDSHAKE_HEADER_BYTES + body, 11);
  answer[13] = HELLO_VERIFY_REQUEST;
  answer.writeUIntBE(body, 14, 3);
  answer.writeUIntBE(body, 22, 3);
  answer.writeUInt16BE(0xfeff, 25);
  answer[27] = cookie.length;
  cookie.copy(answer, 28);
  return answer;
}

/** A fatal alert in the clear, in answer to a record of the first epoch. */
export function plainAlert(datagram: Buffer, record: RecordView, alert: number): Buffer {
  const answer = Buffer.alloc(HEADER_BYTES + 2);
  answer[0] = ContentType.alert;
  answer.writeUInt16BE(0xfefd, 1);
  datagram.copy(answer, 3, record.start + 3, record.start + 11);
  answer.writeUInt16BE(2, 11);
  answer[13] = 2;
  answer[14] = alert;
  return answer;
}
