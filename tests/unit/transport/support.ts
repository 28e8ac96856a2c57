import "reflect-metadata";
import { webcrypto, X509Certificate } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import * as x509 from "@peculiar/x509";
import type {
  HandshakeFailure,
  Peer,
  ServerCredentials,
  SessionStore,
  StoredSession,
  Verdict,
} from "@/server/transport";

x509.cryptoProvider.set(webcrypto as unknown as Crypto);
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY = 86_400_000;

export interface Authority extends ServerCredentials {
  certificate: Uint8Array;
  issue(name: string): Promise<ServerCredentials>;
}

/** A self-signed P-256 authority for one test. */
export async function makeAuthority(name: string): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const validity = { notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + 3650 * DAY) };
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys: keys as unknown as CryptoKeyPair,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    ...validity,
  });
  return {
    certificate: new Uint8Array(root.rawData),
    chain: [new Uint8Array(root.rawData)],
    privateKey: await pkcs8(keys.privateKey),
    async issue(subject) {
      const own = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
      const certificate = await x509.X509CertificateGenerator.create({
        subject: `CN=${subject}`,
        issuer: root.subject,
        signingKey: keys.privateKey as unknown as CryptoKey,
        publicKey: own.publicKey as unknown as CryptoKey,
        signingAlgorithm: ALGORITHM,
        ...validity,
      });
      return { chain: [new Uint8Array(certificate.rawData)], privateKey: await pkcs8(own.privateKey) };
    },
  };
}

async function pkcs8(key: webcrypto.CryptoKey): Promise<Uint8Array> {
  return new Uint8Array(await webcrypto.subtle.exportKey("pkcs8", key));
}

/** A verifier that trusts one authority and says the certificate's name. */
export function trust(authority: Authority): (chain: readonly Uint8Array[]) => Verdict {
  const issuer = new X509Certificate(authority.certificate);
  return ([leaf]) => {
    const certificate = new X509Certificate(leaf as Uint8Array);
    if (!certificate.verify(issuer.publicKey)) {
      return {
        ok: false,
        fault: "unknown_ca",
        message: `${certificate.subject} is not from a trusted authority`,
      };
    }
    return { ok: true, identity: { name: certificate.subject } };
  };
}

/** Collects what arrives and lets a test wait for it. */
export class Mailbox<T> {
  readonly all: T[] = [];
  #taken = 0;
  #waiting: (() => void)[] = [];

  readonly put = (item: T): void => {
    this.all.push(item);
    for (const wake of this.#waiting.splice(0)) wake();
  };

  /** The next item not taken yet. */
  async next(): Promise<T> {
    while (this.all.length <= this.#taken) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.all[this.#taken++] as T;
  }
}

/** Messages of a peer as text. */
export function inbox(peer: Peer): Mailbox<string> {
  const box = new Mailbox<string>();
  peer.onmessage = (message) => box.put(Buffer.from(message).toString("latin1"));
  return box;
}

export type Failures = Mailbox<HandshakeFailure>;

/** PEM of DER, for programs that want files. */
export function pem(label: string, der: Uint8Array): string {
  const body =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${body.join("\n")}\n-----END ${label}-----\n`;
}

/** A session store in memory that behaves like one on disk: what was not resolved is lost in a crash. */
export class MemoryStore implements SessionStore {
  rows = new Map<string, StoredSession>();
  /** Called before a write is made; lets a test hold it up or fail it. */
  before: (what: "save" | "reserve") => Promise<void> = () => Promise.resolve();
  readonly log: string[] = [];

  async load(): Promise<StoredSession[]> {
    return [...this.rows.values()].map((row) => ({ ...row }));
  }

  async save(session: StoredSession): Promise<void> {
    await this.before("save");
    this.log.push("save");
    this.rows.set(session.id, { ...session });
  }

  async reserve(id: string, upTo: bigint): Promise<void> {
    await this.before("reserve");
    this.log.push("reserve");
    const row = this.rows.get(id);
    if (row) row.reserved = upTo;
  }

  touch(id: string, change: Parameters<SessionStore["touch"]>[1]): void {
    const row = this.rows.get(id);
    if (row) Object.assign(row, change);
  }

  remove(id: string): void {
    this.log.push("remove");
    this.rows.delete(id);
  }

  /** The store as a new process would find it now. */
  copy(): MemoryStore {
    const copy = new MemoryStore();
    for (const [id, row] of this.rows) copy.rows.set(id, { ...row });
    return copy;
  }
}

/** A UDP proxy between a client and a server that records, repeats, drops and changes its own address. */
export class UdpProxy {
  readonly #inside = createSocket("udp4");
  #outside = createSocket("udp4");
  #client = 0;
  readonly toServer: Buffer[] = [];
  readonly toClient: Buffer[] = [];
  /** Decides on each datagram of the client. */
  pass: (datagram: Buffer) => boolean = () => true;
  /** Decides on each datagram of the server. */
  passBack: (datagram: Buffer) => boolean = () => true;

  private constructor(public server: number) {}

  static async start(server: number): Promise<UdpProxy> {
    const proxy = new UdpProxy(server);
    await bound(proxy.#inside);
    await proxy.move();
    proxy.#inside.on("message", (datagram, from) => {
      proxy.#client = from.port;
      proxy.toServer.push(datagram);
      if (proxy.pass(datagram)) proxy.sendToServer(datagram);
    });
    return proxy;
  }

  get port(): number {
    return this.#inside.address().port;
  }

  /** The address the server sees. */
  get outside(): number {
    return this.#outside.address().port;
  }

  /** Goes on from another port, as a NAT does. */
  async move(): Promise<void> {
    const before = this.#outside;
    this.#outside = createSocket("udp4");
    await bound(this.#outside);
    this.#outside.on("message", (datagram) => {
      this.toClient.push(datagram);
      if (this.passBack(datagram)) this.#inside.send(datagram, this.#client, "127.0.0.1");
    });
    before.close();
  }

  sendToServer(datagram: Buffer): void {
    this.#outside.send(datagram, this.server, "127.0.0.1");
  }

  close(): void {
    this.#inside.close();
    this.#outside.close();
  }
}

function bound(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.bind(0, "127.0.0.1", resolve));
}
