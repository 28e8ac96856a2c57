import type { PathValue } from "@/server/bus/messages";
import type { QueryInput, QueryName, QueryOutput } from "@/server/portal/queries";

type Row = QueryOutput<"events">["rows"][number];

/** An answer that was asked for before an event may come after it; longer than this none is under way. */
const KEEP_MS = 15_000;
const MAX = 500;
let heard: { row: Row; own: boolean; at: number }[] = [];

/** Remembers an event that the live stream told of; one that is not our own belongs to no account. */
export function hear(row: Row, own: boolean): void {
  const now = Date.now();
  heard = [
    { row, own, at: now },
    ...heard.filter((one) => one.row.id !== row.id && now - one.at < KEEP_MS),
  ].slice(0, MAX);
}

type Tree = QueryOutput<"resources">;
type Known = NonNullable<Tree["objects"][number]["instances"][number]["resources"][number]["value"]>;

/** The newest values by device and path; the database gets them a little later than the stream. */
const values = new Map<string, Map<string, Known>>();

/** Remembers values that the live stream or an answer told of. */
export function hearValues(deviceId: string, source: Known["source"], told: readonly PathValue[]): void {
  const known = values.get(deviceId) ?? new Map<string, Known>();
  values.set(deviceId, known);
  for (const { path, value, at } of told) {
    if ((known.get(path)?.at ?? 0) <= at) known.set(path, { value, at, source });
  }
}

/** Puts what was heard into an answer that may be older. */
export function withHeard<K extends QueryName>(
  name: K,
  input: QueryInput<K>,
  output: QueryOutput<K>,
): QueryOutput<K> {
  if (name === "resources") {
    const known = values.get((input as QueryInput<"resources">).id);
    return known ? (withValues(output as Tree, known) as QueryOutput<K>) : output;
  }
  if (heard.length === 0) return output;
  if (name === "overview") {
    const overview = output as QueryOutput<"overview">;
    return {
      ...overview,
      recentEvents: merge(overview.recentEvents, (_, own) => own).slice(0, 20),
    } as QueryOutput<K>;
  }
  if (name === "events" && !(input as QueryInput<"events">).before) {
    const events = output as QueryOutput<"events">;
    return {
      ...events,
      rows: merge(events.rows, (row, own) => belongs(input as QueryInput<"events">, row, own)),
    } as QueryOutput<K>;
  }
  return output;
}

function withValues(tree: Tree, known: ReadonlyMap<string, Known>): Tree {
  const newer = (path: string, than: number | undefined) => {
    const value = known.get(path);
    return value && value.at >= (than ?? 0) ? value : undefined;
  };
  return {
    ...tree,
    objects: tree.objects.map((object) => ({
      ...object,
      instances: object.instances.map((instance) => ({
        ...instance,
        resources: instance.resources.map((resource) => {
          const value = newer(resource.path, resource.value?.at);
          const items = resource.items.map((item) => ({ ...item, ...newer(item.path, item.at) }));
          // A resource that stays the same stays the same object, so that its row is not drawn again.
          const same = !value && items.every((item, index) => item.at === resource.items[index]?.at);
          return same ? resource : { ...resource, items, value: value ?? resource.value };
        }),
      })),
    })),
  };
}

function merge(rows: Row[], wanted: (row: Row, own: boolean) => boolean): Row[] {
  const fresh = heard.flatMap(({ row, own }) => (wanted(row, own) ? [row] : []));
  const ids = new Set(fresh.map(({ id }) => id));
  return [...fresh, ...rows.filter(({ id }) => !ids.has(id))].sort((a, b) => (a.id < b.id ? 1 : -1));
}

const KNOCKS: ReadonlySet<string> = new Set(["connection", "bootstrap", "registration"]);

/** The same choice that the service makes. */
function belongs(
  { deviceId, knocks, category, outcome }: QueryInput<"events">,
  row: Row,
  own: boolean,
): boolean {
  if (!own && !knocks) return false;
  if (deviceId && row.deviceId !== deviceId) return false;
  if (knocks && (row.deviceId !== null || !KNOCKS.has(row.category))) return false;
  if (category && row.category !== category) return false;
  return !outcome || row.outcome === outcome;
}
