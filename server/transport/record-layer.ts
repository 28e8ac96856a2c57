/** The DTLS 1.2 record layer for AEAD suites [RFC6347 §4.1, RFC5288, RFC6655, RFC9146]. */
import {
  type CipherCCM,
  type CipherCCMTypes,
  type CipherGCM,
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
  createHmac,
  type DecipherCCM,
  type DecipherGCM,
} from "node:crypto";

/** TLS content types [RFC5246 §6.2.1, RFC9146 §4]. */
export const ContentType = {
  changeCipherSpec: 20,
  alert: 21,
  handshake: 22,
  applicationData: 23,
  tls12Cid: 25,
} as const;

export const DTLS_1_2 = 0xfefd;
const DTLS_1_0 = 0xfeff;
/** Type, version, epoch, sequence number and length; a connection id sits before the length. */
export const HEADER_BYTES = 13;
const EXPLICIT_NONCE_BYTES = 8;
const SALT_BYTES = 4;
const AAD_BYTES = 13;
/** Sequence numbers have 48 bits [RFC6347 §4.1]. */
export const SEQUENCE_END = 2 ** 48;
/** 2^14 of data and what protection may add [RFC5246 §6.2.3]. */
const MAX_CIPHERTEXT = 16_384 + 2048;

/** What a cipher suite means to the record layer. */
export interface Suite {
  readonly id: number;
  readonly name: string;
  readonly cipher: CipherCCMTypes | CipherGCMTypes;
  readonly keyBytes: 16 | 32;
  readonly tagBytes: 8 | 16;
  readonly hash: "sha256" | "sha384";
}

function suite(
  id: number,
  name: string,
  keyBytes: 16 | 32,
  mode: "gcm" | "ccm",
  tagBytes: 8 | 16,
  hash: Suite["hash"],
): Suite {
  return { id, name, cipher: `aes-${keyBytes === 16 ? 128 : 256}-${mode}`, keyBytes, tagBytes, hash };
}

const SUITES = new Map(
  [
    suite(0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256", 16, "gcm", 16, "sha256"),
    suite(0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384", 32, "gcm", 16, "sha384"),
    suite(0xc0ac, "ECDHE-ECDSA-AES128-CCM", 16, "ccm", 16, "sha256"),
    suite(0xc0ad, "ECDHE-ECDSA-AES256-CCM", 32, "ccm", 16, "sha256"),
    suite(0xc0ae, "ECDHE-ECDSA-AES128-CCM8", 16, "ccm", 8, "sha256"),
    suite(0xc0af, "ECDHE-ECDSA-AES256-CCM8", 32, "ccm", 8, "sha256"),
  ].map((entry) => [entry.id, entry]),
);

/** The suite with this IANA number, or null when the record layer does not carry it. */
export function suiteOf(id: number): Suite | null {
  return SUITES.get(id) ?? null;
}

/** TLS 1.2's PRF: P_hash over label and seed [RFC5246 §5]. */
export function prf(
  hash: Suite["hash"],
  secret: Uint8Array,
  label: string,
  seed: Uint8Array,
  length: number,
): Buffer {
  const labelled = Buffer.concat([Buffer.from(label, "latin1"), seed]);
  const blocks: Buffer[] = [];
  let a: Buffer = labelled;
  for (let made = 0; made < length; ) {
    a = createHmac(hash, secret).update(a).digest();
    const block = createHmac(hash, secret).update(a).update(labelled).digest();
    blocks.push(block);
    made += block.length;
  }
  return Buffer.concat(blocks, length);
}

/** Length of a suite's key block: two keys and two salts, no MAC keys [RFC5246 §6.3]. */
export function keyBlockBytes(suite: Suite): number {
  return 2 * (suite.keyBytes + SALT_BYTES);
}

/** The key block of a session: client key, server key, client salt, server salt. */
export function deriveKeyBlock(
  suite: Suite,
  secrets: { master: Uint8Array; clientRandom: Uint8Array; serverRandom: Uint8Array },
): Buffer {
  const seed = Buffer.concat([secrets.serverRandom, secrets.clientRandom]);
  return prf(suite.hash, secrets.master, "key expansion", seed, keyBlockBytes(suite));
}

/** The header of one record and where its parts are in the datagram. */
export interface RecordView {
  type: number;
  epoch: number;
  sequence: number;
  /** Where the record begins, where its connection id and its fragment begin, and where it ends. */
  start: number;
  cidStart: number;
  fragment: number;
  end: number;
}

/**
 * Cuts a datagram into records; null when it does not begin with one. What follows the last whole record is ignored,
 * as [RFC6347 §4.1.2.7] asks of anything invalid. `cidBytes` is the length of the ids we gave out.
 */
export function parseRecords(datagram: Buffer, cidBytes: number): RecordView[] | null {
  const records: RecordView[] = [];
  for (let start = 0; datagram.length - start >= HEADER_BYTES; ) {
    const type = datagram[start] as number;
    const version = datagram.readUInt16BE(start + 1);
    if (type < ContentType.changeCipherSpec || type > ContentType.tls12Cid) break;
    const epoch = datagram.readUInt16BE(start + 3);
    // Version 1.0 is only for hellos before the version is agreed [RFC6347 §4.1].
    if (version !== DTLS_1_2 && (version !== DTLS_1_0 || epoch > 0)) break;
    const cidStart = start + 11;
    const fragment = start + HEADER_BYTES + (type === ContentType.tls12Cid ? cidBytes : 0);
    if (fragment > datagram.length) break;
    const length = datagram.readUInt16BE(fragment - 2);
    const end = fragment + length;
    if (end > datagram.length || length > MAX_CIPHERTEXT) break;
    records.push({
      type,
      epoch,
      sequence: datagram.readUIntBE(start + 5, 6),
      start,
      cidStart,
      fragment,
      end,
    });
    start = end;
  }
  return records.length > 0 ? records : null;
}

/**
 * Which text a record with a connection id follows. Mbed TLS before 3.0, and with it Pelion's client, speaks
 * draft-ietf-tls-dtls-connection-id-05, which has other additional data than [RFC9146].
 */
export type CidForm = "rfc9146" | "draft";

/** The connection ids of a session, latin1; empty where there is none. */
export interface Cids {
  /** What our records carry. */
  peerCid: string;
  /** What the peer's records carry. */
  ourCid: string;
  form: CidForm;
}

const aad = Buffer.allocUnsafeSlow(23 + 255);
const nonce = Buffer.allocUnsafeSlow(SALT_BYTES + EXPLICIT_NONCE_BYTES);
const keyMaterial = Buffer.allocUnsafeSlow(72);

/** Fills the additional data and returns its used part [RFC6347 §4.1.2.1, RFC9146 §5.3]. */
function additionalData(
  type: number,
  epoch: number,
  sequence: number,
  cid: Uint8Array | null,
  form: CidForm,
  length: number,
): Buffer {
  if (cid && form === "draft") {
    // As without an id, with the id and then its length put in before the length of the inner plaintext.
    aad.writeUInt16BE(epoch, 0);
    aad.writeUIntBE(sequence, 2, 6);
    aad[8] = ContentType.tls12Cid;
    aad.writeUInt16BE(DTLS_1_2, 9);
    aad.set(cid, 11);
    aad[11 + cid.length] = cid.length;
    aad.writeUInt16BE(length, 12 + cid.length);
    return aad.subarray(0, 14 + cid.length);
  }
  if (!cid) {
    aad.writeUInt16BE(epoch, 0);
    aad.writeUIntBE(sequence, 2, 6);
    aad[8] = type;
    aad.writeUInt16BE(DTLS_1_2, 9);
    aad.writeUInt16BE(length, 11);
    return aad.subarray(0, AAD_BYTES);
  }
  aad.fill(0xff, 0, 8);
  aad[8] = ContentType.tls12Cid;
  aad[9] = cid.length;
  aad[10] = ContentType.tls12Cid;
  aad.writeUInt16BE(DTLS_1_2, 11);
  aad.writeUInt16BE(epoch, 13);
  aad.writeUIntBE(sequence, 15, 6);
  aad.set(cid, 21);
  aad.writeUInt16BE(length, 21 + cid.length);
  return aad.subarray(0, 23 + cid.length);
}

/** Loads one direction's key and salt from a key block; the salt goes straight into the nonce. */
function loadKey(suite: Suite, keys: string, server: boolean): Buffer {
  keyMaterial.write(keys, "latin1");
  const side = server ? 1 : 0;
  const salt = 2 * suite.keyBytes + side * SALT_BYTES;
  keyMaterial.copy(nonce, 0, salt, salt + SALT_BYTES);
  return keyMaterial.subarray(side * suite.keyBytes, (side + 1) * suite.keyBytes);
}

/** Protects one record. `server` says whose key: the server's or the client's. A non-empty `cid` makes it tls12_cid. */
export function sealRecord(
  suite: Suite,
  keys: string,
  server: boolean,
  epoch: number,
  sequence: number,
  type: number,
  plaintext: Uint8Array,
  cid: Uint8Array | null,
  form: CidForm = "rfc9146",
): Buffer {
  const withCid = cid !== null && cid.length > 0;
  const cidBytes = withCid ? cid.length : 0;
  const inner = plaintext.length + (withCid ? 1 : 0);
  const length = EXPLICIT_NONCE_BYTES + inner + suite.tagBytes;
  const record = Buffer.allocUnsafe(HEADER_BYTES + cidBytes + length);
  record[0] = withCid ? ContentType.tls12Cid : type;
  record.writeUInt16BE(DTLS_1_2, 1);
  record.writeUInt16BE(epoch, 3);
  record.writeUIntBE(sequence, 5, 6);
  if (withCid) record.set(cid, 11);
  record.writeUInt16BE(length, 11 + cidBytes);
  const fragment = HEADER_BYTES + cidBytes;
  // The sequence number is the explicit nonce, unique under its key [RFC5288 §3, RFC6655 §3].
  record.copy(record, fragment, 3, 11);
  const key = loadKey(suite, keys, server);
  record.copy(nonce, SALT_BYTES, 3, 11);
  const cipher = createCipheriv(suite.cipher as CipherGCMTypes, key, nonce, {
    authTagLength: suite.tagBytes,
  }) as CipherGCM | CipherCCM;
  cipher.setAAD(additionalData(type, epoch, sequence, withCid ? cid : null, form, inner), {
    plaintextLength: inner,
  });
  let body: Uint8Array = plaintext;
  if (withCid) {
    // DTLSInnerPlaintext without padding [RFC9146 §4].
    body = Buffer.allocUnsafe(inner);
    body.set(plaintext);
    body[inner - 1] = type;
  }
  cipher.update(body).copy(record, fragment + EXPLICIT_NONCE_BYTES);
  cipher.final();
  cipher.getAuthTag().copy(record, fragment + EXPLICIT_NONCE_BYTES + inner);
  return record;
}

/** What a record held once it proved to be authentic. */
export interface OpenedRecord {
  type: number;
  plaintext: Buffer;
}

/** Opens one record of a datagram; null when it is not authentic. `server` says whose key protected it. */
export function openRecord(
  suite: Suite,
  keys: string,
  server: boolean,
  datagram: Buffer,
  view: RecordView,
  form: CidForm = "rfc9146",
): OpenedRecord | null {
  const body = view.fragment + EXPLICIT_NONCE_BYTES;
  const length = view.end - body - suite.tagBytes;
  if (length < 0) return null;
  const cid = view.type === ContentType.tls12Cid ? datagram.subarray(view.cidStart, view.fragment - 2) : null;
  const key = loadKey(suite, keys, server);
  datagram.copy(nonce, SALT_BYTES, view.fragment, body);
  const decipher = createDecipheriv(suite.cipher as CipherGCMTypes, key, nonce, {
    authTagLength: suite.tagBytes,
  }) as DecipherGCM | DecipherCCM;
  decipher.setAuthTag(datagram.subarray(body + length, view.end));
  decipher.setAAD(additionalData(view.type, view.epoch, view.sequence, cid, form, length), {
    plaintextLength: length,
  });
  let plaintext: Buffer;
  try {
    // CCM authenticates in update, GCM in final.
    plaintext = decipher.update(datagram.subarray(body, body + length));
    decipher.final();
  } catch {
    return null;
  }
  if (!cid) return { type: view.type, plaintext };
  // The real type is the last byte that is not zero [RFC9146 §4].
  let last = plaintext.length - 1;
  while (last >= 0 && plaintext[last] === 0) last--;
  if (last < 0) return null;
  return { type: plaintext[last] as number, plaintext: plaintext.subarray(0, last) };
}

/** Both directions of one epoch of a session: keys, the next sequence number to write, and the replay window. */
export class RecordChannel {
  /** What our records carry for the peer, latin1; empty for plain records. */
  readonly peerCid: string;
  /** The id the peer's records carry, latin1; empty for plain records. */
  readonly ourCid: string;
  readonly cidForm: CidForm;
  /** Next sequence number to write. */
  next: number;
  /** Highest sequence number read, -1 before the first. */
  top = -1;
  // Bit n of the window stands for `top - n` [RFC6347 §4.1.2.6]; two halves stay small integers.
  #low = 0;
  #high = 0;

  constructor(
    readonly suite: Suite,
    /** The key block as latin1: a string is the smallest thing that holds 40 bytes. */
    readonly keys: string,
    readonly server: boolean,
    readonly epoch: number,
    next: number,
    { peerCid, ourCid, form }: Cids,
  ) {
    this.next = next;
    this.peerCid = peerCid;
    this.ourCid = ourCid;
    this.cidForm = form;
  }

  /** Refuses everything up to and with `top`: what was read before is not known one by one. */
  readFrom(top: number): void {
    this.top = top;
    this.#low = -1;
    this.#high = -1;
  }

  /** Protects a message under the next sequence number. */
  seal(type: number, plaintext: Uint8Array): Buffer {
    if (this.next >= SEQUENCE_END) throw new RangeError("the session's sequence numbers are used up");
    const { suite, keys, server, epoch, cidForm } = this;
    const cid = this.peerCid === "" ? null : Buffer.from(this.peerCid, "latin1");
    return sealRecord(suite, keys, server, epoch, this.next++, type, plaintext, cid, cidForm);
  }

  /** Opens a record of this epoch that is authentic and not a replay; null otherwise. */
  open(datagram: Buffer, view: RecordView): OpenedRecord | null {
    if (!this.expects(view)) return null;
    const opened = this.#decrypt(datagram, view);
    if (opened) this.#mark(view.sequence);
    return opened;
  }

  /** True for a record whose header could be that of the peer's next ones. */
  expects(view: RecordView): boolean {
    return this.#fits(view) && !this.#seen(view.sequence);
  }

  /** True for a record that the peer made, whether it was read before or not. */
  madeByPeer(datagram: Buffer, view: RecordView): boolean {
    return this.#fits(view) && this.#decrypt(datagram, view) !== null;
  }

  #fits(view: RecordView): boolean {
    // Once an id is negotiated both forms may not be mixed: plain records would bypass the id [RFC9146 §3].
    return view.epoch === this.epoch && (view.type === ContentType.tls12Cid) === (this.ourCid !== "");
  }

  #decrypt(datagram: Buffer, view: RecordView): OpenedRecord | null {
    return openRecord(this.suite, this.keys, !this.server, datagram, view, this.cidForm);
  }

  #seen(sequence: number): boolean {
    const back = this.top - sequence;
    if (back < 0) return false;
    if (back >= 64) return true;
    return ((back < 32 ? this.#low : this.#high) & (1 << (back & 31))) !== 0;
  }

  #mark(sequence: number): void {
    const ahead = sequence - this.top;
    if (ahead <= 0) {
      const back = -ahead;
      if (back < 32) this.#low |= 1 << back;
      else this.#high |= 1 << (back & 31);
      return;
    }
    if (ahead >= 64) {
      this.#high = 0;
      this.#low = 0;
    } else if (ahead >= 32) {
      this.#high = this.#low << (ahead - 32);
      this.#low = 0;
    } else {
      this.#high = (this.#high << ahead) | (this.#low >>> (32 - ahead));
      this.#low <<= ahead;
    }
    this.#low |= 1;
    this.top = sequence;
  }
}
