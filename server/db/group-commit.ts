import type { Clock, Timer } from "../clock";
import { batchOf, type PrismaClient } from "./client";
import { storageTrouble } from "./storage-trouble";

/** One statement that is run for many rows in one transaction. */
export interface Statement<Row extends object = object> {
  name: string;
  /** Statements of one commit run in ascending order, so that a row is there before others point to it. */
  order: number;
  /** `@name` stands for the row's property of that name; times are milliseconds. */
  sql: string;
  /** What a row is about: of several rows with one key only the last is written… */
  key?(row: Row): string;
  /** …or the last of those that rank highest, where the order in which they come is not the one that counts. */
  rank?(row: Row): number;
}

/** One row for one statement. */
export type Entry = readonly [statement: Statement<never>, row: object];

interface Unit {
  entries: readonly Entry[];
  /** Null: noted, and nobody waits for it. */
  reject: ((error: unknown) => void) | null;
  /** Called when it is on disk. */
  written: readonly (() => void)[];
}

export interface NoteOptions {
  /** When the row is on disk at the latest, ms; a second by default. */
  withinMs?: number;
  /** Called when the row is on disk, or a newer one in its place; never when it cannot be written. */
  written?: () => void;
}

/** Why nothing can be written now, and since when (ms). */
export interface StorageTrouble {
  reason: string;
  since: number;
}

export interface GroupCommitOptions {
  /** How long the first row of a group waits for others. */
  delayMs?: number;
  /** A group of this size is not kept waiting. */
  maxRows?: number;
  /** Told of a noted row that is given up; nobody waits for it. */
  onerror?: (error: unknown, statement: string) => void;
}

/** A noted row is on disk after this time at the latest. */
const NOTE_DELAY_MS = 1000;

/** Commits that follow one another as close as this are a rush… */
const RUSH_MS = 25;
/** …in which notes are gathered for this long: many rows then share the pages they are written to. */
const RUSH_NOTE_DELAY_MS = 250;

/** Between two tries to write what has to be written. */
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 10_000;

/** Notes that wait for room on the disk; beyond, the oldest are given up. */
const MAX_KEPT_NOTES = 10_000;
/** A failure is old news after this time: nobody wrote since. */
const TROUBLE_MS = 90_000;

interface Item {
  row: object;
  written: readonly (() => void)[];
}

const NOBODY: Item["written"] = [];

/** The rows of one statement; of those with one key only the one that counts. */
class Rows {
  readonly #keyed: Map<string, Item> | null;
  readonly #list: Item[] = [];

  constructor(private readonly statement: Statement<never>) {
    this.#keyed = statement.key ? new Map() : null;
  }

  get size(): number {
    return this.#keyed?.size ?? this.#list.length;
  }

  add(row: object, written = NOBODY): void {
    const item: Item = { row, written };
    if (!this.#keyed || !this.statement.key) {
      this.#list.push(item);
      return;
    }
    const key = this.statement.key(row as never);
    const former = this.#keyed.get(key);
    if (former) {
      const told = [...former.written, ...written];
      if (this.#rank(former.row) > this.#rank(row)) {
        former.written = told;
        return;
      }
      item.written = told;
    }
    // The last row goes behind the earlier ones of other keys, as it came.
    this.#keyed.delete(key);
    this.#keyed.set(key, item);
  }

  #rank(row: object): number {
    return this.statement.rank?.(row as never) ?? 0;
  }

  items(): Iterable<Item> {
    return this.#keyed?.values() ?? this.#list;
  }

  *[Symbol.iterator](): Iterator<object> {
    for (const { row } of this.items()) yield row;
  }
}

/** Collects rows for a few milliseconds and commits them in one transaction: a commit costs the same for one or 2,000. */
export class GroupCommit {
  readonly #batch: ReturnType<typeof batchOf>;
  readonly #delayMs: number;
  readonly #maxRows: number;
  readonly #onerror: (error: unknown, statement: string) => void;
  #units: Unit[] = [];
  #notes = new Map<Statement<never>, Rows>();
  #noted = 0;
  /** When the oldest note came, and by when all of them have to be on disk. */
  #notedSince = 0;
  #notesDue = 0;
  /** When rows were last committed that somebody waited for. */
  #committedAt = Number.NEGATIVE_INFINITY;
  #timer: { timer: Timer; due: number } | null = null;
  #running: Promise<void> | null = null;
  #closed = false;
  #trouble: (StorageTrouble & { last: number; tries: number }) | null = null;

  constructor(
    db: PrismaClient,
    private readonly clock: Clock,
    options: GroupCommitOptions = {},
  ) {
    this.#batch = batchOf(db);
    this.#delayMs = options.delayMs ?? 2;
    this.#maxRows = options.maxRows ?? 2000;
    this.#onerror = options.onerror ?? (() => {});
  }

  /** Resolves when the row is on disk; rejects when this row cannot be written. */
  add<Row extends object>(statement: Statement<Row>, row: Row): Promise<void> {
    return this.addAll([[statement, row]]);
  }

  /** Like `add` for several rows that are written together or not at all. */
  addAll(entries: readonly Entry[]): Promise<void> {
    if (this.#closed) return Promise.reject(new Error("The database is being closed."));
    return new Promise((resolve, reject) => {
      this.#units.push({ entries, reject, written: [resolve] });
      this.#schedule(this.#units.length >= this.#maxRows ? 0 : this.#delayMs);
    });
  }

  /**
   * Like `addAll`, and tries again for as long as the disk is full or busy: for what has happened and cannot be taken
   * back. Rejects when a row cannot be written at all, or the process ends.
   */
  async insist(entries: readonly Entry[]): Promise<void> {
    for (let wait = FIRST_RETRY_MS; ; wait = Math.min(2 * wait, MAX_RETRY_MS)) {
      try {
        return await this.addAll(entries);
      } catch (error) {
        if (this.#closed || storageTrouble(error) === null) throw error;
      }
      await new Promise<void>((resolve) => this.clock.after(wait, resolve));
    }
  }

  /**
   * Writes the row with the next commit, within a second; of several rows with one key only the one that counts. While
   * nothing can be written it waits, so that what happened in the meantime is known when there is room again.
   */
  note<Row extends object>(statement: Statement<Row>, row: Row, options: NoteOptions = {}): void {
    if (this.#closed) return;
    const now = this.clock.now();
    const due = now + (options.withinMs ?? NOTE_DELAY_MS);
    if (this.#noted === 0) [this.#notedSince, this.#notesDue] = [now, due];
    this.#notesDue = Math.min(this.#notesDue, due);
    this.#keep(statement, row, options.written && [options.written]);
    this.#scheduleNotes();
  }

  /** Why nothing can be written, or null as far as it is known. */
  get trouble(): StorageTrouble | null {
    if (!this.#trouble || this.clock.now() - this.#trouble.last > TROUBLE_MS) return null;
    const { reason, since } = this.#trouble;
    return { reason, since };
  }

  /** Writes everything that can be written; resolves when it is on disk. */
  async flush(): Promise<void> {
    const tries = this.#trouble?.tries ?? 0;
    for (;;) {
      if (!this.#running && this.#waiting === 0) return;
      if (!this.#running) {
        if ((this.#trouble?.tries ?? 0) > tries) return;
        this.#start(true);
      }
      await this.#running;
    }
  }

  /** Writes everything that waits and takes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
    this.#timer?.timer.cancel();
  }

  get #waiting(): number {
    return this.#units.length + this.#noted;
  }

  #keep(statement: Statement<never>, row: object, written?: Item["written"]): void {
    let rows = this.#notes.get(statement);
    if (!rows) this.#notes.set(statement, (rows = new Rows(statement)));
    const before = rows.size;
    rows.add(row, written);
    this.#noted += rows.size - before;
  }

  /** When notes that were refused for want of room are tried again. */
  get #retryAt(): number {
    if (!this.#trouble) return Number.NEGATIVE_INFINITY;
    const { last, tries } = this.#trouble;
    return last + Math.min(FIRST_RETRY_MS * 2 ** Math.min(tries - 1, 16), MAX_RETRY_MS);
  }

  #scheduleNotes(): void {
    if (this.#noted === 0) return;
    const due = Math.max(this.#noted >= this.#maxRows ? 0 : this.#notesDue, this.#retryAt);
    this.#schedule(Math.max(0, due - this.clock.now()));
  }

  #schedule(delay: number): void {
    // The running commit looks for more when it ends.
    if (this.#running) return;
    if (delay === 0) {
      this.#start();
      return;
    }
    const due = this.clock.now() + delay;
    if (this.#timer && this.#timer.due <= due) return;
    this.#timer?.timer.cancel();
    this.#timer = { timer: this.clock.after(delay, () => this.#start()), due };
  }

  #start(all = false): void {
    this.#timer?.timer.cancel();
    this.#timer = null;
    if (this.#running || this.#waiting === 0) return;
    const units = all || !this.#gathers ? this.#takeNotes() : [];
    if (this.#units.length > 0) {
      this.#committedAt = this.clock.now();
      for (const unit of this.#units.splice(0, this.#maxRows)) units.push(unit);
    }
    this.#running = this.#commit(units).finally(() => {
      this.#running = null;
      // What came during a commit has waited long enough.
      if (this.#units.length > 0) this.#start();
      else this.#scheduleNotes();
    });
  }

  /** Whether notes wait for more, or for room, although a commit begins. */
  get #gathers(): boolean {
    const now = this.clock.now();
    if (now < this.#retryAt) return this.#units.length > 0;
    const rush = this.#units.length > 0 && now - this.#committedAt < RUSH_MS;
    const until = Math.min(this.#notesDue, this.#notedSince + RUSH_NOTE_DELAY_MS);
    return rush && this.#noted < this.#maxRows && now < until;
  }

  #takeNotes(): Unit[] {
    const units: Unit[] = [];
    for (const [statement, rows] of this.#notes)
      for (const { row, written } of rows.items())
        units.push({ entries: [[statement, row]], reject: null, written });
    this.#notes = new Map();
    this.#noted = 0;
    return units;
  }

  /** Notes that found no room wait before those that came since. */
  #putBack(units: readonly Unit[]): void {
    const since = this.#takeNotes();
    this.#notedSince = this.#notesDue = this.clock.now();
    for (const { entries, written } of [...units, ...since])
      for (const [statement, row] of entries) this.#keep(statement, row, written);
  }

  /** Commits the units in one transaction; when that fails, in halves, down to the one that is at fault. */
  async #commit(units: Unit[]): Promise<void> {
    try {
      const statements = byStatement(units);
      await this.#batch((batch) => {
        for (const [statement, rows] of statements) batch.run(statement.sql, rows);
      });
    } catch (error) {
      const reason = storageTrouble(error);
      const [unit] = units;
      if (reason !== null) {
        this.#refused(units, error, reason);
      } else if (units.length > 1) {
        const half = units.length >> 1;
        await this.#commit(units.slice(0, half));
        await this.#commit(units.slice(half));
      } else if (unit) {
        this.#fail(unit, error);
      }
      return;
    }
    this.#trouble = null;
    for (const { written } of units) for (const run of written) run();
  }

  /** The disk is full or the database locked: whoever waits hears it, notes stay for later. */
  #refused(units: readonly Unit[], error: unknown, reason: string): void {
    const now = this.clock.now();
    const since = this.trouble?.since ?? now;
    const tries = (this.#trouble?.tries ?? 0) + 1;
    this.#trouble = { reason, since, last: now, tries };
    const notes = units.filter(({ reject }) => reject === null);
    const kept = this.#closed ? 0 : Math.max(0, MAX_KEPT_NOTES - this.#noted);
    const givenUp = notes.splice(0, Math.max(0, notes.length - kept));
    if (notes.length > 0) this.#putBack(notes);
    for (const unit of givenUp) this.#fail(unit, error);
    for (const unit of units) unit.reject?.(error);
  }

  #fail(unit: Unit, error: unknown): void {
    if (unit.reject) unit.reject(error);
    else this.#onerror(error, unit.entries.map(([statement]) => statement.name).join(", "));
  }
}

/** The rows of each statement, in the order in which the statements must run. */
function byStatement(units: readonly Unit[]): [Statement<never>, Rows][] {
  const groups = new Map<Statement<never>, Rows>();
  for (const { entries } of units) {
    for (const [statement, row] of entries) {
      let rows = groups.get(statement);
      if (!rows) groups.set(statement, (rows = new Rows(statement)));
      rows.add(row);
    }
  }
  return [...groups].sort(([a], [b]) => a.order - b.order);
}
