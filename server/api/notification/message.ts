import type { QueuedRow } from "@/server/services/channels/queue";
import type { Serialization } from "@/server/services/channels/types";
import type { NotificationKind } from "@/server/services/notifications/types";

/** A message may grow to about this; one entry alone may be longer. */
export const MAX_MESSAGE_BYTES = 4 << 20;

/**
 * Entries of a queue, in its order, that may be put into NotificationMessages.
 * A message groups its entries by kind, and applications read them in an order of their own: so no device has entries of
 * two kinds in one batch.
 */
export class Batch {
  readonly #entries = new Map<NotificationKind, string[]>();
  readonly #kinds = new Map<string, NotificationKind>();
  #bytes = 0;
  /** Sequence numbers of the first and the last row that are in it; 0 as long as it is empty. */
  first = 0;
  last = 0;
  size = 0;

  constructor(private readonly look: Serialization) {}

  /** Takes the next row of the queue; false when it belongs into the next batch. */
  add({ seq, kind, body }: QueuedRow): boolean {
    if (
      this.size > 0 &&
      (this.size >= this.look.maxChunkSize || this.#bytes + body.length > MAX_MESSAGE_BYTES)
    )
      return false;
    const { device, entry } = shape(kind, body, this.look);
    if (device !== null) {
      if ((this.#kinds.get(device) ?? kind) !== kind) return false;
      this.#kinds.set(device, kind);
    }
    const entries = this.#entries.get(kind);
    if (entries) entries.push(entry);
    else this.#entries.set(kind, [entry]);
    this.#bytes += entry.length;
    this.size++;
    this.first ||= seq;
    this.last = seq;
    return true;
  }

  /** All of it as one NotificationMessage. */
  message(): string {
    return `{${[...this.#entries].map(member).join(",")}}`;
  }

  /** A NotificationMessage for each kind: some applications look for one kind and drop the rest. */
  messages(): string[] {
    return [...this.#entries].map((entries) => `{${member(entries)}}`);
  }
}

const member = ([kind, entries]: [NotificationKind, string[]]) =>
  `${JSON.stringify(kind)}:[${entries.join(",")}]`;

/** An entry as JSON with what the channel asked for, and the device that it is of. */
function shape(
  kind: NotificationKind,
  body: string,
  look: Serialization,
): { device: string | null; entry: string } {
  // Its `id` is all that an application knows it by.
  if (kind === "async-responses") return { device: null, entry: body };
  const entry = JSON.parse(body) as Record<string, unknown> & { ep: string };
  const device = entry.ep;
  const gone = kind === "de-registrations" || kind === "registrations-expired";
  if (gone && !look.deregistrationsAsObject) return { device, entry: JSON.stringify(device) };
  // Applications read it of registrations without having asked for it.
  const named = look.includeOriginalEp || kind === "registrations" || kind === "reg-updates";
  // What is undefined is left out.
  if (!named) entry["original-ep"] = undefined;
  if (!look.includeUid) entry.uid = undefined;
  if (!look.includeTimestamp) entry.timestamp = undefined;
  return { device, entry: JSON.stringify(entry) };
}
