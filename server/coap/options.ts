/** Option numbers this room knows [RFC7252 §12.2, RFC7641 §2, RFC7959 §2.1, RFC8323 §5]. */
export const OptionNumber = {
  URI_HOST: 3,
  ETAG: 4,
  OBSERVE: 6,
  URI_PORT: 7,
  LOCATION_PATH: 8,
  URI_PATH: 11,
  CONTENT_FORMAT: 12,
  MAX_AGE: 14,
  URI_QUERY: 15,
  HOP_LIMIT: 16,
  ACCEPT: 17,
  BLOCK2: 23,
  BLOCK1: 27,
  SIZE2: 28,
  PROXY_URI: 35,
  PROXY_SCHEME: 39,
  SIZE1: 60,
} as const;

/** Options of signalling messages; the numbers depend on the code [RFC8323 §5]. */
export const SignalOption = {
  MAX_MESSAGE_SIZE: 2,
  BLOCK_WISE_TRANSFER: 4,
  CUSTODY: 2,
  BAD_CSM_OPTION: 2,
} as const;

export interface CoapOption {
  readonly number: number;
  readonly value: Uint8Array;
}

const EMPTY = new Uint8Array(0);

/** An option the receiver must understand or refuse [RFC7252 §5.4.1]. */
export function isCritical(number: number): boolean {
  return (number & 1) === 1;
}

/** A uint option: no bytes for 0, no leading zeros [RFC7252 §3.2]. */
export function uintOption(number: number, value: number): CoapOption {
  return { number, value: uintBytes(value) };
}

export function stringOption(number: number, value: string): CoapOption {
  return { number, value: Buffer.from(value) };
}

function uintBytes(value: number): Uint8Array {
  if (value === 0) return EMPTY;
  if (value < 0x100) return Uint8Array.of(value);
  if (value < 0x10000) return Uint8Array.of(value >> 8, value);
  if (value < 0x1000000) return Uint8Array.of(value >> 16, value >> 8, value);
  return Uint8Array.of(value >>> 24, value >> 16, value >> 8, value);
}

/** Reads a uint of at most `bytes` bytes, the empty one being 0; null when it is longer. */
export function readUint(value: Uint8Array, bytes: number): number | null {
  if (value.length > bytes) return null;
  let number = 0;
  for (let at = 0; at < value.length; at++) number = number * 256 + value[at]!;
  return number;
}

/** The first option of that number, or null. */
export function findOption(options: readonly CoapOption[], number: number): Uint8Array | null {
  for (const option of options) if (option.number === number) return option.value;
  return null;
}

/** A block option's value [RFC7959 §2.2]. */
export interface Block {
  num: number;
  more: boolean;
  szx: number;
}

/** SZX 7 stands for blocks of 1024 sent several at a time, over reliable transports only [RFC8323 §6]. */
export const SZX_BERT = 7;

/** Bytes in one block. */
export function blockBytes(szx: number): number {
  return szx === SZX_BERT ? 1024 : 1 << (szx + 4);
}

/** The largest SZX whose blocks are no larger than `bytes`; 16 bytes is the least. */
export function szxFor(bytes: number): number {
  for (let szx = 6; szx > 0; szx--) if (blockBytes(szx) <= bytes) return szx;
  return 0;
}

export function blockOption(number: number, block: Block): CoapOption {
  return uintOption(number, block.num * 16 + (block.more ? 8 : 0) + block.szx);
}

/** Null when the option is longer than three bytes. */
export function readBlock(value: Uint8Array): Block | null {
  const number = readUint(value, 3);
  return number === null ? null : { num: number >>> 4, more: (number & 8) !== 0, szx: number & 7 };
}
