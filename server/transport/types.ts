/**
 * What the transports offer to the layer above: peers that send and receive whole messages or byte chunks.
 * Nothing here knows CoAP, accounts or the database, and nothing above ever holds an OpenSSL handle.
 */
export type TransportKind = "udp" | "tcp" | "dtls" | "tls";

export interface Address {
  address: string;
  port: number;
}

/** What the verifier found out about a peer; kept with a DTLS session over restarts, so plain strings only. */
export type PeerIdentity = Readonly<Record<string, string>>;

/** One remote party on one connection or session. */
export interface Peer {
  /** Unique on this instance; a DTLS session that was carried over a restart keeps it. */
  readonly id: string;
  readonly transport: TransportKind;
  /** Where it is now; changes when a Connection ID session moves (RFC 9146 §6). */
  readonly remote: Address;
  /** What the verifier returned for its certificate; null without transport security. */
  readonly identity: PeerIdentity | null;
  /** True for a DTLS session that was loaded from the store. */
  readonly restored: boolean;
  readonly closed: boolean;
  /** First CoAP message id to use towards it: later than any used before, random for a new session. */
  readonly messageIdSeed: number;
  /**
   * Sends one datagram (udp, dtls), one record (tls, at most 16384 bytes) or a chunk (tcp).
   * Silently dropped when closed.
   */
  send(message: Uint8Array): void;
  /** Ends the session or connection, with close_notify where there is one. */
  close(): void;
  /** One datagram (udp, dtls), one record (tls) or a chunk of the stream (tcp). */
  onmessage: ((message: Uint8Array) => void) | null;
  onclose: ((reason: string) => void) | null;
}

/** Why a certificate was refused; each maps to one TLS alert. */
export type CertificateFault =
  | "unknown_ca"
  | "certificate_expired"
  | "certificate_not_yet_valid"
  | "certificate_revoked"
  | "bad_certificate"
  | "access_denied";

export type Verdict =
  | { ok: true; identity: PeerIdentity }
  | { ok: false; fault: CertificateFault; message: string };

/** Decides on a client's chain (DER, leaf first) during the handshake; must answer at once and not throw. */
export type Verifier = (chain: readonly Uint8Array[], remote: Address) => Verdict;

/** A handshake that did not become a session. */
export interface HandshakeFailure {
  remote: Address;
  transport: TransportKind;
  /** The alert we sent or got, by name (RFC 5246 §7.2), or null when it just fell silent. */
  alert: string | null;
  alertBy: "us" | "peer" | null;
  /** One sentence for a person. */
  message: string;
  /** The chain it presented, DER, leaf first; empty when it did not come so far. */
  chain: readonly Uint8Array[];
}

/** Credentials of a TLS or DTLS server. */
export interface ServerCredentials {
  /** DER, leaf first, then intermediates; the root is left out. */
  chain: readonly Uint8Array[];
  /** PKCS#8 DER, P-256. */
  privateKey: Uint8Array;
}

/** A DTLS session as it is kept on disk. `state` holds keys: the store seals it. */
export interface StoredSession {
  id: string;
  address: string;
  port: number;
  state: Uint8Array;
  /** Write sequence numbers (48 bits, with the epoch above them) below this may have been used. */
  reserved: bigint;
  /** Highest authenticated read sequence number known to be on disk. */
  readTop: bigint;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

/** Where established DTLS sessions live; every promise resolves when the row is on disk. */
export interface SessionStore {
  load(): Promise<StoredSession[]>;
  save(session: StoredSession): Promise<void>;
  reserve(id: string, upTo: bigint): Promise<void>;
  /** Noted now, written with the next commit. */
  touch(id: string, change: { readTop: bigint; address: string; port: number; expiresAt: number }): void;
  remove(id: string): void;
}

export interface Listener {
  readonly transport: TransportKind;
  readonly local: Address;
  peers(): Iterable<Peer>;
  /** Stops listening and closes every peer; persisted DTLS sessions are left as they are, without close_notify. */
  close(): Promise<void>;
}
