/** The client's side of each transport, for the reference device and the tests. */
import { createHash } from "node:crypto";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { connect, type Socket } from "node:net";
import type { Clock } from "../clock";
import { formatAddress } from "./address";
import { Alert, AlertLevel, alertName } from "./alerts";
import { DtlsHandshake } from "./dtls-handshake";
import { type HandshakeParty, type Ssl, SslContext, type SslFault } from "./openssl";
import { randomId, randomSeed } from "./random";
import { type CidForm, type Cids, ContentType, parseRecords, type RecordChannel } from "./record-layer";
import { Sweep } from "./sweep";
import { TcpPeer } from "./tcp";
import { type TlsOwner, TlsPeer } from "./tls";
import type { Address, Peer, ServerCredentials } from "./types";

export interface ConnectOptions {
  host: string;
  port: number;
  clock: Clock;
  /** Give up after this long; 60 s unless told. */
  timeoutMs?: number;
}

export interface SecureConnectOptions extends ConnectOptions {
  /** The client's certificate and key. */
  credentials?: ServerCredentials;
  /** What the server's chain must end in, DER. Host names are not compared: device servers are named by their CA. */
  ca: readonly Uint8Array[];
  /** OpenSSL's cipher list up to (D)TLS 1.2. */
  ciphers?: string;
}

export interface DtlsConnectOptions extends SecureConnectOptions {
  /** Offers connection ids [RFC9146]; bytes are the id that the server's records are to carry, `true` asks for none. */
  cid?: boolean | Uint8Array;
  /** The form in which it offers them, "rfc9146" unless told. */
  cidForm?: CidForm;
  /** Gets ServerHello.random of a handshake that succeeded: devices without a clock read the time from it. */
  onserverrandom?(random: Uint8Array): void;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const RETRANSMIT_CHECK_MS = 250;
const MAX_CONTEXTS = 16;

// Devices of one kind share their configuration; what differs between them is set on each connection.
const contexts = new Map<string, SslContext>();

function clientContext(
  kind: "dtls-client" | "tls-client",
  options: SecureConnectOptions,
  cid: boolean,
): SslContext {
  const hash = createHash("sha256").update(`${kind}|${options.ciphers ?? ""}|${cid}`);
  for (const anchor of options.ca) hash.update(anchor);
  const key = hash.digest("base64");
  let context = contexts.get(key);
  if (!context) {
    context = new SslContext({ kind, ciphers: options.ciphers, anchors: options.ca, cid });
    if (contexts.size >= MAX_CONTEXTS) {
      for (const [oldest, unused] of contexts) {
        contexts.delete(oldest);
        unused.free();
        break;
      }
    }
    contexts.set(key, context);
  }
  return context;
}

async function resolve(host: string, port: number): Promise<Address & { family: number }> {
  const { address, family } = await lookup(host.replace(/^\[(.*)\]$/, "$1"), { verbatim: false });
  return { address, family, port };
}

function failureOf(ssl: Ssl, fault: SslFault, remote: Address): Error {
  const where = formatAddress(remote);
  if (fault.alertReceived !== null)
    return new Error(`${where} refused the handshake: ${alertName(fault.alertReceived)}`);
  const problem = ssl.verifyProblem;
  if (problem) return new Error(`the certificate of ${where} was refused: ${problem}`);
  return new Error(`the handshake with ${where} failed: ${fault.text}`);
}

// ---- UDP

/** A connected UDP socket. */
async function openUdp(remote: Address & { family: number }): Promise<UdpSocket> {
  const socket = createSocket(remote.family === 6 ? "udp6" : "udp4");
  await new Promise<void>((done, fail) => {
    socket.once("error", fail);
    socket.connect(remote.port, remote.address, () => {
      socket.removeListener("error", fail);
      done();
    });
  });
  return socket;
}

function ignore(): void {}

/** What a client's peer over UDP has in common, with and without security. */
abstract class DatagramPeer implements Peer {
  abstract readonly transport: "udp" | "dtls";
  readonly id = randomId();
  readonly identity = null;
  readonly restored = false;
  readonly messageIdSeed = randomSeed();
  closed = false;
  onmessage: ((message: Uint8Array) => void) | null = null;
  onclose: ((reason: string) => void) | null = null;

  constructor(
    protected readonly socket: UdpSocket,
    readonly remote: Address,
  ) {}

  abstract send(message: Uint8Array): void;

  protected transmit(datagram: Uint8Array): void {
    if (!this.closed) this.socket.send(datagram, ignore);
  }

  close(): void {
    this.end("closed");
  }

  protected end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.socket.close();
    this.onclose?.(reason);
  }
}

class UdpClientPeer extends DatagramPeer {
  readonly transport = "udp";

  constructor(socket: UdpSocket, remote: Address) {
    super(socket, remote);
    socket.on("error", () => {});
    socket.on("message", (message) => this.onmessage?.(message));
  }

  send(message: Uint8Array): void {
    this.transmit(message);
  }
}

/** A peer for plain UDP datagrams. */
export async function connectUdp(options: ConnectOptions): Promise<Peer> {
  const remote = await resolve(options.host, options.port);
  return new UdpClientPeer(await openUdp(remote), { address: remote.address, port: remote.port });
}

// ---- DTLS

/** A client's DTLS session between two sockets. */
export interface DtlsClientSession {
  readonly channel: RecordChannel;
}

/** A DTLS session of a client. */
export interface DtlsClient extends Peer {
  /** Closes the socket without a word and returns what the session goes on with, as over a restart; null when it is over. */
  leave(): DtlsClientSession | null;
}

class DtlsClientPeer extends DatagramPeer implements DtlsClient, HandshakeParty {
  readonly transport = "dtls";
  readonly cids: Cids;
  readonly ourCid: Uint8Array | null;
  #handshake: DtlsHandshake | null = null;
  #channel: RecordChannel | null = null;
  #settle: { done(peer: DtlsClient): void; fail(error: Error): void } | null = null;
  readonly #clock: Clock;
  readonly #sweep: Sweep;
  readonly #onserverrandom: DtlsConnectOptions["onserverrandom"];

  constructor(socket: UdpSocket, remote: Address, options: DtlsConnectOptions) {
    super(socket, remote);
    this.#clock = options.clock;
    this.#onserverrandom = options.onserverrandom;
    this.cids = { peerCid: "", ourCid: "", form: options.cidForm ?? "rfc9146" };
    this.ourCid = options.cid === true ? new Uint8Array(0) : options.cid || null;
    socket.on("message", (datagram) => this.#receive(datagram));
    socket.on("error", (error) =>
      this.#fail(new Error(`${formatAddress(remote)} cannot be reached: ${error.message}`)),
    );
    const giveUpAt = this.#clock.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    this.#sweep = new Sweep(this.#clock, RETRANSMIT_CHECK_MS, (now) => {
      if (now >= giveUpAt) this.#fail(new Error(`${formatAddress(remote)} did not answer`));
      for (const datagram of this.#handshake?.checkTimer(now) ?? []) this.transmit(datagram);
    });
  }

  oncid(cid: Buffer): void {
    this.cids.peerCid = cid.toString("latin1");
    this.cids.ourCid = Buffer.from(this.ourCid ?? []).toString("latin1");
  }

  connect(options: DtlsConnectOptions): Promise<DtlsClient> {
    return new Promise((done, fail) => {
      this.#settle = { done, fail };
      const context = clientContext("dtls-client", options, this.ourCid !== null);
      this.#handshake = new DtlsHandshake(context, this, false);
      try {
        this.#handshake.ssl.setClient(options.credentials, Math.floor(this.#clock.now() / 1000));
      } catch (error) {
        this.#fail(error as Error);
        return;
      }
      this.#sweep.start();
      this.#drive(this.#handshake, null);
    });
  }

  /** Goes on with a session of another socket. */
  resume({ channel }: DtlsClientSession): DtlsClient {
    this.#channel = channel;
    return this;
  }

  leave(): DtlsClientSession | null {
    const channel = this.closed ? null : this.#channel;
    this.onmessage = null;
    this.onclose = null;
    this.end("left");
    return channel && { channel };
  }

  #drive(handshake: DtlsHandshake, input: Buffer | null): void {
    handshake.ssl.receive(input);
    for (const datagram of handshake.takeDatagrams(this.#clock.now())) this.transmit(datagram);
    const { fault } = handshake.ssl;
    if (fault) {
      this.#fail(failureOf(handshake.ssl, fault, this.remote));
      return;
    }
    // The server's Finished is the last message, so nothing of the handshake can be asked for again.
    const channel = handshake.channel();
    if (!channel) return;
    this.#channel = channel;
    const random = handshake.ssl.secrets()?.serverRandom;
    if (random) this.#onserverrandom?.(random);
    this.#release();
    this.#settle?.done(this);
    this.#settle = null;
  }

  #release(): void {
    this.#sweep.stop();
    this.#handshake?.free();
    this.#handshake = null;
  }

  #fail(error: Error): void {
    if (!this.#settle) return;
    this.#settle.fail(error);
    this.#settle = null;
    this.end(error.message);
  }

  #receive(datagram: Buffer): void {
    const { ourCid } = this.#channel ?? this.cids;
    for (const view of parseRecords(datagram, ourCid.length) ?? []) {
      if (this.closed) return;
      const handshake = this.#handshake;
      if (handshake) {
        const record = datagram.subarray(view.start, view.end);
        const plain = view.type === ContentType.tls12Cid ? handshake.withoutCid(datagram, view) : record;
        if (plain) this.#drive(handshake, plain);
        continue;
      }
      const opened = this.#channel?.open(datagram, view);
      if (opened?.type === ContentType.applicationData) this.onmessage?.(opened.plaintext);
      else if (opened?.type === ContentType.alert) this.#alert(opened.plaintext);
    }
  }

  #alert([level, alert = 0]: Buffer): void {
    if (alert === Alert.closeNotify) this.end("the server closed the session");
    else if (level === AlertLevel.fatal) this.end(`the server ended the session: ${alertName(alert)}`);
  }

  send(message: Uint8Array): void {
    if (this.#channel && !this.closed)
      this.transmit(this.#channel.seal(ContentType.applicationData, message));
  }

  override close(): void {
    if (this.#channel && !this.closed) {
      // The socket must not close under the datagram.
      const notify = this.#channel.seal(ContentType.alert, Buffer.of(AlertLevel.warning, Alert.closeNotify));
      this.closed = true;
      this.socket.send(notify, () => this.socket.close());
      this.onclose?.("closed");
      return;
    }
    super.close();
  }

  protected override end(reason: string): void {
    this.#release();
    super.end(reason);
  }
}

/** Makes a DTLS 1.2 session; rejects with the alert's name when the server refuses. */
export async function connectDtls(options: DtlsConnectOptions): Promise<DtlsClient> {
  return (await openDtls(options)).connect(options);
}

/** Goes on with a session from a new port, without a handshake; whether the server still knows it will show. */
export async function resumeDtls(options: ConnectOptions, session: DtlsClientSession): Promise<DtlsClient> {
  return (await openDtls({ ...options, ca: [] })).resume(session);
}

async function openDtls(options: DtlsConnectOptions): Promise<DtlsClientPeer> {
  const remote = await resolve(options.host, options.port);
  const socket = await openUdp(remote);
  return new DtlsClientPeer(socket, { address: remote.address, port: remote.port }, options);
}

// ---- TCP and TLS

async function openTcp(options: ConnectOptions): Promise<Socket> {
  const remote = await resolve(options.host, options.port);
  const socket = connect({ host: remote.address, port: remote.port });
  await new Promise<void>((done, fail) => {
    socket.once("error", fail);
    socket.once("connect", () => {
      socket.removeListener("error", fail);
      done();
    });
  });
  return socket;
}

/** A peer for a plain TCP connection. */
export async function connectTcp(options: ConnectOptions): Promise<Peer> {
  const socket = await openTcp(options);
  return new TcpPeer(
    socket,
    () => options.clock.now(),
    () => {},
  );
}

/**
 * Makes a TLS connection; rejects with the alert's name when the server refuses. In TLS 1.3 a server judges the
 * client's certificate later, and `onclose` then says so.
 */
export async function connectTls(options: SecureConnectOptions): Promise<Peer> {
  const socket = await openTcp(options);
  const context = clientContext("tls-client", options, false);
  return new Promise((done, fail) => {
    const timer = options.clock.after(options.timeoutMs ?? DEFAULT_TIMEOUT_MS, () =>
      peer.end("it did not answer"),
    );
    const owner: TlsOwner = {
      established(peer) {
        timer.cancel();
        done(peer);
      },
      failed(peer, _alert, message) {
        timer.cancel();
        const { fault } = peer.ssl;
        fail(
          fault
            ? failureOf(peer.ssl, fault, peer.remote)
            : new Error(`the handshake with ${formatAddress(peer.remote)} failed: ${message}`),
        );
      },
      ended() {},
    };
    const peer = new TlsPeer(socket, context, {}, owner, options.clock, false);
    try {
      peer.ssl.setClient(options.credentials, Math.floor(options.clock.now() / 1000));
      peer.start();
    } catch (error) {
      peer.end((error as Error).message);
    }
  });
}
