import type { KeyObject } from "node:crypto";
import type { CertificateFault } from "../transport/types";
import {
  fingerprint,
  hasAcceptedSignature,
  isSignedBy,
  OID,
  type ParsedCertificate,
  publicKeyOf,
  readCertificate,
} from "./parse";

/** Something that certificates may rest on. */
export interface Anchor {
  /** DER. */
  certificate: Uint8Array;
  /** SHA-256 of the DER, hex. */
  fingerprint: string;
  /** Anything but ACTIVE refuses what rests on it. */
  status?: string;
  /** A developer certificate stands for itself only: its key is handed out, and must not make other devices. */
  developer?: boolean;
  /** As its owner calls it. */
  name?: string;
  /** Whose devices those are that rest on it, where that follows from it. */
  owner?: string | null;
}

/** What is kept of a certificate that was verified. */
export type VerifiedCertificate = Pick<
  ParsedCertificate,
  "subject" | "subjectText" | "fingerprint" | "notBefore" | "notAfter"
>;

export type ChainVerdict<A extends Anchor = Anchor> =
  | { ok: true; anchor: A; leaf: VerifiedCertificate }
  | { ok: false; fault: CertificateFault; message: string };

/** More certificates than this in a chain are nobody's. */
const MAX_CHAIN = 8;

/** How many leaf certificates are remembered with their path: shared ones come again, a device's own hardly ever. */
const REMEMBERED_PATHS = 256;

interface Path<A extends Anchor> {
  anchor: A;
  leaf: VerifiedCertificate;
  /** From the leaf's issuer to the anchor; empty when the leaf is the anchor. */
  issuers: VerifiedCertificate[];
}

interface Issuer<A extends Anchor> {
  anchor: A;
  parsed: ParsedCertificate;
  key: () => KeyObject;
}

/** The anchors by what they are looked up by, and what was verified against them. */
interface Index<A extends Anchor> {
  byFingerprint: Map<string, A>;
  bySubject: Map<string, Issuer<A>[]>;
  /** Which comes first. */
  places: Map<A, number>;
  /** By fingerprint of the leaf, least recently used first. */
  paths: Map<string, Path<A>>;
}

const indexes = new WeakMap<readonly Anchor[], Index<Anchor>>();

function indexOf<A extends Anchor>(anchors: readonly A[]): Index<A> {
  const known = indexes.get(anchors) as Index<A> | undefined;
  if (known) return known;
  const index: Index<A> = {
    byFingerprint: new Map(),
    bySubject: new Map(),
    places: new Map(anchors.map((anchor, place) => [anchor, place])),
    paths: new Map(),
  };
  for (const anchor of anchors) {
    index.byFingerprint.set(anchor.fingerprint, anchor);
    if (anchor.developer) continue;
    try {
      const parsed = readCertificate(anchor.certificate);
      const same = index.bySubject.get(parsed.subjectKey) ?? [];
      let key: KeyObject | null = null;
      same.push({ anchor, parsed, key: () => (key ??= publicKeyOf(parsed)) });
      index.bySubject.set(parsed.subjectKey, same);
    } catch {
      // It can still be presented as it is; nothing can rest on it.
    }
  }
  indexes.set(anchors, index as unknown as Index<Anchor>);
  return index;
}

class Refusal extends Error {
  constructor(
    readonly fault: CertificateFault,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Checks a client's chain (DER, leaf first) against what is trusted [RFC5280 §6].
 * Where it rests on anchors of several owners, one above the other, the owner counts whose anchor comes first: nobody gets
 * at the devices of a CA by trusting one that it signed, or that signed it.
 * `anchors` is indexed at first use: pass a new array when something changed. Never throws.
 */
export function verifyChain<A extends Anchor>(
  chain: readonly Uint8Array[],
  anchors: readonly A[],
  at: Date,
): ChainVerdict<A> {
  try {
    const [first] = chain;
    if (!first) throw new Refusal("bad_certificate", "The device presented no certificate.");
    const index = indexOf(anchors);
    const print = fingerprint(first);
    const path = index.paths.get(print) ?? findPath(chain, print, index);
    index.paths.delete(print);
    index.paths.set(print, path);
    if (index.paths.size > REMEMBERED_PATHS) {
      const [oldest] = index.paths.keys();
      index.paths.delete(oldest as string);
    }
    checkValidity(path, at);
    if (path.anchor.status !== undefined && path.anchor.status !== "ACTIVE") {
      const name = path.anchor.name ?? (path.issuers.at(-1) ?? path.leaf).subjectText;
      throw new Refusal("access_denied", `The trusted certificate “${name}” is switched off.`);
    }
    return { ok: true, anchor: path.anchor, leaf: path.leaf };
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, fault: error.fault, message: error.message };
    return {
      ok: false,
      fault: "bad_certificate",
      message: `The device's certificate cannot be read: ${(error as Error).message}.`,
    };
  }
}

function findPath<A extends Anchor>(chain: readonly Uint8Array[], print: string, index: Index<A>): Path<A> {
  if (chain.length > MAX_CHAIN)
    throw new Refusal(
      "bad_certificate",
      `The device presented ${chain.length} certificates; ${MAX_CHAIN} are allowed.`,
    );
  const [leaf, ...others] = chain.map((der) => readCertificate(der)) as [
    ParsedCertificate,
    ...ParsedCertificate[],
  ];
  checkExtensions(leaf);
  if (leaf.extendedKeyUsage && !allowsClients(leaf.extendedKeyUsage))
    throw new Refusal("bad_certificate", `${quoted(leaf)} is not meant for clients (extended key usage).`);
  if (leaf.keyUsage && !leaf.keyUsage.digitalSignature)
    throw new Refusal("bad_certificate", `${quoted(leaf)} is not meant for signatures (key usage).`);
  const itself = index.byFingerprint.get(print);
  if (itself) return { anchor: itself, leaf: kept(leaf), issuers: [] };

  const found: Path<A>[] = [];
  try {
    for (const one of climb(leaf, others, index)) found.push(one);
  } catch (error) {
    // What is above an anchor is not needed.
    if (found.length === 0) throw error;
  }
  const placeOf = ({ anchor }: Path<A>) => index.places.get(anchor) ?? 0;
  const first = found.reduce((one, other) => (placeOf(other) < placeOf(one) ? other : one));
  const { owner } = first.anchor;
  // Of those of one owner the lowest says the most.
  return (owner && found.find(({ anchor }) => anchor.owner === owner)) || first;
}

/** The anchors that a leaf rests on, from the bottom up; throws when nothing more is found. */
function* climb<A extends Anchor>(
  leaf: ParsedCertificate,
  others: readonly ParsedCertificate[],
  index: Index<A>,
): Generator<Path<A>, never> {
  const path = [leaf];
  let misnamed: ParsedCertificate | null = null;
  for (let current = leaf; path.length <= MAX_CHAIN; ) {
    if (!hasAcceptedSignature(current)) {
      throw new Refusal(
        "bad_certificate",
        `${quoted(current)} is signed with an algorithm that is not accepted (${current.signatureAlgorithm}).`,
      );
    }
    for (const { anchor, parsed, key } of index.bySubject.get(current.issuerKey) ?? []) {
      if (isSignedBy(current, key)) {
        checkIssuer(parsed, path.length - 1);
        yield { anchor, leaf: kept(leaf), issuers: [...path.slice(1), parsed].map(kept) };
        break;
      }
      misnamed = parsed;
    }
    const next = others.find(
      (other) =>
        other.subjectKey === current.issuerKey &&
        !path.includes(other) &&
        isSignedBy(current, () => publicKeyOf(other)),
    );
    if (!next) throw unknown(current, misnamed, leaf);
    checkExtensions(next);
    checkIssuer(next, path.length - 1);
    path.push(next);
    current = next;
  }
  throw new Refusal("bad_certificate", `The chain of ${quoted(leaf)} is too long.`);
}

function kept({
  subject,
  subjectText,
  fingerprint,
  notBefore,
  notAfter,
}: ParsedCertificate): VerifiedCertificate {
  return { subject, subjectText, fingerprint, notBefore, notAfter };
}

function unknown(
  top: ParsedCertificate,
  misnamed: ParsedCertificate | null,
  leaf: ParsedCertificate,
): Refusal {
  const via = top === leaf ? "" : ` (by way of “${top.subjectText}”)`;
  if (misnamed) {
    return new Refusal(
      "unknown_ca",
      `${quoted(leaf)}${via} names “${top.issuer}” as its issuer, but was not signed by the trusted certificate of that name.`,
    );
  }
  if (top.subjectKey === top.issuerKey) {
    return new Refusal(
      "unknown_ca",
      top === leaf
        ? `${quoted(leaf)} is self-signed and not among the trusted certificates (SHA-256 ${leaf.fingerprint}).`
        : `${quoted(leaf)} rests on “${top.subjectText}”, which no account trusts (SHA-256 ${top.fingerprint}).`,
    );
  }
  return new Refusal(
    "unknown_ca",
    `${quoted(leaf)}${via} was issued by “${top.issuer}”, which no account trusts.`,
  );
}

const quoted = (certificate: Pick<ParsedCertificate, "subjectText">) =>
  `The certificate “${certificate.subjectText}”`;

function checkExtensions(certificate: ParsedCertificate): void {
  const [oid] = certificate.unknownCritical;
  // [RFC5280 §4.2]
  if (oid)
    throw new Refusal(
      "bad_certificate",
      `${quoted(certificate)} has a critical extension that is not known here (${oid}).`,
    );
}

function checkIssuer(certificate: ParsedCertificate, casBelow: number): void {
  if (!certificate.isCa || (certificate.keyUsage && !certificate.keyUsage.keyCertSign))
    throw new Refusal("bad_certificate", `${quoted(certificate)} may not issue certificates.`);
  if (certificate.pathLength !== null && casBelow > certificate.pathLength)
    throw new Refusal(
      "bad_certificate",
      `${quoted(certificate)} allows ${certificate.pathLength} CAs below it, not ${casBelow}.`,
    );
}

function allowsClients(purposes: readonly string[]): boolean {
  return purposes.includes(OID.clientAuth) || purposes.includes(OID.anyExtendedKeyUsage);
}

function checkValidity({ leaf, issuers }: Path<Anchor>, at: Date): void {
  for (const certificate of [leaf, ...issuers]) {
    const what =
      certificate === leaf
        ? quoted(leaf)
        : `The CA certificate “${certificate.subjectText}”, which the device's rests on,`;
    if (at < certificate.notBefore) {
      throw new Refusal(
        "certificate_not_yet_valid",
        `${what} is not valid before ${utc(certificate.notBefore)}; it is ${utc(at)} now.`,
      );
    }
    if (at > certificate.notAfter)
      throw new Refusal("certificate_expired", `${what} expired on ${utc(certificate.notAfter)}.`);
  }
}

const utc = (date: Date) => `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
