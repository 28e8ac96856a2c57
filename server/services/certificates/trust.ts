import { type Context, requireSystem } from "../context";

/** A certificate that devices may come in by. */
export interface TrustAnchor {
  id: string;
  accountId: string;
  name: string;
  /** DER. */
  certificate: Uint8Array;
  fingerprint: string;
  status: string;
  developer: boolean;
  endpointName: string | null;
  notBefore: Date;
  notAfter: Date;
  service: string;
  /** Its devices belong to whichever account claims them. */
  enrollmentMode: boolean;
  createdAt: Date;
}

/** What all accounts trust; for the gateway. */
export async function loadTrust(ctx: Context): Promise<TrustAnchor[]> {
  requireSystem(ctx.actor);
  return ctx.db.trustedCertificate.findMany({
    select: {
      id: true,
      accountId: true,
      name: true,
      certificate: true,
      fingerprint: true,
      status: true,
      developer: true,
      endpointName: true,
      notBefore: true,
      notAfter: true,
      service: true,
      enrollmentMode: true,
      createdAt: true,
    },
    orderBy: [{ createdAt: "asc" }, { id: "asc" }],
  });
}
