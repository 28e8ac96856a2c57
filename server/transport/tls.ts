import { createServer, type Socket } from "node:net";
import type { Clock } from "../clock";
import { plainAddress } from "./address";
import { describeFault } from "./alerts";
import { lacksTls13Suites } from "./client-hello";
import { ClientCheck, ReportLimit, settleAlert } from "./handshake";
import { type HandshakeParty, MAX_RECORD_DATA, type Ssl, SslContext } from "./openssl";
import { randomId, randomSeed } from "./random";
import { ContentType } from "./record-layer";
import { Sweep, sweepInterval } from "./sweep";
import { bindTcp, writeBounded } from "./tcp";
import type {
  Address,
  HandshakeFailure,
  Listener,
  Peer,
  PeerIdentity,
  ServerCredentials,
  Verifier,
} from "./types";

/** Options of the listeners with transport security. */
export interface SecureListenOptions {
  host?: string;
  port: number;
  credentials: ServerCredentials;
  verify: Verifier;
  onpeer(peer: Peer): void;
  onfailure(failure: HandshakeFailure): void;
  clock: Clock;
  /** A peer that was silent for this long is dropped. */
  idleMs?: number;
  /** Peers beyond this are turned away. */
  maxPeers?: number;
  /** Handshakes under way beyond this push out the oldest one. */
  maxHandshakes?: number;
  /** A handshake that takes longer is given up. */
  handshakeTimeoutMs?: number;
  /** OpenSSL's cipher list for TLS 1.2, best first. */
  ciphers?: string;
}

const DEFAULT_IDLE_MS = 60 * 60_000;
const DEFAULT_MAX_PEERS = 20_000;
const DEFAULT_MAX_HANDSHAKES = 1_000;
const DEFAULT_HANDSHAKE_TIMEOUT_MS = 30_000;

/** What a connection tells whoever made it. */
export interface TlsOwner {
  established(peer: TlsPeer): void;
  /** It ended before it was established. */
  failed(peer: TlsPeer, sentAlert: number | null, message: string): void;
  /** It ended after that. */
  ended(peer: TlsPeer): void;
}

/** One TLS connection: one message per record both ways. */
export class TlsPeer implements Peer {
  readonly transport = "tls";
  readonly id = `tls-${randomId()}`;
  readonly restored = false;
  readonly messageIdSeed = randomSeed();
  readonly remote: Address;
  identity: PeerIdentity | null = null;
  closed = false;
  onmessage: ((message: Uint8Array) => void) | null = null;
  onclose: ((reason: string) => void) | null = null;
  established = false;
  /** True once the peer has sent anything. */
  spoke = false;
  lastSeen: number;
  readonly since: number;
  readonly ssl: Ssl;
  readonly party: HandshakeParty;
  readonly #socket: Socket;
  readonly #owner: TlsOwner;
  readonly #server: boolean;
  #unsent: Uint8Array[] = [];

  constructor(
    socket: Socket,
    context: SslContext,
    party: HandshakeParty,
    owner: TlsOwner,
    clock: Clock,
    server: boolean,
  ) {
    this.#socket = socket;
    this.#owner = owner;
    this.#server = server;
    this.party = party;
    this.remote = { address: plainAddress(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
    this.since = clock.now();
    this.lastSeen = this.since;
    this.ssl = context.connection(party, server);
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.lastSeen = clock.now();
      if (!this.closed) this.#receive(chunk as Buffer);
    });
    socket.on("end", () => this.end("the peer closed the connection"));
    socket.on("error", (error) => this.end(error.message));
    socket.on("close", () => this.end("the connection ended"));
  }

  /** Begins or goes on with the handshake; a client calls it once. */
  start(): void {
    this.ssl.receive(null);
    this.#flush();
    if (this.ssl.fault) this.end(describeFault(this.ssl.fault));
  }

  #receive(chunk: Buffer): void {
    if (!this.spoke) {
      this.spoke = true;
      if (chunk[0] !== ContentType.handshake && chunk[0] !== ContentType.alert) {
        this.end(
          "The peer sent something that is not TLS; a plain CoAP or HTTP client may be set to this port.",
        );
        return;
      }
      if (this.#server && lacksTls13Suites(chunk)) this.ssl.limitToTls12();
    }
    const messages = this.ssl.receive(chunk);
    const sent = this.#flush();
    if (this.ssl.established && !this.established && !this.ssl.fault) {
      this.established = true;
      this.#owner.established(this);
    }
    for (const message of messages) {
      if (this.closed) return;
      this.onmessage?.(message);
    }
    if (this.closed) return;
    if (this.ssl.fault) this.end(this.#refusal?.message ?? describeFault(this.ssl.fault), sent);
    else if (this.ssl.ended) this.end("the peer closed the connection");
    else this.#sendWaiting();
  }

  send(message: Uint8Array): void {
    if (this.closed || !this.established || message.length > MAX_RECORD_DATA) return;
    // OpenSSL writes nothing in the middle of a renegotiation.
    if (this.#unsent.length > 0 || !this.ssl.send(message)) {
      if (this.#unsent.length < 64) this.#unsent.push(message);
    }
    this.#flush();
  }

  #sendWaiting(): void {
    if (this.#unsent.length === 0 || this.ssl.renegotiating) return;
    const waiting = this.#unsent;
    this.#unsent = [];
    for (const message of waiting) this.send(message);
  }

  get #refusal(): ClientCheck["refusal"] {
    return this.party instanceof ClientCheck ? this.party.refusal : null;
  }

  /** Writes what OpenSSL has for the peer; returns the alert among it that is in the clear. */
  #flush(): number | null {
    const output = this.ssl.takeOutput();
    if (!output) return null;
    const alert = settleAlert(output, 5, this.#refusal);
    writeBounded(this.#socket, output);
    return alert;
  }

  close(): void {
    this.end("closed");
  }

  end(reason: string, sentAlert: number | null = null): void {
    if (this.closed) return;
    this.closed = true;
    if (this.established) {
      this.ssl.shutdown();
      this.#flush();
      this.#owner.ended(this);
    } else {
      this.#owner.failed(this, sentAlert, reason);
    }
    this.ssl.free();
    this.#socket.end();
    // A peer that never closes its side must not hold the descriptor.
    this.#socket.setTimeout(5_000, () => this.#socket.destroy());
    this.onclose?.(reason);
  }
}

/** Listens for TLS 1.2 and 1.3 over TCP with client certificates. */
export async function listenTls(options: SecureListenOptions): Promise<Listener> {
  const { clock, idleMs = DEFAULT_IDLE_MS, maxPeers = DEFAULT_MAX_PEERS } = options;
  const { maxHandshakes = DEFAULT_MAX_HANDSHAKES, handshakeTimeoutMs = DEFAULT_HANDSHAKE_TIMEOUT_MS } =
    options;
  const context = new SslContext({
    kind: "tls-server",
    ciphers: options.ciphers,
    credentials: options.credentials,
  });
  const peers = new Set<TlsPeer>();
  const handshakes = new Set<TlsPeer>();
  const sockets = new Set<Socket>();
  const reports = new ReportLimit(clock);

  const owner: TlsOwner = {
    established(peer) {
      handshakes.delete(peer);
      peers.add(peer);
      peer.identity = (peer.party as ClientCheck).identity;
      options.onpeer(peer);
    },
    failed(peer, sentAlert, message) {
      handshakes.delete(peer);
      // Port scans and health checks connect and leave.
      if (!peer.spoke && !peer.ssl.fault && clock.now() - peer.since < handshakeTimeoutMs) return;
      options.onfailure((peer.party as ClientCheck).failure("tls", peer.ssl.fault, sentAlert, message));
    },
    ended: (peer) => peers.delete(peer),
  };

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    const remote = { address: plainAddress(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
    if (peers.size >= maxPeers) {
      socket.on("error", () => {});
      socket.destroy();
      if (reports.allows()) {
        const message = `Turned away: all ${maxPeers} connections are in use.`;
        options.onfailure({ remote, transport: "tls", alert: null, alertBy: null, message, chain: [] });
      }
      return;
    }
    if (handshakes.size >= maxHandshakes) {
      const [oldest] = handshakes;
      oldest?.end("Given up: too many handshakes were under way.");
    }
    handshakes.add(new TlsPeer(socket, context, new ClientCheck(options.verify, remote), owner, clock, true));
  });

  let local: Address;
  try {
    local = await bindTcp(server, options);
  } catch (error) {
    context.free();
    throw error;
  }
  const idleSweep = new Sweep(clock, sweepInterval(idleMs), (now) => {
    for (const peer of peers) if (now - peer.lastSeen >= idleMs) peer.end("silent for too long");
  });
  const handshakeSweep = new Sweep(clock, 1_000, (now) => {
    for (const peer of handshakes) {
      if (now - peer.since >= handshakeTimeoutMs)
        peer.end("The peer fell silent in the middle of the handshake.");
    }
  });
  idleSweep.start();
  handshakeSweep.start();
  return {
    transport: "tls",
    local,
    peers: () => peers.values(),
    async close() {
      idleSweep.stop();
      handshakeSweep.stop();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const peer of [...peers, ...handshakes]) peer.end("listener closed");
      for (const socket of sockets) {
        if (socket.writableLength > 0) socket.destroy();
        else socket.destroySoon();
      }
      await closed;
      context.free();
    },
  };
}
