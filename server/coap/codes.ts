import type { Code, Method } from "./types";

/** Request codes [RFC7252 §12.1.1, RFC8132 §4]. */
const METHOD_CODES: Readonly<Record<Method, number>> = {
  GET: 1,
  POST: 2,
  PUT: 3,
  DELETE: 4,
  FETCH: 5,
  PATCH: 6,
  iPATCH: 7,
};

const METHODS = new Map<number, Method>(
  Object.entries(METHOD_CODES).map(([method, code]) => [code, method as Method]),
);

const TEXTS: readonly Code[] = Array.from(
  { length: 256 },
  (_, byte) => `${byte >> 5}.${String(byte & 0x1f).padStart(2, "0")}` as Code,
);

const BYTES = new Map<string, number>(TEXTS.map((text, byte) => [text, byte]));

export const EMPTY_CODE = 0;

/** Signalling codes of reliable transports [RFC8323 §5]. */
export const Signal = { CSM: 0xe1, PING: 0xe2, PONG: 0xe3, RELEASE: 0xe4, ABORT: 0xe5 } as const;

/** The code byte of a method. */
export function methodCode(method: Method): number {
  return METHOD_CODES[method];
}

/** The method of a request code, or null for one that is not registered. */
export function methodOf(code: number): Method | null {
  return METHODS.get(code) ?? null;
}

/** The code byte as people write it, for instance 0x45 as "2.05". */
export function codeText(byte: number): Code {
  return TEXTS[byte & 0xff]!;
}

/** The byte of a written code, or null when it is not one. */
export function codeByte(text: Code): number | null {
  return BYTES.get(text) ?? null;
}

/** 0 request or empty, 2 success, 4 client error, 5 server error, 7 signal. */
export function codeClass(byte: number): number {
  return byte >> 5;
}
