import type { z } from "zod";
import type { Transaction } from "@/server/db";
import { Prisma } from "@/server/db";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { compileFilters, EQUALITY, type FilterFields, MEMBERSHIP } from "../filter";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { idInput, validate } from "../validate";

/** A trusted certificate with everything that the REST API tells of it. */
export interface TrustedCertificate {
  id: string;
  accountId: string;
  name: string;
  description: string;
  /** DER. */
  certificate: Uint8Array;
  /** SHA-256 of the DER, hex. */
  fingerprint: string;
  subject: string;
  issuer: string;
  notBefore: Date;
  notAfter: Date;
  service: "bootstrap" | "lwm2m";
  status: "ACTIVE" | "INACTIVE";
  developer: boolean;
  /** Its devices belong to whichever account claims them, and other accounts may trust it too. */
  enrollmentMode: boolean;
  /** When the account proved that it holds the key. */
  provenAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
}

const select = {
  id: true,
  accountId: true,
  name: true,
  description: true,
  certificate: true,
  fingerprint: true,
  subject: true,
  issuer: true,
  notBefore: true,
  notAfter: true,
  service: true,
  status: true,
  developer: true,
  enrollmentMode: true,
  provenAt: true,
  createdAt: true,
  updatedAt: true,
} as const satisfies NonNullable<Parameters<Transaction["trustedCertificate"]["findFirst"]>[0]>["select"];

const view = ({
  service,
  status,
  ...row
}: Omit<TrustedCertificate, "service" | "status"> & {
  service: string;
  status: string;
}): TrustedCertificate => ({
  ...row,
  service: service === "lwm2m" ? "lwm2m" : "bootstrap",
  status: status === "ACTIVE" ? "ACTIVE" : "INACTIVE",
});

const DAY_MS = 86_400_000;

/** What trusted certificates can be filtered by; `expire` is the number of days that are left. */
export const certificateFilters = (now: number) =>
  ({
    certificate_fingerprint: {
      sql: Prisma.sql`"fingerprint"`,
      kind: "text",
      operators: ["eq"],
      stored: (text) => text.replaceAll(":", "").toLowerCase(),
    },
    device_execution_mode: {
      sql: Prisma.sql`CASE WHEN "developer" THEN 1 ELSE 0 END`,
      kind: "integer",
      operators: EQUALITY,
    },
    enrollment_mode: { sql: Prisma.sql`"enrollmentMode"`, kind: "boolean", operators: ["eq"] },
    expire: {
      sql: Prisma.sql`CAST(("notAfter" - ${now}) / ${DAY_MS} AS INTEGER)`,
      kind: "integer",
      operators: ["eq"],
    },
    issuer: { sql: Prisma.sql`"issuer"`, kind: "text", operators: ["eq", "like"] },
    name: { sql: Prisma.sql`"name"`, kind: "text", operators: MEMBERSHIP },
    owner: { sql: Prisma.sql`"accountId"`, kind: "text", operators: ["eq"] },
    service: { sql: Prisma.sql`"service"`, kind: "text", operators: MEMBERSHIP },
    status: { sql: Prisma.sql`"status"`, kind: "text", operators: MEMBERSHIP },
    subject: { sql: Prisma.sql`"subject"`, kind: "text", operators: ["eq", "like"] },
    valid: {
      sql: Prisma.sql`CASE WHEN "notBefore" <= ${now} AND "notAfter" >= ${now} THEN 1 ELSE 0 END`,
      kind: "boolean",
      operators: ["eq"],
    },
  }) as const satisfies FilterFields;

/** A page of what the account trusts. */
export async function searchCertificates(
  ctx: Context,
  input: PageInput = {},
): Promise<Page<TrustedCertificate>> {
  const accountId = memberAccount(ctx.actor);
  const page = validate(pageInput, input);
  const fields = certificateFilters(ctx.clock.now());
  return findPage(
    ctx,
    Prisma.sql`"TrustedCertificate"`,
    Prisma.sql`"accountId" = ${accountId}${compileFilters(fields, page.filters)}`,
    page,
    async (ids) =>
      (await ctx.db.trustedCertificate.findMany({ where: { accountId, id: { in: ids } }, select })).map(view),
  );
}

export const findCertificateInput = idInput;

/** A certificate that the account trusts. */
export async function findCertificate(
  ctx: Context,
  input: z.input<typeof findCertificateInput>,
): Promise<TrustedCertificate> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(findCertificateInput, input);
  const row = await ctx.db.trustedCertificate.findFirst({ where: { id, accountId }, select });
  if (!row) throw notFound("Certificate");
  return view(row);
}
