import type { Transaction } from "@/server/db";

/** A trusted certificate as the members of its account see it. */
export interface CertificateView {
  id: string;
  name: string;
  description: string;
  developer: boolean;
  endpointName: string | null;
  /** SHA-256 of the DER, hex. */
  fingerprint: string;
  subject: string;
  notBefore: Date;
  notAfter: Date;
  status: string;
  /** Devices in the directory that came in by it. */
  devicesUsed: number;
  deviceLimit: number;
  /** Its bundle was not downloaded yet. */
  downloadable: boolean;
  createdAt: Date;
  createdBy: string;
}

/** Devices that one developer certificate is meant for. */
export const DEVICES_PER_CERTIFICATE = 100;
/** Trusted certificates of one account. */
export const CERTIFICATES_PER_ACCOUNT = 50;

export const certificateSelect = {
  id: true,
  name: true,
  description: true,
  developer: true,
  endpointName: true,
  fingerprint: true,
  subject: true,
  notBefore: true,
  notAfter: true,
  status: true,
  downloadedAt: true,
  createdAt: true,
  createdBy: true,
  _count: { select: { devices: true } },
} as const satisfies NonNullable<Parameters<Transaction["trustedCertificate"]["findFirst"]>[0]>["select"];

type Row = Omit<CertificateView, "devicesUsed" | "deviceLimit" | "downloadable"> & {
  downloadedAt: Date | null;
  _count: { devices: number };
};

export function certificateView({ _count, downloadedAt, ...row }: Row): CertificateView {
  return {
    ...row,
    devicesUsed: _count.devices,
    deviceLimit: DEVICES_PER_CERTIFICATE,
    downloadable: row.developer && downloadedAt === null,
  };
}
