import type { Clock, Timer } from "../clock";
import type { PrismaClient } from "./client";

/** One set-based statement: it takes many rows as one JSON array (`json_each(?)`). */
export interface Statement<Row extends object = object> {
  name: string;
  /** Statements of one commit run in ascending order, so that a row is there before others point to it. */
  order: number;
  /** One `?` for the JSON array of rows; bytes travel as hex (`unhex`), times as milliseconds. */
  sql: string;
  /** What a row is about: of several rows with one key only the last is written. */
  key?(row: Row): string;
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

/** Collects rows for a few milliseconds and commits them in one transaction: a commit costs the same for one or 2,000. */
export class GroupCommit {
  readonly #delayMs: number;
  readonly #maxRows: number;
  readonly #onerror: (error: unknown, statement: string) => void;
  #units: Unit[] = [];
  #notes = new Map<Statement<never>, Map<string, object>>();
  #noted = 0;
  #timer: { timer: Timer; due: number } | null = null;
  #running: Promise<void> | null = null;
  #closed = false;

  constructor(
    private readonly db: Pick<PrismaClient, "$transaction" | "$executeRawUnsafe">,
    private readonly clock: Clock,
    options: GroupCommitOptions = {},
  ) {
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

  /** Writes the row with the next commit, within a second; of several rows with one key only the last. */
  note<Row extends object>(statement: Statement<Row>, row: Row): void {
    if (this.#closed) return;
    let rows = this.#notes.get(statement);
    if (!rows) this.#notes.set(statement, (rows = new Map()));
    const key = statement.key ? statement.key(row) : `#${this.#noted}`;
    // The last note goes behind the earlier ones of other keys, as it came.
    if (!rows.delete(key)) this.#noted++;
    rows.set(key, row);
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
    const units = this.#takeNotes();
    units.push(...this.#units.splice(0, this.#maxRows));
    this.#running = this.#commit(units).finally(() => {
      this.#running = null;
      // What came during a commit has waited long enough.
      if (this.#units.length > 0) this.#start();
      else if (this.#noted > 0) this.#schedule(NOTE_DELAY_MS);
    });
  }

  #takeNotes(): Unit[] {
    const units: Unit[] = [];
    for (const [statement, rows] of this.#notes)
      for (const row of rows.values())
        units.push({ entries: [[statement, row]], resolve: null, reject: null });
    this.#notes = new Map();
    this.#noted = 0;
    return units;
  }

  /** Commits the units in one transaction; when that fails, in halves, down to the one that is at fault. */
  async #commit(units: Unit[]): Promise<void> {
    try {
      await this.db.$transaction(
        this.#statements(units).map(([sql, rows]) => this.db.$executeRawUnsafe(sql, rows)),
      );
    } catch (error) {
      const [unit] = units;
      if (units.length > 1 && !isUnavailable(error)) {
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

  /** One statement with all its rows each, in the order in which they must run. */
  #statements(units: Unit[]): [sql: string, rows: string][] {
    const groups = new Map<Statement<never>, Map<string, object>>();
    for (const { entries } of units) {
      for (const [statement, row] of entries) {
        let rows = groups.get(statement);
        if (!rows) groups.set(statement, (rows = new Map()));
        const key = statement.key ? statement.key(row as never) : `#${rows.size}`;
        rows.delete(key);
        rows.set(key, row);
      }
    }
    return [...groups]
      .sort(([a], [b]) => a.order - b.order)
      .map(([statement, rows]) => [statement.sql, JSON.stringify([...rows.values()])]);
  }
}

/** The database could not be reached or locked in time: trying row by row would only wait again. */
function isUnavailable(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === "P1008" || code === "P2028" || code === "P2024";
}
