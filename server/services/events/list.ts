import { z } from "zod";
import { type Context, memberAccount } from "../context";
import { seesInstance } from "../instance/operator";
import { idField, validate } from "../validate";
import { type EventOutcome, type EventView, eventCategories } from "./types";

export const listEventsInput = z.object({
  deviceId: idField.optional(),
  /** Only what never became a device: failed handshakes and refused strangers. */
  knocks: z.boolean().default(false),
  category: z.enum(eventCategories).optional(),
  outcome: z.enum(["SUCCESS", "FAIL", "SKIPPED", "INFO"]).optional(),
  /** Id of an event: only older ones. */
  before: idField.optional(),
  /** Id of an event: only newer ones. */
  after: idField.optional(),
  limit: z.number().int().min(1).max(200).default(50),
});

export interface EventList {
  rows: EventView[];
  /** There are older ones (or, with `after` alone, newer ones). */
  more: boolean;
}

export const eventSelect = {
  id: true,
  deviceId: true,
  type: true,
  category: true,
  outcome: true,
  description: true,
  data: true,
  stateChange: true,
  actor: true,
  at: true,
} as const;

export function eventView(
  row: Omit<EventView, "data" | "at" | "outcome"> & { outcome: string; data: string; at: Date },
): EventView {
  return {
    ...row,
    outcome: row.outcome as EventOutcome,
    data: JSON.parse(row.data) as Record<string, unknown>,
    at: row.at.getTime(),
  };
}

/** The timeline of the account or of one device, the newest first. */
export async function listEvents(
  ctx: Context,
  input: z.input<typeof listEventsInput> = {},
): Promise<EventList> {
  const accountId = memberAccount(ctx.actor);
  const { deviceId, knocks, category, outcome, before, after, limit } = validate(listEventsInput, input);
  // A stranger whose certificate no account knows belongs to nobody; only the operator's account sees it.
  const nobodys = knocks && (await seesInstance(ctx));
  // With `after` alone the page next to it is wanted, so that nobody has to read from the top again.
  const forward = after !== undefined && before === undefined;
  const rows = await ctx.db.deviceEvent.findMany({
    where: {
      ...(nobodys ? { OR: [{ accountId }, { accountId: null }] } : { accountId }),
      ...(knocks ? { deviceId: null, category: { in: [...knockCategories] } } : deviceId ? { deviceId } : {}),
      ...(category && { category: knocks && !knockCategories.has(category) ? "" : category }),
      ...(outcome && { outcome }),
      ...((before || after) && { id: { ...(before && { lt: before }), ...(after && { gt: after }) } }),
    },
    orderBy: { id: forward ? "asc" : "desc" },
    take: limit + 1,
    select: eventSelect,
  });
  const page = rows.slice(0, limit).map(eventView);
  return { rows: forward ? page.reverse() : page, more: rows.length > limit };
}

/** What a stranger can do before having a place in the directory. */
export const knockCategories: ReadonlySet<string> = new Set(["connection", "bootstrap", "registration"]);
