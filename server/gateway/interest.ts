import type { Path } from "@/server/lwm2m";
import type { LiveRegistration } from "./directory";

/** An application that waits to hear whether its subscription works. */
export interface Asked {
  asyncId: string;
  actor: string;
}

/** Who wants which paths of one device. */
export class Interest {
  /** What people want observed; like the subscriptions the same as in the database. */
  readonly people = new Set<Path>();
  /** Paths that did not work, and when they may be tried again; those that are over, never. */
  readonly failed = new Map<Path, number>();
  /** Paths of which this registration told a value. */
  readonly flowing = new Set<Path>();
  /** The registration on which the device is asked for one path after the other. */
  asking: LiveRegistration | null = null;
  /** Owners that asked for a path by itself, with what they still wait for. */
  readonly #subscribed = new Map<Path, Map<string, Asked[]>>();
  /** Owners whose pre-subscriptions find a path. */
  #presubscribed = new Map<Path, Set<string>>();

  /** Subscribes an owner; returns what it still waits for, to be added to. */
  subscribe(path: Path, ownerId: string): Asked[] {
    const owners = this.#subscribed.get(path) ?? new Map<string, Asked[]>();
    this.#subscribed.set(path, owners);
    const asked = owners.get(ownerId) ?? [];
    owners.set(ownerId, asked);
    return asked;
  }

  /** Ends the subscription of an owner; false when there was none. */
  unsubscribe(path: Path, ownerId: string): boolean {
    return drop(this.#subscribed, path, ownerId);
  }

  /** Every subscription, also while they are ended one by one. */
  *subscriptions(): IterableIterator<{ path: Path; ownerId: string; asked: Asked[] }> {
    for (const [path, owners] of this.#subscribed)
      for (const [ownerId, asked] of owners) yield { path, ownerId, asked };
  }

  /** The subscriptions to one path. */
  subscribers(path: Path): { ownerId: string; asked: Asked[] }[] {
    return Array.from(this.#subscribed.get(path) ?? [], ([ownerId, asked]) => ({ ownerId, asked }));
  }

  /** Whether somebody waits for the first value of a path. */
  isAsked(path: Path): boolean {
    for (const asked of this.#subscribed.get(path)?.values() ?? []) if (asked.length > 0) return true;
    return false;
  }

  /** What pre-subscriptions find; returns the paths that nobody of them wants any longer. */
  presubscribe(found: Map<Path, Set<string>>): Path[] {
    const gone = [...this.#presubscribed.keys()].filter((path) => !found.has(path));
    this.#presubscribed = found;
    return gone;
  }

  /** The pre-subscriptions of an owner find this path no longer; false when they did not. */
  unpresubscribe(path: Path, ownerId: string): boolean {
    return drop(this.#presubscribed, path, ownerId);
  }

  presubscribedBy(ownerId: string): Path[] {
    return [...this.#presubscribed].flatMap(([path, owners]) => (owners.has(ownerId) ? [path] : []));
  }

  /** What an owner is to be told of. */
  pathsOf(ownerId: string): Path[] {
    const subscribed = [...this.#subscribed].flatMap(([path, owners]) => (owners.has(ownerId) ? [path] : []));
    return [...new Set([...subscribed, ...this.presubscribedBy(ownerId)])];
  }

  /** The owners that are to be told of a path. */
  ownersOf(path: Path): string[] {
    const subscribed = this.#subscribed.get(path);
    const presubscribed = this.#presubscribed.get(path);
    return [...new Set([...(subscribed?.keys() ?? []), ...(presubscribed ?? [])])];
  }

  /** It cannot be observed, whoever wants it. */
  isOver(path: Path): boolean {
    return this.failed.get(path) === Number.POSITIVE_INFINITY;
  }

  has(path: Path): boolean {
    return this.people.has(path) || this.#subscribed.has(path) || this.#presubscribed.has(path);
  }

  /** Every path that somebody wants; some more than once. */
  *paths(): IterableIterator<Path> {
    yield* this.people;
    yield* this.#subscribed.keys();
    yield* this.#presubscribed.keys();
  }

  /** How many answers to subscriptions the device still owes. */
  get pending(): number {
    let count = 0;
    for (const { asked } of this.subscriptions()) count += asked.length;
    return count;
  }
}

function drop(paths: Map<Path, Map<string, unknown> | Set<string>>, path: Path, ownerId: string): boolean {
  const owners = paths.get(path);
  if (!owners?.delete(ownerId)) return false;
  if (owners.size === 0) paths.delete(path);
  return true;
}
