import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { isCertificate } from "./store";

const ECDSA_P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** More certificates than that the store does not take. */
const MAX_CHAIN = 5;

/** A fresh key and the request for a certificate on it, DER. */
export interface Enrolment {
  privateKey: Uint8Array;
  request: Uint8Array;
}

/** Who a certificate is for, in the order of its subject. */
export interface EnrolmentSubject {
  deviceId: string;
  accountId: string;
  endpointName: string;
}

/** Makes a P-256 key and a PKCS#10 request; a renewal asks for the usages its certificate has. */
export async function enrol(subject: EnrolmentSubject, renewal = false): Promise<Enrolment> {
  const keys = await webcrypto.subtle.generateKey(ECDSA_P256, true, ["sign", "verify"]);
  const text = (value: string) => [{ utf8String: value }];
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    {
      name: new x509.Name([
        { L: text(subject.deviceId) },
        { OU: text(subject.accountId) },
        { CN: text(subject.endpointName) },
      ]),
      keys,
      signingAlgorithm: ECDSA_P256,
      ...(renewal && {
        extensions: [
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([
            x509.ExtendedKeyUsage.clientAuth,
            x509.ExtendedKeyUsage.serverAuth,
          ]),
        ],
      }),
    },
    webcrypto as Crypto,
  );
  const privateKey = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { privateKey: new Uint8Array(privateKey), request: new Uint8Array(request.rawData) };
}

/** Reads `01 | n | n × (length, certificate)`, leaf first; null for anything else. */
export function readChain(payload: Uint8Array): Uint8Array[] | null {
  const bytes = Buffer.from(payload);
  const [version, count = 0] = bytes;
  if (version !== 1 || count < 1 || count > MAX_CHAIN) return null;
  const chain: Uint8Array[] = [];
  let at = 2;
  for (let left = count; left > 0; left--) {
    if (at + 2 > bytes.length) return null;
    const end = at + 2 + bytes.readUInt16BE(at);
    const certificate = new Uint8Array(bytes.subarray(at + 2, end));
    if (end > bytes.length || !isCertificate(certificate)) return null;
    chain.push(certificate);
    at = end;
  }
  return chain;
}
