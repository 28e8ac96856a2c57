import Database from "better-sqlite3";
import type { Clock, Timer } from "../clock";
import { batchOf, type PrismaClient } from "./client";

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
  resolve: (() => void) | null;
  reject: ((error: unknown) => void) | null;
}

export interface GroupCommitOptions {
  /** How long the first row of a group waits for others. */
  delayMs?: number;
  /** A group of this size is not kept waiting. */
  maxRows?: number;
  /** Told of a noted row that could not be written; nobody waits for it. */
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

/** The rows of one statement; of those with one key only the one that counts. */
class Rows {
  readonly #keyed: Map<string, object> | null;
  readonly #list: object[] = [];

  constructor(private readonly statement: Statement<never>) {
    this.#keyed = statement.key ? new Map() : null;
  }

  get size(): number {
    return this.#keyed?.size ?? this.#list.length;
  }

  add(row: object): void {
    if (!this.#keyed || !this.statement.key) {
      this.#list.push(row);
      return;
    }
    const key = this.statement.key(row as never);
    const former = this.#keyed.get(key);
    if (former && this.#rank(former) > this.#rank(row)) return;
    // The last row goes behind the earlier ones of other keys, as it came.
    this.#keyed.delete(key);
    this.#keyed.set(key, row);
  }

  #rank(row: object): number {
    return this.statement.rank?.(row as never) ?? 0;
  }

  [Symbol.iterator](): Iterator<object> {
    return this.#keyed?.values() ?? this.#list.values();
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
  /** When the oldest note came, and when rows were last committed that somebody waited for. */
  #notedSince = 0;
  #committedAt = Number.NEGATIVE_INFINITY;
  #timer: { timer: Timer; due: number } | null = null;
  #running: Promise<void> | null = null;
  #closed = false;

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
      this.#units.push({ entries, resolve, reject });
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
        if (this.#closed || isOfRow(error)) throw error;
      }
      await new Promise<void>((resolve) => this.clock.after(wait, resolve));
    }
  }

  /** Writes the row with the next commit, within a second; of several rows with one key only the last. */
  note<Row extends object>(statement: Statement<Row>, row: Row): void {
    if (this.#closed) return;
    let rows = this.#notes.get(statement);
    if (!rows) this.#notes.set(statement, (rows = new Rows(statement)));
    if (this.#noted === 0) this.#notedSince = this.clock.now();
    const before = rows.size;
    rows.add(row);
    this.#noted += rows.size - before;
    this.#schedule(this.#noted >= this.#maxRows ? 0 : NOTE_DELAY_MS);
  }

  /** Writes everything that waits; resolves when it is on disk. */
  async flush(): Promise<void> {
    for (;;) {
      if (!this.#running && this.#waiting === 0) return;
      if (!this.#running) this.#start();
      await this.#running;
    }
  }

  /** Writes everything that waits and takes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  get #waiting(): number {
    return this.#units.length + this.#noted;
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

  #start(): void {
    this.#timer?.timer.cancel();
    this.#timer = null;
    if (this.#running || this.#waiting === 0) return;
    const now = this.clock.now();
    const rush = this.#units.length > 0 && now - this.#committedAt < RUSH_MS;
    const gather = rush && this.#noted < this.#maxRows && now - this.#notedSince < RUSH_NOTE_DELAY_MS;
    const units = gather ? [] : this.#takeNotes();
    if (this.#units.length > 0) {
      this.#committedAt = now;
      for (const unit of this.#units.splice(0, this.#maxRows)) units.push(unit);
    }
    this.#running = this.#commit(units).finally(() => {
      this.#running = null;
      // What came during a commit has waited long enough.
      if (this.#units.length > 0) this.#start();
      else if (this.#noted > 0) this.#schedule(NOTE_DELAY_MS - (this.clock.now() - this.#notedSince));
    });
  }

  #takeNotes(): Unit[] {
    const units: Unit[] = [];
    for (const [statement, rows] of this.#notes)
      for (const row of rows) units.push({ entries: [[statement, row]], resolve: null, reject: null });
    this.#notes = new Map();
    this.#noted = 0;
    return units;
  }

  /** Commits the units in one transaction; when that fails, in halves, down to the one that is at fault. */
  async #commit(units: Unit[]): Promise<void> {
    try {
      const statements = byStatement(units);
      await this.#batch((batch) => {
        for (const [statement, rows] of statements) batch.run(statement.sql, rows);
      });
    } catch (error) {
      const [unit] = units;
      if (units.length > 1 && isOfRow(error)) {
        const half = units.length >> 1;
        await this.#commit(units.slice(0, half));
        await this.#commit(units.slice(half));
      } else if (unit) {
        for (const failed of units) this.#fail(failed, error);
      }
      return;
    }
    for (const unit of units) unit.resolve?.();
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

/** Whether a row may be at fault; when the disk is full or the database locked, trying row by row changes nothing. */
function isOfRow(error: unknown): boolean {
  if (!(error instanceof Database.SqliteError)) return true;
  return /^SQLITE_(CONSTRAINT|ERROR|MISMATCH|TOOBIG|RANGE)/.test(error.code);
}
