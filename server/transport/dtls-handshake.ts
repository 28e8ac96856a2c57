import { ClientCheck, settleAlert } from "./handshake";
import { DATAGRAM_BYTES, type HandshakeParty, type Ssl, type SslContext } from "./openssl";
import {
  type Cids,
  ContentType,
  deriveKeyBlock,
  openRecord,
  parseRecords,
  RecordChannel,
  type RecordView,
  type Suite,
  sealRecord,
  suiteOf,
} from "./record-layer";

const FIRST_TIMEOUT_MS = 1_000;
const MAX_TIMEOUT_MS = 60_000;

/**
 * A DTLS session while OpenSSL has it, from the verified ClientHello to the first application record. Translates
 * tls12_cid records, which OpenSSL does not know, and keeps count of what it wrote so that the record layer can go on.
 */
export class DtlsHandshake {
  readonly ssl: Ssl;
  /** Our epoch and the next sequence number in it. */
  epoch = 0;
  next = 0;
  /** When OpenSSL's timer may have run out. */
  timeoutAt = Number.POSITIVE_INFINITY;
  /** The last alert we sent in the clear. */
  sentAlert: number | null = null;
  #timeoutMs = FIRST_TIMEOUT_MS;
  readonly #server: boolean;
  readonly #party: HandshakeParty & { readonly cids: Cids };
  readonly #keys = new Map<number, { suite: Suite; keys: string }>();

  constructor(context: SslContext, party: HandshakeParty & { readonly cids: Cids }, server: boolean) {
    this.ssl = context.connection(party, server);
    this.ssl.setMtu(DATAGRAM_BYTES);
    this.#party = party;
    this.#server = server;
  }

  /** The epoch of the newest handshake that is complete, 0 before the first. */
  #completeEpoch = 0;

  get #complete(): boolean {
    return this.ssl.established && !this.ssl.renegotiating;
  }

  #keysOf(epoch: number): { suite: Suite; keys: string } | null {
    const known = this.#keys.get(epoch);
    if (known) return known;
    // Secrets are those of the newest handshake: the one under way leads to the next epoch.
    if (epoch !== (this.#complete ? this.epoch : this.#completeEpoch + 1)) return null;
    const secrets = this.ssl.secrets();
    const suite = secrets && suiteOf(secrets.suite);
    if (!secrets || !suite) return null;
    const made = { suite, keys: deriveKeyBlock(suite, secrets).toString("latin1") };
    this.#keys.set(epoch, made);
    return made;
  }

  // OpenSSL starts GCM's explicit nonces at a random 64-bit number and CCM's at the sequence number, so going on with
  // the sequence number repeats none of the few it used.
  /** The record layer that can take over now; null while a handshake is under way, or for a suite it does not know. */
  channel(): RecordChannel | null {
    if (this.ssl.fault || !this.#complete) return null;
    const made = this.#keysOf(this.epoch);
    if (!made) return null;
    return new RecordChannel(made.suite, made.keys, this.#server, this.epoch, this.next, this.#party.cids);
  }

  /** A tls12_cid record as the plain record OpenSSL understands, same epoch and sequence number; null if not authentic. */
  withoutCid(datagram: Buffer, view: RecordView): Buffer | null {
    const made = this.#keysOf(view.epoch);
    const { form } = this.#party.cids;
    const opened = made && openRecord(made.suite, made.keys, !this.#server, datagram, view, form);
    if (!made || !opened) return null;
    const { epoch, sequence } = view;
    return sealRecord(
      made.suite,
      made.keys,
      !this.#server,
      epoch,
      sequence,
      opened.type,
      opened.plaintext,
      null,
    );
  }

  /** What OpenSSL has for the peer, as datagrams: records of one flight together as far as they fit. */
  takeDatagrams(now: number): Buffer[] {
    const output = this.ssl.takeOutput();
    if (!output) return [];
    this.timeoutAt = now + this.#timeoutMs;
    this.sentAlert =
      settleAlert(output, 13, this.#party instanceof ClientCheck ? this.#party.refusal : null) ??
      this.sentAlert;
    const views = parseRecords(output, 0) ?? [];
    for (const { epoch, sequence } of views) {
      if (epoch > this.epoch) {
        this.epoch = epoch;
        this.next = 0;
      }
      if (epoch === this.epoch && sequence >= this.next) this.next = sequence + 1;
    }
    if (this.#complete) this.#completeEpoch = this.epoch;
    if (this.#party.cids.peerCid === "") return pack(output, views);
    const records = views.map((view) => this.#withCid(output, view));
    const translated = Buffer.concat(records);
    let end = 0;
    return pack(
      translated,
      records.map((record) => ({ start: end, end: (end += record.length) })),
    );
  }

  /** Our record under the id the peer asked for [RFC9146 §4]; what OpenSSL made of it never leaves. */
  #withCid(output: Buffer, view: RecordView): Buffer {
    const plain = output.subarray(view.start, view.end);
    if (view.epoch === 0) return plain;
    const made = this.#keysOf(view.epoch);
    const opened = made && openRecord(made.suite, made.keys, this.#server, output, view);
    if (!made || !opened) return plain;
    const { peerCid, form } = this.#party.cids;
    return sealRecord(
      made.suite,
      made.keys,
      this.#server,
      view.epoch,
      view.sequence,
      opened.type,
      opened.plaintext,
      Buffer.from(peerCid, "latin1"),
      form,
    );
  }

  /** Lets OpenSSL send its flight again when that is due. */
  checkTimer(now: number): Buffer[] {
    if (now < this.timeoutAt || this.ssl.fault) return [];
    this.ssl.handleTimeout();
    // Nothing comes out when OpenSSL's own clock is a little behind: the next look will do.
    const before = this.#timeoutMs;
    this.#timeoutMs = Math.min(MAX_TIMEOUT_MS, before * 2);
    const datagrams = this.takeDatagrams(now);
    if (datagrams.length === 0) this.#timeoutMs = before;
    return datagrams;
  }

  free(): void {
    this.ssl.free();
  }
}

/** Who hears of a handshake on the server's side. */
export interface DtlsParty extends HandshakeParty {
  readonly cids: Cids;
}

/** What the listener needs of one handshake; {@link DtlsHandshake} has OpenSSL do it. */
export interface ServerHandshake
  extends Pick<
    DtlsHandshake,
    "sentAlert" | "channel" | "withoutCid" | "takeDatagrams" | "checkTimer" | "free"
  > {
  readonly ssl: Pick<
    Ssl,
    "acceptHello" | "receive" | "send" | "shutdown" | "fault" | "established" | "renegotiating" | "ended"
  >;
}

/** Makes the handshakes of one listener; a simulation puts one of its own in OpenSSL's place. */
export interface ServerHandshakes {
  begin(party: DtlsParty): ServerHandshake;
  free(): void;
}

function pack(bytes: Buffer, records: { start: number; end: number }[]): Buffer[] {
  const datagrams: Buffer[] = [];
  let start = 0;
  let end = 0;
  for (const record of records) {
    if (end > start && record.end - start > DATAGRAM_BYTES) {
      datagrams.push(bytes.subarray(start, end));
      start = record.start;
    }
    end = record.end;
  }
  if (end > start) datagrams.push(bytes.subarray(start, end));
  return datagrams;
}

/** True for records that only a handshake understands. */
export function belongsToHandshake(view: RecordView): boolean {
  return (
    view.type === ContentType.handshake ||
    view.type === ContentType.changeCipherSpec ||
    (view.type === ContentType.alert && view.epoch === 0)
  );
}
