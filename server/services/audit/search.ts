import type { z } from "zod";
import { Prisma } from "@/server/db";
import { type Context, requireAdministrator } from "../context";
import { notFound } from "../errors";
import { compileFilters, type FilterFields, MEMBERSHIP, RANGE } from "../filter";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { idInput, validate } from "../validate";

/** A change that somebody made. */
export interface AuditEntryView {
  id: string;
  accountId: string;
  /** As in the timeline: user:…, key:…, operator or system. */
  actor: string;
  actorId: string | null;
  action: string;
  objectType: string;
  objectId: string;
  /** What it was and is; null where it was not, or is no more. */
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
  requestId: string | null;
  at: Date;
}

/** What the audit log can be filtered by. */
export const auditFilters = {
  actor: { sql: Prisma.sql`"actor"`, kind: "text", operators: MEMBERSHIP },
  actor_id: { sql: Prisma.sql`"actorId"`, kind: "text", operators: MEMBERSHIP },
  action: { sql: Prisma.sql`"action"`, kind: "text", operators: MEMBERSHIP },
  object_type: { sql: Prisma.sql`"objectType"`, kind: "text", operators: MEMBERSHIP },
  object_id: { sql: Prisma.sql`"objectId"`, kind: "text", operators: MEMBERSHIP },
  request_id: { sql: Prisma.sql`"requestId"`, kind: "text", operators: MEMBERSHIP },
  created_at: { sql: Prisma.sql`"at"`, kind: "time", operators: RANGE },
} as const satisfies FilterFields;

type Row = Omit<AuditEntryView, "before" | "after"> & { before: string | null; after: string | null };

const read = (text: string | null) => (text === null ? null : (JSON.parse(text) as Record<string, unknown>));
const view = ({ before, after, ...row }: Row): AuditEntryView => ({
  ...row,
  before: read(before),
  after: read(after),
});

/** A page of the account's audit log; only administrators read it. */
export async function searchAuditLog(ctx: Context, input: PageInput = {}): Promise<Page<AuditEntryView>> {
  const accountId = requireAdministrator(ctx.actor);
  const page = validate(pageInput, input);
  return findPage(
    ctx,
    Prisma.sql`"AuditEntry"`,
    Prisma.sql`"accountId" = ${accountId}${compileFilters(auditFilters, page.filters)}`,
    page,
    async (ids) => (await ctx.db.auditEntry.findMany({ where: { accountId, id: { in: ids } } })).map(view),
  );
}

export const findAuditEntryInput = idInput;

/** One change. */
export async function findAuditEntry(
  ctx: Context,
  input: z.input<typeof findAuditEntryInput>,
): Promise<AuditEntryView> {
  const accountId = requireAdministrator(ctx.actor);
  const { id } = validate(findAuditEntryInput, input);
  const row = await ctx.db.auditEntry.findFirst({ where: { id, accountId } });
  if (!row) throw notFound("Audit log entry");
  return view(row);
}
