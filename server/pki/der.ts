/** DER, as far as certificates need it [X.690 §8, §10]. */

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8: 0x0c,
  printable: 0x13,
  ia5: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element with its content; parts are concatenated. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : length < 0x10000
          ? [tag, 0x82, length >> 8, length & 0xff]
          : [tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff];
  return Buffer.concat([Buffer.from(head), ...parts]);
}

export const sequence = (...parts: readonly Uint8Array[]) => element(TAG.sequence, ...parts);
export const set = (...parts: readonly Uint8Array[]) => element(TAG.set, ...parts);
export const octetString = (...parts: readonly Uint8Array[]) => element(TAG.octetString, ...parts);
export const boolean = (value: boolean) => element(TAG.boolean, Buffer.of(value ? 0xff : 0));
export const utf8 = (text: string) => element(TAG.utf8, Buffer.from(text, "utf8"));
export const printable = (text: string) => element(TAG.printable, Buffer.from(text, "latin1"));
export const bitString = (bytes: Uint8Array, unused = 0) => element(TAG.bitString, Buffer.of(unused), bytes);
/** Context-specific and constructed, as `[n] EXPLICIT`. */
export const explicit = (n: number, ...parts: readonly Uint8Array[]) => element(0xa0 | n, ...parts);
/** Context-specific and primitive, as `[n] IMPLICIT` of a string type. */
export const implicit = (n: number, content: Uint8Array) => element(0x80 | n, content);

/** A positive integer from big-endian bytes. */
export function integer(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const content = bytes.subarray(start);
  return element(TAG.integer, ((content[0] ?? 0) & 0x80) !== 0 ? Buffer.of(0) : Buffer.alloc(0), content);
}

export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  const bytes: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const base128 = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      base128.unshift((left & 0x7f) | 0x80);
    bytes.push(...base128);
  }
  return element(TAG.oid, Buffer.from(bytes));
}

/** UTCTime until 2049, GeneralizedTime from 2050 [RFC5280 §4.1.2.5]. */
export function time(date: Date): Buffer {
  const digits = `${date
    .toISOString()
    .replace(/\.\d+Z$/, "")
    .replace(/\D/g, "")}Z`;
  return date.getUTCFullYear() < 2050
    ? element(TAG.utcTime, Buffer.from(digits.slice(2), "latin1"))
    : element(TAG.generalizedTime, Buffer.from(digits, "latin1"));
}

/** Bytes that are not the DER that was expected; the message says what and where. */
export class DerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "DerError";
  }
}

/** One element that was read. */
export interface Node {
  readonly tag: number;
  /** The whole element. */
  readonly bytes: Buffer;
  readonly content: Buffer;
}

/** Reads exactly one element. */
export function readElement(bytes: Uint8Array, what = "data"): Node {
  const reader = new Reader(bytes, what);
  const node = reader.next();
  reader.end();
  return node;
}

/** Walks over the elements of one level. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(
    bytes: Uint8Array,
    private readonly what: string,
  ) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get more(): boolean {
    return this.#at < this.#bytes.length;
  }

  /** The tag of the next element, or null at the end. */
  get tag(): number | null {
    return this.#bytes[this.#at] ?? null;
  }

  next(tag?: number, name = this.what): Node {
    const start = this.#at;
    const found = this.#byte(name);
    if ((found & 0x1f) === 0x1f) throw new DerError(`${name}: a tag of more than one byte`);
    if (tag !== undefined && found !== tag)
      throw new DerError(`${name}: expected tag 0x${tag.toString(16)}, found 0x${found.toString(16)}`);
    const length = this.#length(name);
    if (length > this.#bytes.length - this.#at) throw new DerError(`${name}: ends too early`);
    const content = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return { tag: found, content, bytes: this.#bytes.subarray(start, this.#at) };
  }

  /** A level further down. */
  into(tag: number, name: string): Reader {
    return new Reader(this.next(tag, name).content, name);
  }

  /** The next element when it has this tag. */
  optional(tag: number, name: string): Node | null {
    return this.tag === tag ? this.next(tag, name) : null;
  }

  end(): void {
    if (this.more) throw new DerError(`${this.what}: ${this.#bytes.length - this.#at} bytes too many`);
  }

  #byte(name: string): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new DerError(`${name}: ends too early`);
    this.#at++;
    return byte;
  }

  #length(name: string): number {
    const first = this.#byte(name);
    if (first < 0x80) return first;
    const count = first & 0x7f;
    // Definite and shortest form only [X.690 §10.1].
    if (count === 0 || count > 4) throw new DerError(`${name}: a length that DER does not allow`);
    let length = 0;
    for (let n = 0; n < count; n++) length = length * 256 + this.#byte(name);
    if (length < 0x80 || length < 256 ** (count - 1))
      throw new DerError(`${name}: a length that is not the shortest`);
    return length;
  }
}

export function readOid(node: Node): string {
  const { content } = node;
  if (content.length === 0 || (content[content.length - 1] as number) & 0x80)
    throw new DerError("a broken object identifier");
  const arcs: number[] = [];
  let arc = 0;
  for (const byte of content) {
    if (arc > 2 ** 45) throw new DerError("an object identifier with too large a number");
    arc = arc * 128 + (byte & 0x7f);
    if ((byte & 0x80) === 0) {
      arcs.push(arc);
      arc = 0;
    }
  }
  const head = arcs[0] as number;
  const first = Math.min(2, Math.floor(head / 40));
  return [first, head - first * 40, ...arcs.slice(1)].join(".");
}

export function readTime(node: Node, name: string): Date {
  const text = node.content.toString("latin1");
  const [, year, rest] =
    (node.tag === TAG.utcTime
      ? /^(\d{2})(\d{10})Z$/
      : node.tag === TAG.generalizedTime
        ? /^(\d{4})(\d{10})Z$/
        : /$^/
    ).exec(text) ?? [];
  if (year === undefined || rest === undefined) throw new DerError(`${name}: not a time`);
  // [RFC5280 §4.1.2.5.1]: 50 to 99 are of the last century.
  const full = year.length === 4 ? year : Number(year) >= 50 ? `19${year}` : `20${year}`;
  const date = new Date(`${full}-${rest.replace(/^(..)(..)(..)(..)(..)$/, "$1-$2T$3:$4:$5")}Z`);
  if (Number.isNaN(date.getTime())) throw new DerError(`${name}: not a time`);
  return date;
}

/** The text of a string element; a type that nobody uses any more gives its bytes in hex. */
export function readText(node: Node): string {
  switch (node.tag) {
    case TAG.utf8:
      return node.content.toString("utf8");
    case TAG.printable:
    case TAG.ia5:
    case 0x12: // NumericString
    case 0x14: // TeletexString, in practice Latin-1
    case 0x1a: // VisibleString
      return node.content.toString("latin1");
    case 0x1e: {
      // BMPString
      const swapped = Buffer.from(node.content.subarray(0, node.content.length & ~1)).swap16();
      return swapped.toString("utf16le");
    }
    default:
      return `#${node.bytes.toString("hex")}`;
  }
}

export function readBoolean(node: Node): boolean {
  if (node.tag !== TAG.boolean || node.content.length !== 1) throw new DerError("not a boolean");
  return node.content[0] !== 0;
}

/** A small integer that is not negative. */
export function readSmallInteger(node: Node): number {
  const { content } = node;
  if (node.tag !== TAG.integer || content.length < 1 || content.length > 4 || (content[0] as number) & 0x80)
    throw new DerError("not a small positive integer");
  return content.readUIntBE(0, content.length);
}
