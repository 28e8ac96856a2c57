import { z } from "zod";
import { type Context, memberAccount } from "../context";
import { idField, validate } from "../validate";
import { eventSelect, eventView } from "./list";
import type { EventView } from "./types";

export const missedEventsInput = z.object({ after: idField, deviceId: idField.optional() });

/** Rows are written up to a second after their ids were made, and by two processes: what is this much older may be new. */
const OVERLAP_MS = 5_000;
const PAGE = 500;

/** Everything that happened in the account since an event, the oldest first; the last seconds before it come again. */
export async function* missedEvents(
  ctx: Context,
  input: z.input<typeof missedEventsInput>,
): AsyncGenerator<EventView[]> {
  const accountId = memberAccount(ctx.actor);
  const { after, deviceId } = validate(missedEventsInput, input);
  // Ids begin with the time they were made at (server/services/ids.ts).
  const since = Math.max(0, Number.parseInt(after.slice(0, 12), 16) - OVERLAP_MS);
  let last = since.toString(16).padStart(12, "0");
  for (;;) {
    const rows = await ctx.db.deviceEvent.findMany({
      where: { accountId, ...(deviceId && { deviceId }), id: { gt: last } },
      orderBy: { id: "asc" },
      take: PAGE,
      select: eventSelect,
    });
    if (rows.length > 0) yield rows.map(eventView);
    const end = rows.at(-1);
    if (!end || rows.length < PAGE) return;
    last = end.id;
  }
}
