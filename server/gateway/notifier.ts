import type { BusEvent } from "@/server/bus/messages";
import type { Clock, Timer } from "@/server/clock";
import { type Entry, type GroupCommit, Prisma, type PrismaClient, rowsOf } from "@/server/db";
import {
  dropNotifications,
  type NotificationRow,
  notificationRow,
  putNotification,
} from "@/server/services/notifications/statements";
import type { NotificationBodies, NotificationKind } from "@/server/services/notifications/types";
import type { PresubscriptionFacts } from "./presubscriptions";

const HOUR_MS = 3_600_000;
/** What nobody takes is kept this long… */
export const QUEUE_AGE_MS = 24 * HOUR_MS;
/** …and up to this many bytes for each owner. */
export const QUEUE_BYTES = 50 * 1024 * 1024;
/** A full queue is emptied a little below the bound, so that not every sweep has to count it again. */
const KEPT_BYTES = QUEUE_BYTES * 0.95;
const SWEEP_ROWS = 5000;
/** Owners are told of a burst once. */
const TELL_DELAY_MS = 3;

export interface NotifierOptions {
  db: PrismaClient;
  clock: Clock;
  commit: GroupCommit;
  publish(event: BusEvent): void;
}

interface Owner {
  accountId: string;
  channel: boolean;
  presubscriptions: readonly PresubscriptionFacts[];
}

/**
 * Who is to be told of what: the owners that have a channel or pre-subscriptions, in memory, so that a registration in
 * an account without any costs nothing more. What is told is a row in the owner's queue; the portal delivers it.
 */
export class Notifier {
  readonly #owners = new Map<string, Owner>();
  /** Owners by account, those with a channel and those with pre-subscriptions. */
  readonly #channels = new Map<string, Set<string>>();
  readonly #presubscribed = new Map<string, Set<string>>();
  /** Bytes in each queue, at most: what the portal takes out is not known here. */
  readonly #queued = new Map<string, number>();
  readonly #untold = new Map<string, string>();
  #telling: Timer | null = null;
  #generation = 0;
  #reloaded: Promise<void> = Promise.resolve();

  constructor(private readonly options: NotifierOptions) {}

  async load(): Promise<void> {
    const { db } = this.options;
    const found = new Map<string, Owner & { presubscriptions: PresubscriptionFacts[] }>();
    const ownerOf = ({ ownerId, accountId }: { ownerId: string; accountId: string }) => {
      let owner = found.get(ownerId);
      if (!owner) found.set(ownerId, (owner = { accountId, channel: false, presubscriptions: [] }));
      return owner;
    };
    for (const row of await db.notificationChannel.findMany({ select: { ownerId: true, accountId: true } }))
      ownerOf(row).channel = true;
    for (const row of await db.presubscription.findMany({
      orderBy: [{ ownerId: "asc" }, { position: "asc" }],
    }))
      ownerOf(row).presubscriptions.push(presubscriptionOf(row));
    for (const [ownerId, owner] of found) this.#put(ownerId, owner);
    for (const { ownerId } of await db.notification.groupBy({ by: ["ownerId"] }))
      this.#queued.set(ownerId, Number.POSITIVE_INFINITY);
  }

  /** Reads an owner again, whose channel or pre-subscriptions changed, or who is gone. */
  reload(accountId: string, ownerId: string): Promise<void> {
    // One after the other, so that what was read last stands.
    const read = async () => {
      const { db } = this.options;
      const channels = await db.notificationChannel.count({ where: { ownerId, accountId } });
      const rows = await db.presubscription.findMany({
        where: { ownerId, accountId },
        orderBy: { position: "asc" },
      });
      const presubscriptions = rows.map(presubscriptionOf);
      this.#put(ownerId, { accountId, channel: channels > 0, presubscriptions });
    };
    const done = this.#reloaded.then(read);
    this.#reloaded = done.catch(() => {});
    return done;
  }

  /** Whether anybody of the account is told of registrations. */
  hasChannels(accountId: string): boolean {
    return this.#channels.has(accountId);
  }

  /** Whether anybody of the account has pre-subscriptions. */
  hasPresubscriptions(accountId: string): boolean {
    return this.#presubscribed.has(accountId);
  }

  /** Owners of an account with pre-subscriptions. */
  *presubscriptions(
    accountId: string,
  ): IterableIterator<[ownerId: string, wanted: readonly PresubscriptionFacts[]]> {
    for (const ownerId of this.#presubscribed.get(accountId) ?? [])
      yield [ownerId, this.presubscriptionsOf(ownerId)];
  }

  presubscriptionsOf(ownerId: string): readonly PresubscriptionFacts[] {
    return this.#owners.get(ownerId)?.presubscriptions ?? [];
  }

  /** Rises with every change of pre-subscriptions. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * Rows for every owner of the account with a channel, to be written in the commit of what they tell of; `makeBody`
   * gives the JSON of the kind's body and is asked only when there is somebody to tell.
   */
  broadcast(accountId: string, kind: NotificationKind, makeBody: () => string): Entry[] {
    const owners = this.#channels.get(accountId);
    return owners ? this.entries(owners, kind, makeBody()) : [];
  }

  /** Rows with the same body (JSON) for several owners. */
  entries(ownerIds: Iterable<string>, kind: NotificationKind, body: string): Entry[] {
    const size = Buffer.byteLength(body);
    const at = this.options.clock.now();
    return Array.from(ownerIds, (ownerId) => this.#entry({ ownerId, kind, body, size, at }));
  }

  /** A row for one owner, whether it has a channel or not. */
  entry<K extends NotificationKind>(ownerId: string, kind: K, body: NotificationBodies[K]): Entry {
    return this.#entry(notificationRow(ownerId, kind, body, this.options.clock.now()));
  }

  /** The rows are on disk: whoever delivers for these owners is told, soon and once for many. */
  committed(accountId: string, ownerIds: Iterable<string>): void {
    for (const ownerId of ownerIds) this.#untold.set(ownerId, accountId);
    if (this.#untold.size > 0) this.#telling ??= this.options.clock.after(TELL_DELAY_MS, () => this.#tell());
  }

  /** The same for the owners whose rows were in this commit. */
  written(accountId: string, entries: readonly Entry[]): void {
    for (const [statement, row] of entries)
      if (statement === putNotification) this.committed(accountId, [(row as NotificationRow).ownerId]);
  }

  /** Drops what is too old or too much, oldest first. */
  async sweep(): Promise<void> {
    await this.#dropOld();
    for (const [ownerId, bytes] of this.#queued) if (bytes > QUEUE_BYTES) await this.#dropExcess(ownerId);
  }

  #put(ownerId: string, owner: Owner): void {
    const { accountId, channel, presubscriptions } = owner;
    if (presubscriptions.length + this.presubscriptionsOf(ownerId).length > 0) this.#generation++;
    if (channel || presubscriptions.length > 0) this.#owners.set(ownerId, owner);
    else this.#owners.delete(ownerId);
    include(this.#channels, accountId, ownerId, channel);
    include(this.#presubscribed, accountId, ownerId, presubscriptions.length > 0);
  }

  #entry(row: NotificationRow): Entry {
    this.#queued.set(row.ownerId, (this.#queued.get(row.ownerId) ?? 0) + row.size);
    return [putNotification, row];
  }

  #tell(): void {
    this.#telling = null;
    const told = [...this.#untold];
    this.#untold.clear();
    for (const [ownerId, accountId] of told)
      this.options.publish({ kind: "notifications", accountId, deviceId: null, ownerId });
  }

  /** Rows come in the order of their times, so the old ones are the first. */
  async #dropOld(): Promise<void> {
    const { db, commit, clock } = this.options;
    const before = clock.now() - QUEUE_AGE_MS;
    const [first] = await rowsOf(db)(
      { at: "time" },
      Prisma.sql`SELECT "at" FROM "Notification" ORDER BY "seq" LIMIT 1`,
    );
    if (!first || first.at.getTime() >= before) return;
    for (;;) {
      const rows = await db.notification.findMany({
        orderBy: { seq: "asc" },
        take: SWEEP_ROWS,
        select: { seq: true, ownerId: true, at: true },
      });
      const last = new Map<string, number>();
      let old = 0;
      for (const { seq, ownerId, at } of rows) {
        if (at.getTime() >= before) break;
        last.set(ownerId, seq);
        old++;
      }
      if (old > 0)
        await commit.addAll([...last].flatMap(([ownerId, seq]) => dropNotifications({ ownerId, seq })));
      if (old < SWEEP_ROWS) return;
    }
  }

  async #dropExcess(ownerId: string): Promise<void> {
    const { db, commit } = this.options;
    // What is added from here on counts once more than it should at most.
    this.#queued.set(ownerId, 0);
    const {
      _sum: { size },
    } = await db.notification.aggregate({ where: { ownerId }, _sum: { size: true } });
    let kept = size ?? 0;
    if (kept > QUEUE_BYTES) {
      const [last] = await db.$queryRaw<{ seq: bigint | number }[]>`
        SELECT "seq" FROM (
          SELECT "seq", SUM("size") OVER (ORDER BY "seq" DESC) AS "bytes"
          FROM "Notification" WHERE "ownerId" = ${ownerId})
        WHERE "bytes" > ${KEPT_BYTES} ORDER BY "seq" DESC LIMIT 1`;
      if (last) await commit.addAll(dropNotifications({ ownerId, seq: Number(last.seq) }));
      kept = KEPT_BYTES;
    }
    this.#queued.set(ownerId, kept + (this.#queued.get(ownerId) ?? 0));
  }
}

function presubscriptionOf(row: {
  endpointName: string | null;
  endpointType: string | null;
  resourcePaths: string;
}): PresubscriptionFacts {
  const { endpointName, endpointType } = row;
  return { endpointName, endpointType, resourcePaths: JSON.parse(row.resourcePaths) as string[] };
}

function include(map: Map<string, Set<string>>, accountId: string, ownerId: string, wanted: boolean): void {
  const owners = map.get(accountId);
  if (wanted) map.set(accountId, (owners ?? new Set()).add(ownerId));
  else if (owners?.delete(ownerId) && owners.size === 0) map.delete(accountId);
}
