import type { BusEvent } from "@/server/bus/messages";
import { type Context, ownerOf } from "@/server/services/context";
import { missedEvents } from "@/server/services/events/replay";
import { publicEventType } from "@/server/services/events/search";
import { eventCategories, eventTypes } from "@/server/services/events/types";
import { failure } from "../errors";
import { Reply } from "../operation";
import { iso } from "../serialize";
import { EVENT_STREAM_HEADERS, type EventStreams } from "./event-streams";
import type { KeyWatch } from "./key-watch";

/** More streams of one key are a mistake. */
const MAX_STREAMS_PER_KEY = 20;

/** What is told beside the timeline; these frames have no id and are not told again. */
const CHANGES = ["device-change", "values", "observations"] as const;

/** Words that `types` may hold: any of these, a category of the timeline, or a type of event. */
const WORDS: ReadonlySet<string> = new Set([
  "device-event",
  ...CHANGES,
  ...eventCategories,
  ...Object.keys(eventTypes),
  ...Object.keys(eventTypes).map(publicEventType),
]);

/** What a stream is to hold. */
export interface EventQuery {
  deviceId: string | undefined;
  types: readonly string[];
  lastEventId: string | undefined;
}

/** Words of a `types` parameter; throws for one that nothing goes by. */
export function parseTypes(text: string | undefined): string[] {
  const words = (text ?? "")
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
  const unknown = words.find((word) => !WORDS.has(word));
  if (unknown) throw failure(400, "validation_error", `types: there is no “${unknown}”`);
  return words;
}

/** Answers GET /v3/events. */
export function openEvents(
  { ctx, keyHash, holder }: { ctx: Context; keyHash: string; holder: string },
  query: EventQuery,
  { streams, keys }: { streams: EventStreams; keys: KeyWatch },
): Reply {
  const owner = ownerOf(ctx.actor);
  if (streams.count(holder) >= MAX_STREAMS_PER_KEY)
    throw failure(429, "too_many_requests", `A key may have ${MAX_STREAMS_PER_KEY} streams open.`, {
      "Retry-After": "20",
    });
  const { accountId } = owner;
  const stream = streams.open({ accountId, holder, frame: (event) => frame(event, query) });
  stream.once(
    "close",
    keys.watch({ ...owner, keyHash }, () => stream.end()),
  );
  const { lastEventId, deviceId } = query;
  if (lastEventId)
    stream
      .replay(
        framesOf(missedEvents(ctx, { after: lastEventId, ...(deviceId && { deviceId }) }), accountId, query),
      )
      .catch((error: unknown) => stream.destroy(error instanceof Error ? error : new Error(String(error))));
  return new Reply(200, stream, EVENT_STREAM_HEADERS);
}

async function* framesOf(
  pages: ReturnType<typeof missedEvents>,
  accountId: string,
  query: EventQuery,
): AsyncGenerator<string[]> {
  for await (const rows of pages)
    yield rows.flatMap(
      ({ deviceId, ...event }) => frame({ kind: "event", accountId, deviceId, event }, query) ?? [],
    );
}

/** An event as a frame of the stream; null when it is not asked for. */
function frame(event: BusEvent, { deviceId, types }: EventQuery): string | null {
  if (deviceId !== undefined && event.deviceId !== deviceId) return null;
  const wants = (...words: string[]) => types.length === 0 || words.some((word) => types.includes(word));
  switch (event.kind) {
    case "event": {
      const { id, type, category, outcome, description, data, stateChange, at } = event.event;
      if (!wants("device-event", category, type, publicEventType(type))) return null;
      return text(
        "device-event",
        {
          object: "device-event",
          id,
          device_id: event.deviceId,
          event_type: publicEventType(type),
          event_type_category: category,
          event_type_description: outcome,
          description,
          state_change: stateChange,
          data,
          actor: event.event.actor,
          date_time: iso(at),
        },
        id,
      );
    }
    case "device":
      return wants("device-change")
        ? text("device-change", { device_id: event.deviceId, change: event.change })
        : null;
    case "values":
      return wants("values")
        ? text("values", {
            device_id: event.deviceId,
            source: event.source,
            values: event.values.map(({ path, value, at }) => ({ path, ...value, at: iso(at) })),
          })
        : null;
    case "observations":
      return wants("observations")
        ? text("observations", { device_id: event.deviceId, paths: event.paths })
        : null;
    // Of channels, every owner knows its own.
    case "notifications":
    case "channel":
      return null;
  }
}

const text = (name: string, data: unknown, id?: string) =>
  `${id ? `id: ${id}\n` : ""}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
