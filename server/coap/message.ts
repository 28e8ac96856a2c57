import { EMPTY_CODE } from "./codes";
import type { CoapOption } from "./options";

/** Message types [RFC7252 §3]. */
export const Type = { CON: 0, NON: 1, ACK: 2, RST: 3 } as const;
export type Type = (typeof Type)[keyof typeof Type];

/** One message; type and id mean nothing over RFC 8323. */
export interface Message {
  readonly type: Type;
  readonly code: number;
  readonly messageId: number;
  readonly token: Uint8Array;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
}

/** Bytes that are no message; `type` is null when not even the header can be believed. */
export class Malformed {
  constructor(
    readonly reason: string,
    readonly type: Type | null = null,
    readonly messageId = 0,
  ) {}
}

export const EMPTY: Uint8Array = new Uint8Array(0);
const NO_OPTIONS: readonly CoapOption[] = [];
const PAYLOAD_MARKER = 0xff;
const MAX_TOKEN = 8;

/** The same bytes as a Buffer, which is what Node slices and writes fastest. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads one datagram [RFC7252 §3]; token and payload are views of it. Never throws. */
export function decodeMessage(bytes: Uint8Array): Message | Malformed {
  if (bytes.length < 4) return new Malformed("shorter than a header");
  const first = bytes[0]!;
  if (first >> 6 !== 1) return new Malformed("unknown version");
  const type = ((first >> 4) & 3) as Type;
  const code = bytes[1]!;
  const messageId = (bytes[2]! << 8) | bytes[3]!;
  const tokenLength = first & 15;
  if (code === EMPTY_CODE) {
    // Pelion's client puts an empty Content-Format behind its empty acknowledgements, so what follows is ignored.
    return { type, code, messageId, token: EMPTY, options: NO_OPTIONS, payload: EMPTY };
  }
  if (tokenLength > MAX_TOKEN) return new Malformed("token longer than 8 bytes", type, messageId);
  const end = 4 + tokenLength;
  if (end > bytes.length) return new Malformed("token cut off", type, messageId);
  const body = decodeBody(bytes, end);
  if (typeof body === "string") return new Malformed(body, type, messageId);
  return {
    type,
    code,
    messageId,
    token: bytes.subarray(4, end),
    options: body.options,
    payload: body.payload,
  };
}

/** Reads options and payload from `at` on; a string says what is wrong with them. */
export function decodeBody(
  bytes: Uint8Array,
  at: number,
): { options: readonly CoapOption[]; payload: Uint8Array } | string {
  const end = bytes.length;
  if (at === end) return { options: NO_OPTIONS, payload: EMPTY };
  const options: CoapOption[] = [];
  let number = 0;
  while (at < end) {
    const head = bytes[at++]!;
    if (head === PAYLOAD_MARKER) {
      if (at === end) return "payload marker without payload";
      return { options, payload: bytes.subarray(at) };
    }
    let delta = head >> 4;
    let length = head & 15;
    if (delta === 15 || length === 15) return "reserved option header";
    if (delta === 13) delta = 13 + bytes[at++]!;
    else if (delta === 14) {
      delta = 269 + ((bytes[at]! << 8) | bytes[at + 1]!);
      at += 2;
    }
    if (length === 13) length = 13 + bytes[at++]!;
    else if (length === 14) {
      length = 269 + ((bytes[at]! << 8) | bytes[at + 1]!);
      at += 2;
    }
    // Reading behind the end gives NaN or a wrong number, and `at` tells.
    if (at + length > end || at > end) return "option cut off";
    number += delta;
    if (number > 0xffff) return "option number above 65535";
    options.push({ number, value: bytes.subarray(at, at + length) });
    at += length;
  }
  return { options, payload: EMPTY };
}

/** Writes one datagram. Throws RangeError on a token or option that cannot be written. */
export function encodeMessage(message: Message): Buffer {
  const { token, payload } = message;
  if (token.length > MAX_TOKEN) throw new RangeError("token longer than 8 bytes");
  const options = sorted(message.options);
  const bytes = Buffer.alloc(4 + token.length + bodyLength(options, payload));
  bytes[0] = 0x40 | (message.type << 4) | token.length;
  bytes[1] = message.code;
  bytes[2] = message.messageId >> 8;
  bytes[3] = message.messageId;
  bytes.set(token, 4);
  writeBody(bytes, 4 + token.length, options, payload);
  return bytes;
}

/** An empty message: acknowledgement, reset or ping [RFC7252 §4.1]. */
export function encodeEmpty(type: Type, messageId: number): Buffer {
  return encodeMessage({
    type,
    code: EMPTY_CODE,
    messageId,
    token: EMPTY,
    options: NO_OPTIONS,
    payload: EMPTY,
  });
}

/** Options in the order of their numbers, repeated ones as they came. */
export function sorted(options: readonly CoapOption[]): readonly CoapOption[] {
  for (let at = 1; at < options.length; at++) {
    if (options[at]!.number < options[at - 1]!.number) return options.toSorted((a, b) => a.number - b.number);
  }
  return options;
}

/** Bytes that {@link writeBody} will write. */
export function bodyLength(options: readonly CoapOption[], payload: Uint8Array): number {
  let length = payload.length === 0 ? 0 : payload.length + 1;
  let previous = 0;
  for (const { number, value } of options) {
    if (value.length > 0xffff + 269) throw new RangeError("option too long");
    length += 1 + extension(number - previous) + extension(value.length) + value.length;
    previous = number;
  }
  return length;
}

export function writeBody(
  bytes: Uint8Array,
  at: number,
  options: readonly CoapOption[],
  payload: Uint8Array,
): void {
  let previous = 0;
  for (const { number, value } of options) {
    const delta = number - previous;
    const length = value.length;
    previous = number;
    bytes[at++] = (nibble(delta) << 4) | nibble(length);
    at = writeExtension(bytes, at, delta);
    at = writeExtension(bytes, at, length);
    for (let from = 0; from < length; from++) bytes[at++] = value[from]!;
  }
  if (payload.length > 0) {
    bytes[at++] = PAYLOAD_MARKER;
    bytes.set(payload, at);
  }
}

function nibble(value: number): number {
  return value < 13 ? value : value < 269 ? 13 : 14;
}

function extension(value: number): number {
  return value < 13 ? 0 : value < 269 ? 1 : 2;
}

function writeExtension(bytes: Uint8Array, at: number, value: number): number {
  if (value < 13) return at;
  if (value < 269) {
    bytes[at] = value - 13;
    return at + 1;
  }
  bytes[at] = (value - 269) >> 8;
  bytes[at + 1] = value - 269;
  return at + 2;
}
