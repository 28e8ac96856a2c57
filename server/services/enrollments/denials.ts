import type { z } from "zod";
import { Prisma } from "@/server/db";
import { type Context, memberAccount } from "../context";
import { notFound, ServiceError } from "../errors";
import { compileFilters, type FilterFields } from "../filter";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { idInput, validate } from "../validate";

/** A device that was turned away though its certificate rests on one that the account trusts, or did. */
export interface Denial {
  id: string;
  accountId: string;
  endpointName: string;
  trustedCertificateId: string;
  at: Date;
}

/** What denials can be filtered by; the certificate has to be given. */
export const denialFilters = {
  endpoint_name: { sql: Prisma.sql`("data" ->> 'endpointName')`, kind: "text", operators: ["eq"] },
  trusted_certificate_id: {
    sql: Prisma.sql`("data" ->> 'trustedCertificateId')`,
    kind: "text",
    operators: ["eq"],
  },
} as const satisfies FilterFields;

/** Knocks that tell of a certificate and a name. */
const DENIALS = Prisma.sql`"deviceId" IS NULL AND "type" IN ('bootstrap.refused', 'handshake.failed')
  AND "data" ->> 'trustedCertificateId' IS NOT NULL AND "data" ->> 'endpointName' IS NOT NULL`;

const select = { id: true, accountId: true, data: true, at: true } as const;

function view(row: { id: string; accountId: string | null; data: string; at: Date }): Denial {
  const data = JSON.parse(row.data) as { endpointName: string; trustedCertificateId: string };
  const { endpointName, trustedCertificateId } = data;
  return { id: row.id, accountId: row.accountId ?? "", endpointName, trustedCertificateId, at: row.at };
}

/** A page of the devices that were turned away. */
export async function searchDenials(ctx: Context, input: PageInput = {}): Promise<Page<Denial>> {
  const accountId = memberAccount(ctx.actor);
  const page = validate(pageInput, input);
  if (!page.filters.some(({ field }) => field === "trusted_certificate_id"))
    throw new ServiceError("validation_error", "trusted_certificate_id__eq: is needed", [
      { name: "trusted_certificate_id__eq", message: "is needed" },
    ]);
  return findPage(
    ctx,
    Prisma.sql`"DeviceEvent"`,
    Prisma.sql`"accountId" = ${accountId} AND ${DENIALS}${compileFilters(denialFilters, page.filters)}`,
    page,
    async (ids) =>
      (await ctx.db.deviceEvent.findMany({ where: { accountId, id: { in: ids } }, select })).map(view),
  );
}

export const findDenialInput = idInput;

/** A device that was turned away. */
export async function findDenial(ctx: Context, input: z.input<typeof findDenialInput>): Promise<Denial> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(findDenialInput, input);
  const [found] = await ctx.db.$queryRaw<{ id: string }[]>`
    SELECT "id" FROM "DeviceEvent" WHERE "id" = ${id} AND "accountId" = ${accountId} AND ${DENIALS}`;
  const row = found && (await ctx.db.deviceEvent.findUnique({ where: { id: found.id }, select }));
  if (!row) throw notFound("Device enrollment denial");
  return view(row);
}
