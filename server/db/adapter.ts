import { PrismaBetterSqlite3 } from "@prisma/adapter-better-sqlite3";
import {
  DriverAdapterError,
  type IsolationLevel,
  type SqlDriverAdapter,
  type SqlDriverAdapterFactory,
  type SqlQuery,
  type Transaction,
} from "@prisma/driver-adapter-utils";
import Database from "better-sqlite3";
import { Batch } from "./batch";
import { Reader, type Rows } from "./reader";

/** How long a write waits for the other process. */
const BUSY_TIMEOUT_MS = 5000;

/** Waits between two tries to get the write lock, as SQLite's own busy handler has them. */
const BUSY_DELAYS_MS = [1, 1, 2, 2, 5, 5, 10, 15, 20, 25];

/**
 * What the reader maps into its memory instead of copying it page by page. Its own cache is of no use for long lists:
 * every commit of the other process empties it.
 */
const MAPPED_BYTES = 2 ** 30;

const SETUP = `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -32768;
PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 4000;`;

const statement = (sql: string): SqlQuery => ({ sql, args: [], argTypes: [] });

function isBusy(error: unknown): boolean {
  if (error instanceof Database.SqliteError) return error.code.startsWith("SQLITE_BUSY");
  return error instanceof DriverAdapterError && error.cause.kind === "SocketTimeout";
}

/** Tries again while the other process holds the write lock, without standing in the way of this process's other work. */
async function whenFree<T>(run: () => T | Promise<T>): Promise<T> {
  const end = Date.now() + BUSY_TIMEOUT_MS;
  for (let turn = 0; ; turn++) {
    try {
      return await run();
    } catch (error) {
      if (!isBusy(error) || Date.now() >= end) throw error;
      await new Promise((resolve) => setTimeout(resolve, BUSY_DELAYS_MS[turn] ?? 25));
    }
  }
}

/** Writers of one process wait here for one another, in the order in which they came. */
class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Resolves to what gives the turn back. */
  async take(): Promise<() => void> {
    const before = this.#last;
    let release = () => {};
    this.#last = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    return release;
  }
}

/**
 * Prisma's SQLite adapter with one connection for reads and one for writes.
 * On a single connection, a query that is no part of a running transaction would still be committed, or rolled back,
 * together with it: it could be answered before it is on disk. Here writes wait for their turn, and reads see what
 * is committed.
 */
class TwoConnections implements SqlDriverAdapter {
  readonly provider = "sqlite";
  readonly adapterName = "gangway-sqlite";

  constructor(
    private readonly reader: SqlDriverAdapter,
    private readonly writer: SqlDriverAdapter,
    private readonly turns: Turns,
    private readonly ondispose: () => void,
  ) {}

  async #write<T>(run: () => Promise<T>): Promise<T> {
    const release = await this.turns.take();
    try {
      return await whenFree(run);
    } finally {
      release();
    }
  }

  queryRaw(query: SqlQuery) {
    if (/^\s*SELECT\b/i.test(query.sql)) return this.reader.queryRaw(query);
    return this.#write(() => this.writer.queryRaw(query));
  }

  executeRaw(query: SqlQuery) {
    return this.#write(() => this.writer.executeRaw(query));
  }

  executeScript(script: string) {
    return this.#write(() => this.writer.executeScript(script));
  }

  async startTransaction(isolationLevel?: IsolationLevel): Promise<Transaction> {
    if (isolationLevel && isolationLevel !== "SERIALIZABLE")
      throw new DriverAdapterError({ kind: "InvalidIsolationLevel", level: isolationLevel });
    const release = await this.turns.take();
    try {
      // IMMEDIATE: a transaction that reads first could not get the write lock any more once the other process wrote.
      await whenFree(() => this.writer.executeRaw(statement("BEGIN IMMEDIATE")));
    } catch (error) {
      release();
      throw error;
    }
    const { writer } = this;
    return {
      provider: this.provider,
      adapterName: this.adapterName,
      // Prisma sends COMMIT and ROLLBACK as statements, then calls the functions below.
      options: { usePhantomQuery: false },
      queryRaw: (query) => writer.queryRaw(query),
      executeRaw: (query) => writer.executeRaw(query),
      commit: async () => release(),
      rollback: async () => release(),
      createSavepoint: async (name) => void (await writer.executeRaw(statement(`SAVEPOINT ${name}`))),
      rollbackToSavepoint: async (name) => void (await writer.executeRaw(statement(`ROLLBACK TO ${name}`))),
      releaseSavepoint: async (name) =>
        void (await writer.executeRaw(statement(`RELEASE SAVEPOINT ${name}`))),
    };
  }

  async dispose(): Promise<void> {
    const release = await this.turns.take();
    await this.reader.dispose();
    await this.writer.dispose();
    this.ondispose();
    release();
  }
}

/** A database file as Prisma sees it, and a way past Prisma for statements that run thousands of times a second. */
export interface SqliteFile {
  adapter: SqlDriverAdapterFactory;
  /** Runs `work` as one transaction, in turn with Prisma's writes; resolves when it is on disk. */
  batch(work: (batch: Batch) => void): Promise<void>;
  /** Reads what is committed. */
  rows: Rows;
}

/** The driver adapter for a database file. */
export function sqliteFile(file: string): SqliteFile {
  const inner = new PrismaBetterSqlite3(
    { url: `file:${file}`, timeout: BUSY_TIMEOUT_MS },
    { timestampFormat: "unixepoch-ms" },
  );
  const turns = new Turns();
  let batches: Batch | null = null;
  let direct: Reader | null = null;
  const open = (pragma: string) => {
    const connection = new Database(file, { fileMustExist: true });
    connection.exec(`${SETUP} PRAGMA ${pragma};`);
    return connection;
  };
  return {
    adapter: {
      provider: "sqlite",
      adapterName: "gangway-sqlite",
      async connect() {
        const writer = await inner.connect();
        await writer.executeScript(SETUP);
        // From here on `whenFree` does the waiting: SQLite's own would stop the whole process.
        await writer.executeScript("PRAGMA busy_timeout = 0");
        const reader = await inner.connect();
        await reader.executeScript(`${SETUP} PRAGMA query_only = ON;`);
        return new TwoConnections(reader, writer, turns, () => {
          batches?.close();
          direct?.close();
          batches = direct = null;
        });
      },
    },
    async batch(work) {
      const release = await turns.take();
      try {
        const batch = (batches ??= new Batch(open("busy_timeout = 0")));
        await whenFree(() => batch.begin());
        batch.finish(work);
      } finally {
        release();
      }
    },
    async rows(columns, query) {
      direct ??= new Reader(open(`query_only = ON; PRAGMA mmap_size = ${MAPPED_BYTES}`));
      return direct.read(columns, query);
    },
  };
}
