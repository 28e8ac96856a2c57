import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import * as der from "./der";
import { type Name, readName } from "./names";

/** What a certificate says. */
export interface CertificateFacts {
  subject: Name;
  /** The subject in one line, for people. */
  subjectText: string;
  /** The issuer in one line, for people. */
  issuer: string;
  /** Hex. */
  serial: string;
  notBefore: Date;
  notAfter: Date;
  /** May issue certificates. */
  isCa: boolean;
  /** How many CAs may follow; null without a limit. */
  pathLength: number | null;
  /** Issued in its own name and signed with its own key. */
  selfSigned: boolean;
  /** SubjectPublicKeyInfo, DER. */
  publicKey: Uint8Array;
  /** SHA-256 of the DER, hex. */
  fingerprint: string;
}

/** More of a certificate: what a chain check needs. */
export interface ParsedCertificate extends Omit<CertificateFacts, "selfSigned"> {
  /** Subject and issuer, DER in hex, to compare. */
  subjectKey: string;
  issuerKey: string;
  signatureAlgorithm: string;
  /** What was signed, and the signature. */
  signed: Buffer;
  signature: Buffer;
  /** Null: no such extension, everything is allowed. */
  keyUsage: { digitalSignature: boolean; keyCertSign: boolean } | null;
  extendedKeyUsage: string[] | null;
  /** Critical extensions that nobody here understands. */
  unknownCritical: string[];
}

/** SHA-256 of a DER, hex in lower case. */
export const fingerprint = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Reads a certificate; throws DerError, in words, when it is none. */
export function parseCertificate(bytes: Uint8Array): CertificateFacts {
  const parsed = readCertificate(bytes);
  const { subject, subjectText, issuer, serial, notBefore, notAfter, isCa, pathLength, publicKey } = parsed;
  return {
    ...{ subject, subjectText, issuer, serial, notBefore, notAfter, isCa, pathLength, publicKey },
    fingerprint: parsed.fingerprint,
    selfSigned: parsed.subjectKey === parsed.issuerKey && isSignedBy(parsed, () => publicKeyOf(parsed)),
  };
}

/** What makes a CA the one it is, whatever else is written into a certificate of it: its name and its key. */
export function authorityOf(bytes: Uint8Array): string {
  try {
    const { subjectKey, publicKey } = readCertificate(bytes);
    return createHash("sha256").update(subjectKey).update(publicKey).digest("hex");
  } catch {
    // What cannot be read is the same as itself only.
    return fingerprint(bytes);
  }
}

/** The signature algorithms that are accepted: the type of key and the digest they stand for. */
const SIGNATURES: Readonly<Record<string, { key: string; digest: string | null }>> = {
  "1.2.840.10045.4.3.2": { key: "ec", digest: "sha256" },
  "1.2.840.10045.4.3.3": { key: "ec", digest: "sha384" },
  "1.2.840.10045.4.3.4": { key: "ec", digest: "sha512" },
  "1.2.840.113549.1.1.11": { key: "rsa", digest: "sha256" },
  "1.2.840.113549.1.1.12": { key: "rsa", digest: "sha384" },
  "1.2.840.113549.1.1.13": { key: "rsa", digest: "sha512" },
  "1.3.101.112": { key: "ed25519", digest: null },
  "1.3.101.113": { key: "ed448", digest: null },
};

/** Whether a certificate is signed with an algorithm that is not broken. */
export const hasAcceptedSignature = (certificate: ParsedCertificate) =>
  Object.hasOwn(SIGNATURES, certificate.signatureAlgorithm);

/** The key in a certificate, ready for use. */
export const publicKeyOf = (certificate: Pick<ParsedCertificate, "publicKey">): KeyObject =>
  createPublicKey({ key: Buffer.from(certificate.publicKey), format: "der", type: "spki" });

/** Whether the signature on a certificate was made with a key. */
export function isSignedBy(certificate: ParsedCertificate, key: () => KeyObject): boolean {
  const algorithm = SIGNATURES[certificate.signatureAlgorithm];
  if (!algorithm) return false;
  try {
    const publicKey = key();
    // node:crypto is several times faster than a new X509Certificate, which every handshake would need.
    return (
      publicKey.asymmetricKeyType === algorithm.key &&
      verify(algorithm.digest, certificate.signed, publicKey, certificate.signature)
    );
  } catch {
    return false;
  }
}

export const OID = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  certificatePolicies: "2.5.29.32",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  anyExtendedKeyUsage: "2.5.29.37.0",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
} as const;

/**
 * The extensions that are checked here, or that say nothing which would forbid the use of a device's certificate,
 * with the tag of their value.
 */
const FORMS: Readonly<Record<string, number>> = {
  [OID.subjectKeyIdentifier]: der.TAG.octetString,
  [OID.keyUsage]: der.TAG.bitString,
  [OID.subjectAltName]: der.TAG.sequence,
  [OID.basicConstraints]: der.TAG.sequence,
  [OID.certificatePolicies]: der.TAG.sequence,
  [OID.authorityKeyIdentifier]: der.TAG.sequence,
  [OID.extendedKeyUsage]: der.TAG.sequence,
};

/** Reads a certificate [RFC5280 §4.1]; throws DerError. */
export function readCertificate(bytes: Uint8Array): ParsedCertificate {
  const whole = der.readElement(bytes, "certificate");
  if (whole.tag !== der.TAG.sequence) throw new der.DerError("certificate: not a sequence");
  const outer = new der.Reader(whole.content, "certificate");
  const signed = outer.next(der.TAG.sequence, "certificate");
  const algorithm = outer.next(der.TAG.sequence, "signature algorithm");
  const signatureAlgorithm = der.readOid(
    new der.Reader(algorithm.content, "signature algorithm").next(der.TAG.oid),
  );
  const signature = outer.next(der.TAG.bitString, "signature").content.subarray(1);
  outer.end();
  const tbs = new der.Reader(signed.content, "certificate");

  tbs.optional(0xa0, "version");
  const serial = tbs.next(der.TAG.integer, "serial number").content.toString("hex");
  // [RFC5280 §4.1.1.2]: the same inside, where it is signed.
  if (!tbs.next(der.TAG.sequence, "signature algorithm").bytes.equals(algorithm.bytes))
    throw new der.DerError("signature algorithm: not the same inside and outside");
  const issuerNode = tbs.next(der.TAG.sequence, "issuer");
  const validity = tbs.into(der.TAG.sequence, "validity");
  const notBefore = der.readTime(validity.next(), "notBefore");
  const notAfter = der.readTime(validity.next(), "notAfter");
  const subjectNode = tbs.next(der.TAG.sequence, "subject");
  const publicKey = tbs.next(der.TAG.sequence, "public key").bytes;
  tbs.optional(0x81, "issuer unique id");
  tbs.optional(0x82, "subject unique id");
  const subject = readName(subjectNode.bytes);
  const parsed: ParsedCertificate = {
    subject: subject.name,
    subjectText: subject.text,
    issuer: readName(issuerNode.bytes).text,
    subjectKey: subjectNode.bytes.toString("hex"),
    issuerKey: issuerNode.bytes.toString("hex"),
    serial,
    notBefore,
    notAfter,
    isCa: false,
    pathLength: null,
    publicKey,
    fingerprint: fingerprint(bytes),
    signatureAlgorithm,
    signed: signed.bytes,
    signature,
    keyUsage: null,
    extendedKeyUsage: null,
    unknownCritical: [],
  };
  const wrapper = tbs.optional(0xa3, "extensions");
  tbs.end();
  if (wrapper) readExtensions(parsed, der.readElement(wrapper.content, "extensions").content);
  return parsed;
}

function readExtensions(parsed: ParsedCertificate, content: Uint8Array): void {
  const extensions = new der.Reader(content, "extensions");
  const seen = new Set<string>();
  while (extensions.more) {
    const extension = extensions.into(der.TAG.sequence, "extension");
    const oid = der.readOid(extension.next(der.TAG.oid, "extension id"));
    // [RFC5280 §4.2]: not more than one of a kind.
    if (seen.has(oid)) throw new der.DerError(`extension ${oid}: there twice`);
    seen.add(oid);
    const critical = extension.optional(der.TAG.boolean, "critical");
    const value = extension.next(der.TAG.octetString, `extension ${oid}`).content;
    extension.end();
    if (critical && der.readBoolean(critical) && !Object.hasOwn(FORMS, oid)) parsed.unknownCritical.push(oid);
    const form = FORMS[oid];
    if (form === undefined) continue;
    const whole = new der.Reader(value, `extension ${oid}`);
    const inner = whole.next(form).content;
    whole.end();
    if (oid === OID.basicConstraints) {
      const constraints = new der.Reader(inner, "basic constraints");
      const ca = constraints.optional(der.TAG.boolean, "basic constraints");
      parsed.isCa = ca !== null && der.readBoolean(ca);
      const limit = constraints.optional(der.TAG.integer, "path length");
      parsed.pathLength = limit && der.readSmallInteger(limit);
      constraints.end();
    } else if (oid === OID.keyUsage) {
      const bits = inner[1] ?? 0;
      parsed.keyUsage = { digitalSignature: (bits & 0x80) !== 0, keyCertSign: (bits & 0x04) !== 0 };
    } else if (oid === OID.extendedKeyUsage) {
      const purposes = new der.Reader(inner, "extended key usage");
      parsed.extendedKeyUsage = [];
      while (purposes.more) parsed.extendedKeyUsage.push(der.readOid(purposes.next(der.TAG.oid)));
    }
  }
}
