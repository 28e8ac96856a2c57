import {
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import { isIP } from "node:net";
import { hostname } from "node:os";
import { type Clock, systemClock } from "../clock";
import { parseHost } from "../config/host";
import * as der from "./der";
import { type Attribute, encodeName } from "./names";
import { fingerprint, OID, readCertificate } from "./parse";

/** A certificate with its key. */
export interface Credentials {
  /** DER. */
  certificate: Uint8Array;
  /** PKCS#8, DER. */
  privateKey: Uint8Array;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** Certificates are valid from a day ago: clocks of devices are slow, and some start at their last known time. */
const BACKDATE_MS = DAY_MS;

/** Pelion's client keeps a certificate in a buffer of this size (MAX_CERTIFICATE_SIZE). */
const MAX_CERTIFICATE_BYTES = 1024;

const SIGNATURE_ALGORITHM = der.sequence(der.oid(OID.ecdsaWithSha256));
const VERSION_3 = der.explicit(0, der.integer(Buffer.of(2)));
const DIGITAL_SIGNATURE = der.bitString(Buffer.of(0x80), 7);
const CERT_AND_CRL_SIGN = der.bitString(Buffer.of(0x06), 1);

function extension(oid: string, value: Uint8Array, critical = false): Buffer {
  const parts = [der.oid(oid), ...(critical ? [der.boolean(true)] : []), der.octetString(value)];
  return der.sequence(...parts);
}

const CA_PATH_0 = extension(
  OID.basicConstraints,
  der.sequence(der.boolean(true), der.integer(Buffer.of(0))),
  true,
);

// What stands before the key itself: PKCS#8 with an ECPrivateKey [RFC5958, RFC5915], and SubjectPublicKeyInfo [RFC5480].
const PKCS8_HEAD = Buffer.from(
  "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420",
  "hex",
);
const PKCS8_PUBLIC = Buffer.from("a144034200", "hex");
const SPKI_HEAD = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d030107034200", "hex");

/** A new P-256 key; ECDH makes one in a sixth of the time that generateKeyPairSync takes. */
function newKeyPair(): { publicKey: Buffer; privateKey: Buffer } {
  const ecdh = createECDH("prime256v1");
  const point = ecdh.generateKeys();
  const secret = ecdh.getPrivateKey();
  // Leading zeros are left out of it.
  const padding = Buffer.alloc(32 - secret.length);
  return {
    publicKey: Buffer.concat([SPKI_HEAD, point]),
    privateKey: Buffer.concat([PKCS8_HEAD, padding, secret, PKCS8_PUBLIC, point]),
  };
}

/** A positive serial number of 16 bytes. */
function newSerial(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return bytes;
}

/** SHA-1 of the key's bits, as a name and not for security [RFC5280 §4.2.1.2 (1)]. */
function keyIdentifier(publicKey: Uint8Array): Buffer {
  const spki = new der.Reader(publicKey, "public key").into(der.TAG.sequence, "public key");
  spki.next(der.TAG.sequence, "key algorithm");
  return createHash("sha1").update(spki.next(der.TAG.bitString, "key bits").content.subarray(1)).digest();
}

const subjectKeyIdentifier = (id: Uint8Array) => extension(OID.subjectKeyIdentifier, der.octetString(id));
const authorityKeyIdentifier = (id: Uint8Array) =>
  extension(OID.authorityKeyIdentifier, der.sequence(der.implicit(0, id)));

interface Fields {
  issuer: Uint8Array;
  subject: Uint8Array;
  notBefore: Date;
  notAfter: Date;
  publicKey: Uint8Array;
  extensions: readonly Uint8Array[];
}

function signCertificate(fields: Fields, key: KeyObject): Buffer {
  const tbs = der.sequence(
    VERSION_3,
    der.integer(newSerial()),
    SIGNATURE_ALGORITHM,
    fields.issuer,
    der.sequence(der.time(fields.notBefore), der.time(fields.notAfter)),
    fields.subject,
    fields.publicKey,
    der.explicit(3, der.sequence(...fields.extensions)),
  );
  return der.sequence(tbs, SIGNATURE_ALGORITHM, der.bitString(sign("sha256", tbs, key)));
}

const pkcs8 = (privateKey: Uint8Array) =>
  createPrivateKey({ key: Buffer.from(privateKey), format: "der", type: "pkcs8" });

function addYears(date: Date, years: number): Date {
  const later = new Date(date);
  later.setUTCFullYear(later.getUTCFullYear() + years);
  return later;
}

/** A new self-signed CA, P-256, that issues end certificates only. */
export function createRootAuthority(name: string, years = 20, clock: Clock = systemClock): Credentials {
  const keys = newKeyPair();
  const notBefore = new Date(clock.now() - BACKDATE_MS);
  const subject = encodeName([
    ["O", "Gangway"],
    ["CN", name],
  ]);
  const id = keyIdentifier(keys.publicKey);
  const certificate = signCertificate(
    {
      issuer: subject,
      subject,
      notBefore,
      notAfter: addYears(notBefore, years),
      publicKey: keys.publicKey,
      extensions: [
        CA_PATH_0,
        extension(OID.keyUsage, CERT_AND_CRL_SIGN, true),
        subjectKeyIdentifier(id),
        authorityKeyIdentifier(id),
      ],
    },
    pkcs8(keys.privateKey),
  );
  return { certificate, privateKey: keys.privateKey };
}

/** What a signing CA is, read once. */
function issuerOf(authority: Credentials) {
  const facts = readCertificate(authority.certificate);
  return {
    name: Buffer.from(facts.subjectKey, "hex"),
    keyId: keyIdentifier(facts.publicKey),
    notAfter: facts.notAfter,
    key: pkcs8(authority.privateKey),
  };
}

/** A certificate for a server under all the names by which this machine may be reached, `hosts` first. */
export function createServerCertificate(
  authority: Credentials,
  options: { hosts: readonly string[]; days: number },
  clock: Clock = systemClock,
): Credentials & { notAfter: Date } {
  const issuer = issuerOf(authority);
  const keys = newKeyPair();
  const now = clock.now();
  const notAfter = new Date(Math.min(now + options.days * DAY_MS, issuer.notAfter.getTime()));
  const hosts = [...options.hosts, "localhost", "127.0.0.1", "::1", hostname()].flatMap(
    (host) => parseHost(host)?.replace(/\.$/, "") ?? [],
  );
  const names = [...new Set(hosts)];
  const certificate = signCertificate(
    {
      issuer: issuer.name,
      subject: encodeName([
        ["O", "Gangway"],
        ["CN", names[0] as string],
      ]),
      notBefore: new Date(now - BACKDATE_MS),
      notAfter,
      publicKey: keys.publicKey,
      extensions: [
        extension(OID.keyUsage, DIGITAL_SIGNATURE, true),
        extension(OID.extendedKeyUsage, der.sequence(der.oid(OID.serverAuth))),
        extension(OID.subjectAltName, der.sequence(...names.map(generalName))),
        subjectKeyIdentifier(keyIdentifier(keys.publicKey)),
        authorityKeyIdentifier(issuer.keyId),
      ],
    },
    issuer.key,
  );
  return { certificate, privateKey: keys.privateKey, notAfter };
}

/** dNSName or iPAddress [RFC5280 §4.2.1.6]. */
function generalName(host: string): Buffer {
  if (isIP(host) === 0) return der.implicit(2, Buffer.from(host, "latin1"));
  return der.implicit(7, isIP(host) === 4 ? Buffer.from(host.split(".").map(Number)) : ipv6Bytes(host));
}

function ipv6Bytes(host: string): Buffer {
  // The URL parser writes every form of an address, a dotted tail included, in hex groups.
  const [head = "", tail] = new URL(`http://[${host.replace(/%.*$/, "")}]`).hostname.slice(1, -1).split("::");
  const groups = (text: string) => text.split(":").filter(Boolean);
  const [before, after] = [groups(head), groups(tail ?? "")];
  const all = [...before, ...Array<string>(8 - before.length - after.length).fill("0"), ...after];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}

/** Marks developer certificates as Pelion does: an extension with an INTEGER. */
const DEVELOPER_MARK = extension("1.3.6.1.4.1.4128.201", der.integer(Buffer.of(0x40, 0x00, 0x91)));

/** A developer certificate: self-signed, its own anchor, shared by a developer's devices; ten years. */
export function createDeveloperCertificate(
  options: { accountId: string; endpointName: string },
  clock: Clock = systemClock,
): Credentials {
  const keys = newKeyPair();
  const notBefore = new Date(clock.now() - BACKDATE_MS);
  const subject = encodeName([
    ["C", "XX"],
    ["ST", "Gangway"],
    ["L", "Gangway"],
    ["O", "Gangway"],
    ["OU", options.accountId],
    ["CN", options.endpointName],
  ]);
  const certificate = signCertificate(
    {
      issuer: subject,
      subject,
      notBefore,
      notAfter: addYears(notBefore, 10),
      publicKey: keys.publicKey,
      extensions: [DEVELOPER_MARK, CA_PATH_0],
    },
    pkcs8(keys.privateKey),
  );
  return { certificate: fitting(certificate), privateKey: keys.privateKey };
}

function fitting(certificate: Buffer): Buffer {
  if (certificate.length >= MAX_CERTIFICATE_BYTES) {
    throw new Error(
      `The certificate would have ${certificate.length} bytes, and devices hold less than ${MAX_CERTIFICATE_BYTES}: its endpoint name is too long.`,
    );
  }
  return certificate;
}

export interface DeviceCertificateRequest {
  deviceId: string;
  accountId: string;
  endpointName: string;
  /** Default: a day ago. */
  notBefore?: Date;
  notAfter: Date;
  /** SubjectPublicKeyInfo (DER) of a device that made its own key. */
  publicKey?: Uint8Array;
}

export interface IssuedCertificate {
  /** DER. */
  certificate: Uint8Array;
  /** PKCS#8, DER; null when the device made its own key. */
  privateKey: Uint8Array | null;
  /** SHA-256 of the certificate, hex. */
  fingerprint: string;
  notAfter: Date;
}

/**
 * Issues the certificates that devices register with; what they have in common is encoded once. Nothing stands in them that
 * is not needed: Pelion's client takes its enrolment in messages of 512 bytes, and when it gets the first of two twice, as
 * on any bad network, it makes a broken certificate of them.
 */
export class DeviceCertificateIssuer {
  readonly #issuer: ReturnType<typeof issuerOf>;
  readonly #extensions: readonly Buffer[];

  constructor(
    authority: Credentials,
    private readonly clock: Clock = systemClock,
  ) {
    this.#issuer = issuerOf(authority);
    this.#extensions = [
      extension(OID.keyUsage, DIGITAL_SIGNATURE, true),
      extension(OID.extendedKeyUsage, der.sequence(der.oid(OID.clientAuth))),
      authorityKeyIdentifier(this.#issuer.keyId),
    ];
  }

  /** One certificate with the subject `L=<device id>, OU=<account id>, CN=<endpoint name>`. */
  issue(request: DeviceCertificateRequest): IssuedCertificate {
    const keys = request.publicKey ? null : newKeyPair();
    const publicKey = keys?.publicKey ?? checkedPublicKey(request.publicKey as Uint8Array);
    const notAfter = new Date(Math.min(request.notAfter.getTime(), this.#issuer.notAfter.getTime()));
    const subject: Attribute[] = [
      ["L", request.deviceId],
      ["OU", request.accountId],
      ["CN", request.endpointName],
    ];
    const certificate = fitting(
      signCertificate(
        {
          issuer: this.#issuer.name,
          subject: encodeName(subject),
          notBefore: request.notBefore ?? new Date(this.clock.now() - BACKDATE_MS),
          notAfter,
          publicKey,
          extensions: this.#extensions,
        },
        this.#issuer.key,
      ),
    );
    return {
      certificate,
      privateKey: keys?.privateKey ?? null,
      fingerprint: fingerprint(certificate),
      notAfter,
    };
  }
}

/** A P-256 key, encoded anew, so that nothing else gets into the certificate. */
function checkedPublicKey(spki: Uint8Array): Buffer {
  const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1")
    throw new Error("The device's key must be on the curve P-256.");
  return key.export({ format: "der", type: "spki" });
}
