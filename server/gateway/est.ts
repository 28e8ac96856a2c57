import type { Clock } from "@/server/clock";
import type { OutgoingResponse } from "@/server/coap";
import { DerError, type DeviceCertificateIssuer, parseCertificateRequest } from "@/server/pki";

/** Whom a certificate is for. */
export interface EnrolmentSubject {
  deviceId: string;
  accountId: string;
  endpointName: string;
}

export interface Enrolled {
  certificate: Uint8Array;
  fingerprint: string;
  /** Milliseconds since 1970. */
  notAfter: number;
}

/** Certificates for keys that devices made themselves: EST as Pelion's client speaks it, over CoAP at /est/sen. */
export class CertificateEnrolment {
  constructor(
    private readonly issuer: DeviceCertificateIssuer,
    private readonly clock: Clock,
    /** How long a certificate is valid, ms. */
    private readonly lifetimeMs: number,
  ) {}

  /** Issues a certificate for the key of a PKCS#10 request; throws DerError when the request is none. */
  enrol(request: Uint8Array, subject: EnrolmentSubject): Enrolled {
    const { publicKey, subject: asked } = parseCertificateRequest(request);
    if (asked.cn !== null && asked.cn !== subject.endpointName)
      throw new DerError(
        `it asks for a certificate of ${asked.cn.slice(0, 80)}, but is ${subject.endpointName}`,
      );
    let issued: ReturnType<DeviceCertificateIssuer["issue"]>;
    try {
      issued = this.issuer.issue({
        ...subject,
        publicKey,
        notAfter: new Date(this.clock.now() + this.lifetimeMs),
      });
    } catch (error) {
      throw new DerError((error as Error).message);
    }
    return {
      certificate: issued.certificate,
      fingerprint: issued.fingerprint,
      notAfter: issued.notAfter.getTime(),
    };
  }
}

/** The answer Pelion's client reads: 01, the number of certificates, then each with its length, leaf first. */
export function enrolmentAnswer(certificates: readonly Uint8Array[]): OutgoingResponse {
  const parts: Uint8Array[] = [Uint8Array.of(1, certificates.length)];
  for (const certificate of certificates)
    parts.push(Uint8Array.of(certificate.length >> 8, certificate.length & 255), certificate);
  return { code: "2.04", payload: Buffer.concat(parts) };
}

/** Whether a request is for a LwM2M certificate. */
export const isEnrolment = (path: readonly string[]) =>
  path.length === 2 && path[0] === "est" && path[1] === "sen";
