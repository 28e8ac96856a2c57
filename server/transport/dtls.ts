/**
 * DTLS 1.2: OpenSSL makes the handshakes, our record layer carries what comes after them. Shaped like Node's coming
 * `node:dtls` (listen, endpoint, session), so that it can be replaced by it.
 */
import type { Clock } from "../clock";
import { addressKey, bindUdp, type UdpSocket } from "./address";
import { Alert, AlertLevel, alertName, describeFault } from "./alerts";
import {
  type ClientHello,
  CookieJar,
  helloVerifyRequest,
  isClientHello,
  plainAlert,
  readClientHello,
} from "./client-hello";
import {
  belongsToHandshake,
  DtlsHandshake,
  type ServerHandshake,
  type ServerHandshakes,
} from "./dtls-handshake";
import { ClientCheck, ReportLimit } from "./handshake";
import { MovedPeers } from "./moved-peers";
import { MAX_RECORD_DATA, SslContext } from "./openssl";
import { randomId, randomSeed, randomView } from "./random";
import {
  type CidForm,
  type Cids,
  ContentType,
  type OpenedRecord,
  parseRecords,
  type RecordChannel,
  type RecordView,
  SEQUENCE_END,
} from "./record-layer";
import { restoreState, serializeState } from "./session-state";
import { Sweep, sweepInterval } from "./sweep";
import type { SecureListenOptions } from "./tls";
import type {
  Address,
  HandshakeFailure,
  Listener,
  Peer,
  PeerIdentity,
  SessionStore,
  StoredSession,
} from "./types";

/** Options of the DTLS listener. */
export interface DtlsListenOptions extends SecureListenOptions {
  /** Keeps established sessions over restarts; without it they end with the process. */
  store?: SessionStore;
  /** A session that was silent for this long expires, in memory and in the store. */
  sessionTtlMs?: number;
  /** Negotiates connection ids with clients that offer them [RFC9146]. */
  cid?: boolean;
  /** Binds the socket; one of the operating system by default. */
  bind?: typeof bindUdp;
  /** Makes the handshakes; OpenSSL does by default. */
  handshakes?: ServerHandshakes;
}

const DEFAULT_SESSION_TTL_MS = 7 * 24 * 3_600_000;
const DEFAULT_MAX_PEERS = 200_000;
const DEFAULT_MAX_HANDSHAKES = 1_000;
/** Constrained clients wait up to 32 s before they send a flight again. */
const DEFAULT_HANDSHAKE_TIMEOUT_MS = 70_000;
const HANDSHAKE_SWEEP_MS = 500;
/** A peer that says nothing after its handshake has sent its last Finished by then and leaves OpenSSL. */
const LINGER_MS = 65_000;
/** Length of the ids we give out: 64 random bits cannot be guessed in any time that matters. */
const CID_BYTES = 8;
/** Sequence numbers reserved on disk at a time. */
const RESERVE_BLOCK = 1024;
/** The next block is asked for when this many are left. */
const RESERVE_AHEAD = RESERVE_BLOCK / 4;
const MAX_QUEUED = 64;
const EPOCH_SHIFT = 48n;
const NO_MESSAGES: readonly Uint8Array[] = [];

class DtlsCheck extends ClientCheck {
  readonly cids: Cids = { peerCid: "", ourCid: "", form: "rfc9146" };
  ourCid: Buffer | null = null;
  readonly #endpoint: DtlsEndpoint;
  readonly #session: DtlsSession;

  constructor(endpoint: DtlsEndpoint, session: DtlsSession) {
    super(endpoint.options.verify, session.remote);
    this.#endpoint = endpoint;
    this.#session = session;
  }

  oncid(cid: Buffer, form: CidForm): void {
    // Of two offers the first one counts, and a renegotiation changes nothing about it.
    if (this.ourCid && form !== this.cids.form) return;
    this.cids.peerCid = cid.toString("latin1");
    if (this.ourCid) return;
    this.cids.form = form;
    this.ourCid = Buffer.from(randomView(CID_BYTES));
    this.cids.ourCid = this.ourCid.toString("latin1");
    this.#endpoint.byCid.set(this.cids.ourCid, this.#session);
  }
}

/** What a session has only until it leaves OpenSSL. */
interface Opening {
  readonly handshake: ServerHandshake;
  readonly check: DtlsCheck;
  readonly random: string;
  readonly startedAt: number;
  /** Highest sequence number of application records that went through OpenSSL, per the present epoch. */
  readThrough: { epoch: number; top: number };
}

/** How far a session is on disk. */
enum Kept {
  no = 0,
  saving = 1,
  yes = 2,
  reserving = 3,
}

/** One device's DTLS session. Ten thousands of them are idle at a time, so it holds little and no closures. */
class DtlsSession implements Peer {
  readonly transport = "dtls";
  identity: PeerIdentity | null = null;
  closed = false;
  onmessage: ((message: Uint8Array) => void) | null = null;
  onclose: ((reason: string) => void) | null = null;
  /** Set until the record layer takes over. */
  opening: Opening | null = null;
  channel: RecordChannel | null = null;
  /** Sequence numbers below this are on disk as used. */
  reserved = SEQUENCE_END;
  kept: Kept = Kept.no;
  queue: Uint8Array[] | null = null;
  /** False for a stored session that has not been heard of since the restart. */
  announced = true;
  lastSeen: number;
  messageIdBase = 0;

  constructor(
    readonly endpoint: DtlsEndpoint,
    readonly id: string,
    readonly restored: boolean,
    public address: string,
    public port: number,
    lastSeen: number,
  ) {
    this.lastSeen = lastSeen;
  }

  get remote(): Address {
    return { address: this.address, port: this.port };
  }

  /** Each record sent uses at most one message id, so counting both from one place keeps ids from coming back. */
  get messageIdSeed(): number {
    return (this.messageIdBase + (this.channel?.next ?? 0)) & 0xffff;
  }

  send(message: Uint8Array): void {
    this.endpoint.send(this, message);
  }

  close(): void {
    this.endpoint.end(this, "closed", true);
  }
}

class DtlsEndpoint implements Listener {
  readonly transport = "dtls";
  readonly byCid = new Map<string, DtlsSession>();
  readonly #byAddress = new Map<string, DtlsSession>();
  /** Sessions without an id that the record layer carries. */
  readonly #moved: MovedPeers<DtlsSession>;
  readonly #sessions = new Set<DtlsSession>();
  /** Handshakes not complete yet, oldest first. */
  readonly #handshakes = new Map<string, DtlsSession>();
  /** Complete, but not handed over to the record layer yet. */
  readonly #lingering = new Set<DtlsSession>();
  readonly #makes: ServerHandshakes;
  readonly #clock: Clock;
  readonly #cookies: CookieJar;
  readonly #reports: ReportLimit;
  readonly #ttlMs: number;
  readonly #maxPeers: number;
  readonly #maxHandshakes: number;
  readonly #idleSweep: Sweep;
  readonly #handshakeSweep: Sweep;
  readonly #writes = new Set<Promise<void>>();
  #socket!: UdpSocket;
  #open = true;

  constructor(readonly options: DtlsListenOptions) {
    this.#clock = options.clock;
    this.#ttlMs = Math.min(
      options.sessionTtlMs ?? DEFAULT_SESSION_TTL_MS,
      options.idleMs ?? Number.POSITIVE_INFINITY,
    );
    this.#maxPeers = options.maxPeers ?? DEFAULT_MAX_PEERS;
    this.#maxHandshakes = options.maxHandshakes ?? DEFAULT_MAX_HANDSHAKES;
    this.#cookies = new CookieJar(options.clock);
    this.#reports = new ReportLimit(options.clock);
    this.#moved = new MovedPeers(options.clock);
    this.#idleSweep = new Sweep(options.clock, sweepInterval(this.#ttlMs), (now) => this.#dropIdle(now));
    this.#handshakeSweep = new Sweep(options.clock, HANDSHAKE_SWEEP_MS, (now) => this.#checkHandshakes(now));
    this.#makes = options.handshakes ?? opensslHandshakes(options);
  }

  async open(): Promise<this> {
    try {
      for (const stored of (await this.options.store?.load()) ?? []) this.#restore(stored);
      const { bind = bindUdp } = this.options;
      this.#socket = await bind(this.options, (datagram, address, port) =>
        this.#receive(datagram, address, port),
      );
    } catch (error) {
      this.#makes.free();
      throw error;
    }
    this.#idleSweep.start();
    return this;
  }

  get local(): Address {
    return this.#socket.local;
  }

  peers(): Iterable<Peer> {
    return this.#sessions.values();
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#idleSweep.stop();
    this.#handshakeSweep.stop();
    for (const session of this.#handshakes.values()) this.#discard(session);
    for (const session of this.#sessions) {
      // Only a session that nothing can bring back is worth a close_notify.
      if (session.opening) this.end(session, "listener closed", true);
      else this.#forget(session, "listener closed");
    }
    this.#open = false;
    await Promise.allSettled(this.#writes);
    await this.#socket.close();
    this.#makes.free();
  }

  // ---- datagrams in

  #receive(datagram: Buffer, address: string, port: number): void {
    const views = parseRecords(datagram, CID_BYTES);
    if (!views) {
      this.#report(
        address,
        port,
        "The peer sent something that is not DTLS; a plain CoAP client may be set to this port.",
      );
      return;
    }
    const key = addressKey(address, port);
    let from = 0;
    const first = views[0] as RecordView;
    if (isClientHello(datagram, first) && this.#greet(datagram, first, address, port, key)) from = 1;
    // Records in a row for one OpenSSL connection go to it in one piece.
    let run: DtlsSession | null = null;
    let runStart = 0;
    let runEnd = 0;
    for (let index = from; index < views.length; index++) {
      const view = views[index] as RecordView;
      const pending = this.#handshakes.get(key);
      const session = this.#find(datagram, view, key, pending);
      if (
        session?.opening &&
        view.type !== ContentType.tls12Cid &&
        view.type !== ContentType.applicationData
      ) {
        // Under a negotiated id nothing protected may come without it [RFC9146 §3].
        if (view.epoch > 0 && session.opening.check.ourCid) continue;
        if (run !== session) {
          if (run) this.#toOpenssl(run, datagram.subarray(runStart, runEnd));
          run = session;
          runStart = view.start;
        }
        runEnd = view.end;
        continue;
      }
      if (run) this.#toOpenssl(run, datagram.subarray(runStart, runEnd));
      run = null;
      if (!session) {
        if (this.#recognize(datagram, view, address, port, null)) continue;
        if (view.type === ContentType.applicationData || view.type === ContentType.tls12Cid) {
          this.#report(
            address,
            port,
            "The peer uses a session that this server does not know; it must make a new handshake.",
          );
        }
        return;
      }
      this.#record(session, datagram, view, address, port);
    }
    if (run) this.#toOpenssl(run, datagram.subarray(runStart, runEnd));
  }

  #find(
    datagram: Buffer,
    view: RecordView,
    key: string,
    pending: DtlsSession | undefined,
  ): DtlsSession | undefined {
    if (view.type === ContentType.tls12Cid) {
      return this.byCid.get(datagram.toString("latin1", view.cidStart, view.cidStart + CID_BYTES));
    }
    // While a new handshake is under way the old session keeps its application records and alerts.
    if (pending && belongsToHandshake(view)) return pending;
    return this.#byAddress.get(key) ?? (view.type === ContentType.applicationData ? undefined : pending);
  }

  /** Takes a ClientHello in the clear; false when it belongs to a handshake under way, as a later fragment does. */
  #greet(datagram: Buffer, view: RecordView, address: string, port: number, key: string): boolean {
    const hello = readClientHello(datagram, view);
    if (!hello) return false;
    const known = this.#handshakes.get(key) ?? this.#byAddress.get(key);
    // The network or the client sent it twice; OpenSSL's timer repeats our answer.
    if (known?.opening?.random === hello.random && hello.cookie.length > 0) return true;
    if (!this.#cookies.check(key, hello)) {
      this.#transmit(helloVerifyRequest(datagram, view, this.#cookies.make(key, hello)), address, port);
      return true;
    }
    if (this.#sessions.size >= this.#maxPeers && !this.#byAddress.has(key)) {
      this.#transmit(plainAlert(datagram, view, Alert.internalError), address, port);
      this.#report(address, port, `Turned away: all ${this.#maxPeers} sessions are in use.`);
      return true;
    }
    this.#begin(datagram.subarray(view.start, view.end), hello, address, port, key);
    return true;
  }

  #begin(record: Buffer, hello: ClientHello, address: string, port: number, key: string): void {
    const replaced = this.#handshakes.get(key);
    if (replaced) this.#discard(replaced);
    else if (this.#handshakes.size >= this.#maxHandshakes) {
      const [oldest] = this.#handshakes.values();
      if (oldest) this.#fail(oldest, "Given up: too many handshakes were under way.");
    }
    const now = this.#clock.now();
    const session = new DtlsSession(this, `dtls-${randomId()}`, false, address, port, now);
    const check = new DtlsCheck(this, session);
    const handshake = this.#makes.begin(check);
    const readThrough = { epoch: 0, top: -1 };
    session.opening = { handshake, check, random: hello.random, startedAt: now, readThrough };
    this.#handshakes.set(key, session);
    this.#handshakeSweep.start();
    handshake.ssl.acceptHello(record);
    this.#afterOpenssl(session, NO_MESSAGES);
  }

  // ---- while OpenSSL has the session

  #toOpenssl(session: DtlsSession, records: Buffer): void {
    const { opening } = session;
    if (opening) this.#afterOpenssl(session, opening.handshake.ssl.receive(records));
  }

  #afterOpenssl(session: DtlsSession, messages: readonly Uint8Array[]): void {
    const opening = session.opening as Opening;
    const { ssl } = opening.handshake;
    this.#flush(session);
    if (ssl.fault) {
      this.#fail(session, describeFault(ssl.fault));
      return;
    }
    if (ssl.established && !this.#sessions.has(session)) this.#complete(session, opening);
    for (const message of messages) {
      if (session.closed) return;
      session.lastSeen = this.#clock.now();
      session.onmessage?.(message);
    }
    if (session.closed) return;
    if (ssl.ended) this.end(session, "the peer closed the session", true);
    else if (session.queue && session.opening && !ssl.renegotiating) this.#sendQueued(session);
  }

  #flush(session: DtlsSession): void {
    const handshake = session.opening?.handshake;
    if (!handshake) return;
    for (const datagram of handshake.takeDatagrams(this.#clock.now())) {
      this.#transmit(datagram, session.address, session.port);
    }
  }

  /** The handshake is complete and the client verified: only now is an older session of its address given up. */
  #complete(session: DtlsSession, opening: Opening): void {
    const key = addressKey(session.address, session.port);
    this.#handshakes.delete(key);
    session.identity = opening.check.identity;
    session.messageIdBase = randomSeed();
    const old = this.#byAddress.get(key);
    // Another device goes on with its session from elsewhere when this one got its old address.
    const full = this.#sessions.size >= this.#maxPeers;
    if (old && (full || !old.channel || sameIdentity(old.identity, session.identity))) {
      this.end(old, "replaced by a new handshake from the same address", false);
    }
    this.#byAddress.set(key, session);
    this.#sessions.add(session);
    this.#lingering.add(session);
    // Made now so that records under a connection id can be read in a renegotiation, when newer secrets are in place.
    if (opening.check.ourCid) opening.handshake.channel();
    this.options.onpeer(session);
  }

  #fail(session: DtlsSession, message: string): void {
    const opening = session.opening as Opening;
    const { check, handshake } = opening;
    if (this.#sessions.has(session)) {
      const { fault } = handshake.ssl;
      if (fault && fault.alertReceived === null) {
        this.options.onfailure(check.failure("dtls", fault, handshake.sentAlert, message));
      }
      this.end(session, check.refusal?.message ?? message, false);
      return;
    }
    this.#discard(session);
    this.options.onfailure(check.failure("dtls", handshake.ssl.fault, handshake.sentAlert, message));
  }

  /** Drops a handshake that is not complete. */
  #discard(session: DtlsSession): void {
    const key = addressKey(session.address, session.port);
    if (this.#handshakes.get(key) === session) this.#handshakes.delete(key);
    this.#release(session);
    session.closed = true;
  }

  /** Frees what OpenSSL holds of a session that ends. */
  #release(session: DtlsSession): void {
    const { opening } = session;
    if (!opening) return;
    this.byCid.delete(opening.check.cids.ourCid);
    this.#lingering.delete(session);
    opening.handshake.free();
    session.opening = null;
  }

  /** Whether some are still to be looked after. */
  #checkHandshakes(now: number): boolean {
    const timeoutMs = this.options.handshakeTimeoutMs ?? DEFAULT_HANDSHAKE_TIMEOUT_MS;
    for (const session of this.#handshakes.values()) {
      const { startedAt } = session.opening as Opening;
      if (now - startedAt >= timeoutMs) {
        this.#fail(session, "The peer fell silent in the middle of the handshake.");
      } else {
        this.#checkTimer(session, now);
      }
    }
    for (const session of this.#lingering) {
      const { startedAt, handshake } = session.opening as Opening;
      const channel = now - startedAt >= LINGER_MS ? handshake.channel() : null;
      if (channel) this.#handOver(session, channel);
      else this.#checkTimer(session, now);
    }
    return this.#handshakes.size + this.#lingering.size > 0;
  }

  #checkTimer(session: DtlsSession, now: number): void {
    const { handshake } = session.opening as Opening;
    for (const datagram of handshake.checkTimer(now)) this.#transmit(datagram, session.address, session.port);
    if (handshake.ssl.fault) this.#fail(session, "The peer fell silent in the middle of the handshake.");
  }

  // ---- records of a session

  #record(session: DtlsSession, datagram: Buffer, view: RecordView, address: string, port: number): void {
    if (session.closed) return;
    if (session.channel) {
      const opened = session.channel.open(datagram, view);
      if (opened) this.#opened(session, session.channel, opened, view, address, port);
      else this.#recognize(datagram, view, address, port, session);
      return;
    }
    const { handshake, readThrough } = session.opening as Opening;
    const channel = handshake.channel();
    if (channel && view.epoch === channel.epoch) {
      if (readThrough.epoch === channel.epoch && readThrough.top >= 0) channel.readFrom(readThrough.top);
      const opened = channel.open(datagram, view);
      // Forged or foreign: the peer's own first record is still to come.
      if (!opened) return;
      if (opened.type === ContentType.applicationData) {
        this.#handOver(session, channel);
        this.#opened(session, channel, opened, view, address, port);
        return;
      }
    }
    let plain: Buffer | null = datagram.subarray(view.start, view.end);
    if (view.type === ContentType.tls12Cid) plain = handshake.withoutCid(datagram, view);
    if (!plain) return;
    const messages = handshake.ssl.receive(plain);
    if (messages.length > 0) {
      readThrough.top =
        readThrough.epoch === view.epoch ? Math.max(readThrough.top, view.sequence) : view.sequence;
      readThrough.epoch = view.epoch;
    }
    this.#afterOpenssl(session, messages);
  }

  /** Takes a message of a session that is known at another port; false when it is nobody's. `here` is who is at this one. */
  #recognize(
    datagram: Buffer,
    view: RecordView,
    address: string,
    port: number,
    here: DtlsSession | null,
  ): boolean {
    if (view.type !== ContentType.applicationData) return false;
    const found = this.#moved.open(datagram, view, address, here);
    if (!found) return false;
    const { session, opened } = found;
    this.#opened(session, session.channel as RecordChannel, opened, view, address, port);
    return true;
  }

  /** From here on OpenSSL is out of it. */
  #handOver(session: DtlsSession, channel: RecordChannel): void {
    const { handshake } = session.opening as Opening;
    this.#lingering.delete(session);
    handshake.free();
    session.opening = null;
    session.channel = channel;
    this.#index(session, channel);
    this.#save(session, channel);
  }

  #opened(
    session: DtlsSession,
    channel: RecordChannel,
    opened: OpenedRecord,
    view: RecordView,
    address: string,
    port: number,
  ): void {
    const now = this.#clock.now();
    session.lastSeen = now;
    if (view.sequence === channel.top) {
      // Authenticated and the newest: what it says about the address counts [RFC9146 §6].
      if (session.port !== port || session.address !== address) this.#move(session, address, port);
      if (session.kept >= Kept.yes) this.#touch(session, channel, now);
    }
    if (!session.announced) {
      session.announced = true;
      this.options.onpeer(session);
    }
    const { type, plaintext } = opened;
    if (type === ContentType.applicationData) {
      session.onmessage?.(plaintext);
    } else if (type === ContentType.alert && plaintext.length === 2) {
      const [level, alert] = plaintext as unknown as [number, number];
      if (alert === Alert.closeNotify) this.end(session, "the peer closed the session", true);
      else if (level === AlertLevel.fatal)
        this.end(session, `the peer ended the session: ${alertName(alert)}`, false);
    } else if (type === ContentType.handshake && plaintext[0] === 1) {
      this.#sendRecord(session, ContentType.alert, Buffer.of(AlertLevel.warning, Alert.noRenegotiation));
    }
  }

  #move(session: DtlsSession, address: string, port: number): void {
    const before = addressKey(session.address, session.port);
    if (this.#byAddress.get(before) === session) this.#byAddress.delete(before);
    this.#moved.remove(session);
    session.address = address;
    session.port = port;
    const channel = session.channel as RecordChannel;
    this.#index(session, channel);
    const after = addressKey(address, port);
    // Who has an id is found by it, wherever it is; who has none is there until another one without speaks from there.
    if (channel.ourCid === "" || !this.#byAddress.has(after)) this.#byAddress.set(after, session);
  }

  /** Has a session found by what its records say, wherever they come from. */
  #index(session: DtlsSession, { ourCid }: RecordChannel): void {
    if (ourCid === "") this.#moved.add(session);
    else this.byCid.set(ourCid, session);
  }

  // ---- sending

  send(session: DtlsSession, message: Uint8Array): void {
    if (session.closed || message.length > MAX_RECORD_DATA) return;
    if (!session.opening) {
      this.#sendRecord(session, ContentType.applicationData, message);
      return;
    }
    // OpenSSL writes nothing in the middle of a renegotiation.
    if (session.queue || !session.opening.handshake.ssl.send(message)) this.#enqueue(session, message);
    this.#flush(session);
  }

  #enqueue(session: DtlsSession, message: Uint8Array): void {
    session.queue ??= [];
    if (session.queue.length < MAX_QUEUED) session.queue.push(message);
  }

  #sendQueued(session: DtlsSession): void {
    const { queue } = session;
    if (!queue) return;
    session.queue = null;
    for (const message of queue) this.send(session, message);
  }

  #sendRecord(session: DtlsSession, type: number, message: Uint8Array): void {
    const channel = session.channel as RecordChannel;
    if (session.kept === Kept.saving || channel.next >= session.reserved) {
      // Alerts are hints: only messages wait for the disk.
      if (type === ContentType.applicationData) this.#enqueue(session, message);
    } else if (channel.next < SEQUENCE_END) {
      this.#transmit(channel.seal(type, message), session.address, session.port);
    }
    if (session.kept === Kept.yes && channel.next >= session.reserved - RESERVE_AHEAD)
      this.#reserve(session, channel);
  }

  #transmit(datagram: Uint8Array, address: string, port: number): void {
    if (this.#open) this.#socket.send(datagram, address, port);
  }

  // ---- keeping sessions

  #save(session: DtlsSession, channel: RecordChannel): void {
    const { store } = this.options;
    if (!store) {
      this.#sendQueued(session);
      return;
    }
    session.kept = Kept.saving;
    session.reserved = channel.next + RESERVE_BLOCK;
    const stored: StoredSession = {
      id: session.id,
      address: session.address,
      port: session.port,
      state: serializeState({
        channel,
        identity: session.identity ?? {},
        messageIdBase: session.messageIdBase,
      }),
      reserved: fullSequence(channel.epoch, session.reserved),
      readTop: fullSequence(channel.epoch, Math.max(0, channel.top)),
      expiresAt: this.#clock.now() + this.#ttlMs,
    };
    this.#write(
      store.save(stored).then(
        () => {
          if (session.kept === Kept.no) store.remove(session.id);
          if (session.closed) return;
          session.kept = Kept.yes;
          this.#touch(session, channel, this.#clock.now());
          this.#sendQueued(session);
        },
        // The row may be on disk all the same, so going on in memory alone could use numbers twice after a restart.
        () => this.end(session, "the session could not be stored", false),
      ),
    );
  }

  #reserve(session: DtlsSession, channel: RecordChannel): void {
    const { store } = this.options;
    if (!store) return;
    session.kept = Kept.reserving;
    const upTo = Math.min(SEQUENCE_END, session.reserved + RESERVE_BLOCK);
    this.#write(
      store.reserve(session.id, fullSequence(channel.epoch, upTo)).then(
        () => {
          if (session.closed) return;
          session.kept = Kept.yes;
          session.reserved = upTo;
          this.#sendQueued(session);
        },
        // Nothing is sent without a reservation; the next message asks again.
        () => {
          if (session.closed) return;
          session.kept = Kept.yes;
          session.queue = null;
        },
      ),
    );
  }

  #touch(session: DtlsSession, channel: RecordChannel, now: number): void {
    this.options.store?.touch(session.id, {
      readTop: fullSequence(channel.epoch, Math.max(0, channel.top)),
      address: session.address,
      port: session.port,
      expiresAt: now + this.#ttlMs,
    });
  }

  #write(promise: Promise<void>): void {
    this.#writes.add(promise);
    void promise.finally(() => this.#writes.delete(promise));
  }

  #restore(stored: StoredSession): void {
    const sequence = Number(stored.reserved & (BigInt(SEQUENCE_END) - 1n));
    const state = restoreState(stored.state, sequence);
    const epoch = Number(stored.reserved >> EPOCH_SHIFT);
    if (!state || state.channel.epoch !== epoch || stored.expiresAt <= this.#clock.now()) {
      this.options.store?.remove(stored.id);
      return;
    }
    const { channel } = state;
    channel.readFrom(Number(stored.readTop & (BigInt(SEQUENCE_END) - 1n)));
    const lastSeen = stored.expiresAt - this.#ttlMs;
    const session = new DtlsSession(this, stored.id, true, stored.address, stored.port, lastSeen);
    session.identity = state.identity;
    session.messageIdBase = state.messageIdBase;
    session.channel = channel;
    session.kept = Kept.yes;
    session.reserved = channel.next;
    session.announced = false;
    this.#sessions.add(session);
    const key = addressKey(session.address, session.port);
    if (!this.#byAddress.has(key) || channel.ourCid === "") this.#byAddress.set(key, session);
    this.#index(session, channel);
  }

  // ---- ending

  /** Ends a session for good. */
  end(session: DtlsSession, reason: string, notify: boolean): void {
    if (session.closed) return;
    if (notify) this.#notifyClose(session);
    if (session.kept >= Kept.yes) this.options.store?.remove(session.id);
    // A row that is on its way is removed when it has arrived.
    session.kept = Kept.no;
    this.#forget(session, reason);
  }

  #notifyClose(session: DtlsSession): void {
    if (session.opening) {
      session.opening.handshake.ssl.shutdown();
      this.#flush(session);
    } else {
      this.#sendRecord(session, ContentType.alert, Buffer.of(AlertLevel.warning, Alert.closeNotify));
    }
  }

  /** Takes a session out of memory; its row in the store stays. */
  #forget(session: DtlsSession, reason: string): void {
    if (session.closed) return;
    session.closed = true;
    session.queue = null;
    const key = addressKey(session.address, session.port);
    if (this.#byAddress.get(key) === session) this.#byAddress.delete(key);
    if (session.channel?.ourCid) this.byCid.delete(session.channel.ourCid);
    else this.#moved.remove(session);
    this.#sessions.delete(session);
    this.#release(session);
    session.onclose?.(reason);
  }

  #dropIdle(now: number): void {
    for (const session of this.#sessions) {
      if (now - session.lastSeen >= this.#ttlMs) this.end(session, "silent for too long", true);
    }
  }

  /** Reports what needs no handshake to be sent, so only now and then. */
  #report(address: string, port: number, message: string): void {
    if (!this.#reports.allows()) return;
    const failure: HandshakeFailure = {
      remote: { address, port },
      transport: "dtls",
      alert: null,
      alertBy: null,
      message,
      chain: [],
    };
    this.options.onfailure(failure);
  }
}

function opensslHandshakes({ ciphers, credentials, cid = true }: DtlsListenOptions): ServerHandshakes {
  const context = new SslContext({ kind: "dtls-server", ciphers, credentials, cid });
  return { begin: (party) => new DtlsHandshake(context, party, true), free: () => context.free() };
}

function fullSequence(epoch: number, sequence: number): bigint {
  return (BigInt(epoch) << EPOCH_SHIFT) | BigInt(sequence);
}

function sameIdentity(one: PeerIdentity | null, other: PeerIdentity | null): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Listens for DTLS 1.2 over UDP with client certificates. */
export function listenDtls(options: DtlsListenOptions): Promise<Listener> {
  return new DtlsEndpoint(options).open();
}
