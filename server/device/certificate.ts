import { createPrivateKey, X509Certificate } from "node:crypto";
import { parseCertificate } from "@/server/pki";

/** What a device reads out of its own certificate. */
export interface OwnCertificate {
  /** CN: the name to register with. */
  endpointName: string | null;
  /** L: the device ID the service gave it. */
  deviceId: string | null;
  notAfter: number;
}

/** Reads a certificate; throws when it is none. */
export function readOwnCertificate(der: Uint8Array): OwnCertificate {
  const { subject, notAfter } = parseCertificate(der);
  return { endpointName: subject.cn ?? null, deviceId: subject.l ?? null, notAfter: notAfter.getTime() };
}

/** Why these cannot be the credentials of a device, or null. DER only: PEM is refused. */
export function credentialFault(
  certificate: Uint8Array,
  privateKey: Uint8Array,
  serverCa: Uint8Array,
): string | null {
  const isDer = (bytes: Uint8Array) => bytes[0] === 0x30;
  try {
    if (!isDer(certificate)) return "The client certificate is not DER.";
    const leaf = new X509Certificate(certificate);
    if (!isDer(privateKey)) return "The private key is not DER.";
    const key = createPrivateKey({ key: Buffer.from(privateKey), format: "der", type: "pkcs8" });
    if (!leaf.checkPrivateKey(key)) return "The private key does not belong to the client certificate.";
  } catch {
    return "The client certificate or its key is unreadable.";
  }
  try {
    if (!isDer(serverCa)) return "The server certificate is not DER.";
    new X509Certificate(serverCa);
  } catch {
    return "The server certificate is unreadable.";
  }
  return null;
}
