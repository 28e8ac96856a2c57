import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type { HandshakeFailure, Peer, ServerCredentials, Verdict } from "@/server/transport";

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
      return { ok: false, fault: "unknown_ca", message: `${certificate.subject} is not from a trusted authority` };
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
  const body = Buffer.from(der).toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${body.join("\n")}\n-----END ${label}-----\n`;
}
