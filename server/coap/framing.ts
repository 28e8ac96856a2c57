import { codeClass, Signal } from "./codes";
import {
  bodyLength,
  decodeBody,
  decodeMessage,
  encodeMessage,
  Malformed,
  type Message,
  sorted,
  Type,
  writeBody,
} from "./message";

/**
 * How messages lie on a transport:
 * - `datagram`: one RFC 7252 message per datagram, or per TLS record as Pelion's client does it;
 * - `shim`: RFC 7252 messages in a stream, each behind its length in 4 bytes, as Pelion's client does over plain TCP;
 * - `stream`: RFC 8323.
 */
export type Framing = "datagram" | "shim" | "stream";

const SHIM_HEADER = 4;

/**
 * Tells from the first bytes of a stream how the peer frames: an RFC 8323 peer starts with a CSM
 * [RFC8323 §5.3], Pelion's client with a message or its length. "more" asks for more bytes, null is neither.
 */
export function detectFraming(bytes: Uint8Array, transport: "tcp" | "tls"): Framing | "more" | null {
  if (bytes.length < 2) return "more";
  const length = bytes[0]! >> 4;
  const codeAt = length === 13 ? 2 : length === 14 ? 3 : length === 15 ? 5 : 1;
  if (transport === "tcp" && bytes[0] === 0 && bytes[1] === 0) return "shim";
  // The first message of a client is a request or a ping, so that its code cannot be that of a CSM.
  if (transport === "tls" && length >> 2 === 1 && codeClass(bytes[1]!) === 0) return "datagram";
  if (codeAt >= bytes.length) return "more";
  return bytes[codeAt] === Signal.CSM && (bytes[0]! & 15) <= 8 ? "stream" : null;
}

/** Length of the frame at the start of `bytes`, header included; null when more bytes are needed to tell. */
export type Measure = (bytes: Uint8Array) => number | null;

export const measureStream: Measure = (bytes) => {
  if (bytes.length === 0) return null;
  const token = bytes[0]! & 15;
  const length = bytes[0]! >> 4;
  if (length < 13) return 2 + token + length;
  if (length === 13) return bytes.length < 2 ? null : 3 + token + 13 + bytes[1]!;
  if (length === 14) return bytes.length < 3 ? null : 4 + token + 269 + ((bytes[1]! << 8) | bytes[2]!);
  return bytes.length < 5 ? null : 6 + token + 65805 + asUint32(bytes, 1);
};

export const measureShim: Measure = (bytes) => (bytes.length < 4 ? null : SHIM_HEADER + asUint32(bytes, 0));

function asUint32(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 0x1000000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!);
}

/** Cuts a stream into frames; holds no bytes between whole frames. */
export class FrameReader {
  readonly #measure: Measure;
  readonly #max: number;
  /** Grows by doubling, so that a length in a header alone reserves nothing. */
  #buffer: Uint8Array | null = null;
  #filled = 0;

  constructor(measure: Measure, maxFrame: number) {
    this.#measure = measure;
    this.#max = maxFrame;
  }

  /** Calls `take` with every frame that is complete, until it returns false; false when a frame is too large. */
  push(chunk: Uint8Array, take: (frame: Uint8Array) => boolean): boolean {
    let bytes = chunk;
    if (this.#buffer) {
      this.#append(chunk);
      bytes = this.#buffer.subarray(0, this.#filled);
    }
    let at = 0;
    for (;;) {
      const rest = bytes.subarray(at);
      const length = this.#measure(rest);
      if (length !== null && length > this.#max) return false;
      if (length === null || length > rest.length) {
        this.#keep(rest);
        return true;
      }
      at += length;
      if (!take(rest.subarray(0, length))) {
        this.#keep(bytes.subarray(bytes.length));
        return true;
      }
    }
  }

  #append(chunk: Uint8Array): void {
    const needed = this.#filled + chunk.length;
    if (needed > this.#buffer!.length) {
      const grown = new Uint8Array(Math.max(needed, this.#buffer!.length * 2));
      grown.set(this.#buffer!.subarray(0, this.#filled));
      this.#buffer = grown;
    }
    this.#buffer!.set(chunk, this.#filled);
    this.#filled = needed;
  }

  #keep(rest: Uint8Array): void {
    if (rest.length === 0) {
      this.#buffer = null;
      this.#filled = 0;
    } else if (!this.#buffer || rest.length !== this.#filled) {
      this.#buffer = Uint8Array.from(rest);
      this.#filled = rest.length;
    }
  }
}

/** Reads one RFC 8323 frame as cut by {@link measureStream}. Never throws. */
export function decodeFrame(frame: Uint8Array): Message | Malformed {
  const length = frame[0]! >> 4;
  const tokenLength = frame[0]! & 15;
  const codeAt = length === 13 ? 2 : length === 14 ? 3 : length === 15 ? 5 : 1;
  if (tokenLength > 8) return new Malformed("token longer than 8 bytes");
  const end = codeAt + 1 + tokenLength;
  if (end > frame.length) return new Malformed("frame cut off");
  const body = decodeBody(frame, end);
  if (typeof body === "string") return new Malformed(body);
  return {
    type: Type.CON,
    code: frame[codeAt]!,
    messageId: 0,
    token: frame.subarray(codeAt + 1, end),
    options: body.options,
    payload: body.payload,
  };
}

/** Writes one RFC 8323 frame [RFC8323 §3.2]. */
export function encodeFrame(message: Pick<Message, "code" | "token" | "options" | "payload">): Buffer {
  const { code, token, payload } = message;
  if (token.length > 8) throw new RangeError("token longer than 8 bytes");
  const options = sorted(message.options);
  const length = bodyLength(options, payload);
  const extended = length < 13 ? 0 : length < 269 ? 1 : length < 65805 ? 2 : 4;
  const bytes = Buffer.alloc(2 + extended + token.length + length);
  bytes[0] = ([length, 13, 14, 0, 15][extended]! << 4) | token.length;
  if (extended === 1) bytes[1] = length - 13;
  else if (extended === 2) bytes.writeUInt16BE(length - 269, 1);
  else if (extended === 4) bytes.writeUInt32BE(length - 65805, 1);
  bytes[1 + extended] = code;
  bytes.set(token, 2 + extended);
  writeBody(bytes, 2 + extended + token.length, options, payload);
  return bytes;
}

/** Writes one message behind its length. */
export function encodeShim(message: Message): Buffer {
  const body = encodeMessage(message);
  const bytes = Buffer.alloc(SHIM_HEADER + body.length);
  bytes.writeUInt32BE(body.length, 0);
  bytes.set(body, SHIM_HEADER);
  return bytes;
}

/** Reads one frame as cut by {@link measureShim}. Never throws. */
export function decodeShim(frame: Uint8Array): Message | Malformed {
  return decodeMessage(frame.subarray(SHIM_HEADER));
}
