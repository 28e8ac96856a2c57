import type { Transaction } from "@/server/db";
import { accountOf, actorLabel, type Context } from "../context";
import { newId } from "../ids";

/** What may stand in the audit log: picked fields, never a whole row, for a row may hold secrets. */
export type AuditState = Readonly<Record<string, AuditValue | undefined>>;
export type AuditValue =
  | string
  | number
  | boolean
  | Date
  | null
  | readonly AuditValue[]
  | { readonly [name: string]: AuditValue | undefined };

export interface AuditChange {
  /** For instance device.updated. */
  action: string;
  /** What was changed: device, api-key, trusted-certificate and so on. */
  objectType: string;
  objectId: string;
  /** What it was and is; null where it was not, or is no more. */
  before: AuditState | null;
  after: AuditState | null;
  /** Where it is not the actor's own. */
  accountId?: string;
}

/** Longer texts are cut: the log tells of a change, it is no copy of what was changed. */
const MAX_TEXT = 4_000;
/** Names of fields that no caller should pass. */
const SECRET =
  /pass(word|phrase)|secret|private_?key|credential|authorization|(^|_)(hash|token)$|Hash$|Token$/i;
/** Values that are keys whatever their name: of this API, and PEM. */
const SECRET_VALUE = /\bak_[12][A-Za-z0-9]{43}[0-9a-f]{32}[A-Za-z0-9]{32}|-----BEGIN [A-Z ]*PRIVATE KEY-----/;

/** Writes down a change in the transaction that makes it: who changed what, for which request, and from what to what. */
export async function auditChange(
  ctx: Pick<Context, "actor" | "clock" | "requestId">,
  tx: Pick<Transaction, "auditEntry">,
  change: AuditChange,
): Promise<void> {
  const { actor } = ctx;
  const at = ctx.clock.now();
  const { action, objectType, objectId, before, after } = change;
  await tx.auditEntry.create({
    data: {
      id: newId(at),
      accountId: change.accountId ?? accountOf(actor),
      actor: actorLabel(actor),
      actorId: "id" in actor ? actor.id : null,
      action,
      objectType,
      objectId,
      before: before && text(before),
      after: after && text(after),
      requestId: ctx.requestId ?? null,
      at: new Date(at),
    },
  });
}

/** JSON of picked fields; dates become ISO strings by themselves. */
const text = (state: AuditState): string =>
  JSON.stringify(state, (name, value: unknown) => {
    if (SECRET.test(name) && value !== null && typeof value !== "boolean") return "(hidden)";
    if (typeof value !== "string") return value;
    if (SECRET_VALUE.test(value)) return "(hidden)";
    return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value;
  });
