import {
  type Credentials,
  createRootAuthority,
  createServerCertificate,
  parseCertificate,
} from "@/server/pki";
import { type Context, requireSystem } from "../context";
import { isUniqueViolation } from "../transaction";
import { type AuthorityRole, authorityPurpose, loadAuthority } from "./authorities";
import { getSetting, PUBLIC_HOST, putSetting } from "./settings";

const DAY_MS = 86_400_000;
/** Roots outlive the devices that hold them. */
const ROOT_YEARS = 20;
const SERVER_DAYS = 397;
/** A server certificate with less left is made anew. */
const RENEW_MS = 30 * DAY_MS;

const roots = { "server-ca": "Gangway Server CA", "device-ca": "Gangway Device CA" } as const;
const servers = ["bootstrap-server", "lwm2m-server", "portal"] as const;

/**
 * Makes what the instance needs before it can talk to anyone: its CAs, and server certificates for its name. Run by
 * both processes at once, the first wins.
 */
export async function ensureInstance(
  ctx: Context,
  input: {
    publicHost: string;
    /** False: leave alone what is there, whatever its host. */
    renew?: boolean;
  },
): Promise<void> {
  requireSystem(ctx.actor);
  const present = new Map(
    (await ctx.db.authority.findMany({ select: { role: true, notAfter: true } })).map((row) => [
      row.role,
      row.notAfter,
    ]),
  );
  for (const [role, name] of Object.entries(roots) as [keyof typeof roots, string][]) {
    if (!present.has(role)) await insert(ctx, role, createRootAuthority(name, ROOT_YEARS, ctx.clock));
  }
  const renew = input.renew ?? true;
  const renamed = (await getSetting(ctx, PUBLIC_HOST)) !== input.publicHost;
  const limit = ctx.clock.now() + RENEW_MS;
  let authority: Credentials | null = null;
  for (const role of servers) {
    const notAfter = present.get(role);
    if (notAfter && (!renew || (notAfter.getTime() > limit && !renamed))) continue;
    authority ??= await loadAuthority(ctx, "server-ca");
    const made = createServerCertificate(
      authority,
      { hosts: [input.publicHost], days: SERVER_DAYS },
      ctx.clock,
    );
    if (notAfter) await replace(ctx, role, made, notAfter);
    else await insert(ctx, role, made);
  }
  if (renamed && (renew || !present.has("portal"))) await putSetting(ctx, PUBLIC_HOST, input.publicHost);
}

const sealed = (ctx: Context, role: AuthorityRole, { certificate, privateKey }: Credentials) => ({
  certificate: Uint8Array.from(certificate),
  privateKey: Uint8Array.from(ctx.vault.seal(privateKey, authorityPurpose(role))),
  notAfter: parseCertificate(certificate).notAfter,
  createdAt: new Date(ctx.clock.now()),
});

async function insert(ctx: Context, role: AuthorityRole, pair: Credentials): Promise<void> {
  try {
    await ctx.db.authority.create({ data: { role, ...sealed(ctx, role, pair) } });
  } catch (error) {
    // The other process was faster; what it made is as good.
    if (!isUniqueViolation(error)) throw error;
  }
}

async function replace(ctx: Context, role: AuthorityRole, pair: Credentials, notAfter: Date): Promise<void> {
  await ctx.db.authority.updateMany({ where: { role, notAfter }, data: sealed(ctx, role, pair) });
}
