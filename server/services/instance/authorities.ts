import { type Credentials, fingerprint, parseCertificate, toPem } from "@/server/pki";
import { type Context, requireSystem } from "../context";
import { notFound } from "../errors";

export const authorityRoles = [
  "server-ca",
  "device-ca",
  "bootstrap-server",
  "lwm2m-server",
  "portal",
] as const;
export type AuthorityRole = (typeof authorityRoles)[number];

/** What the key of an authority is sealed for. */
export const authorityPurpose = (role: AuthorityRole) => `authority:${role}`;

/** Reads the sealed key of an authority; for the two servers themselves. */
export async function loadAuthority(ctx: Context, role: AuthorityRole): Promise<Credentials> {
  requireSystem(ctx.actor);
  const row = await ctx.db.authority.findUnique({
    where: { role },
    select: { certificate: true, privateKey: true },
  });
  if (!row) throw notFound(`The ${role} certificate`);
  return { certificate: row.certificate, privateKey: ctx.vault.open(row.privateKey, authorityPurpose(role)) };
}

/** The certificate of an authority, DER; it is public, and its key stays sealed. */
export async function getAuthorityCertificate(
  ctx: Pick<Context, "db">,
  role: AuthorityRole,
): Promise<Uint8Array> {
  const row = await ctx.db.authority.findUnique({ where: { role }, select: { certificate: true } });
  if (!row) throw notFound(`The ${role} certificate`);
  return row.certificate;
}

/** The CA that devices must know to trust the two services. */
export interface ServerCa {
  pem: string;
  der: Uint8Array;
  /** SHA-256 of the DER, hex. */
  fingerprint: string;
  subject: string;
  notAfter: Date;
}

/** The instance's own CA certificate; it is public. */
export async function getServerCa(ctx: Context): Promise<ServerCa> {
  const row = await ctx.db.authority.findUnique({
    where: { role: "server-ca" },
    select: { certificate: true, notAfter: true },
  });
  if (!row) throw notFound("The server CA");
  return {
    pem: toPem(row.certificate, "CERTIFICATE"),
    der: row.certificate,
    fingerprint: fingerprint(row.certificate),
    subject: parseCertificate(row.certificate).subjectText,
    notAfter: row.notAfter,
  };
}
