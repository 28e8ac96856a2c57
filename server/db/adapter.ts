import { PrismaBetterSqlite3 } from "@prisma/adapter-better-sqlite3";
import {
  DriverAdapterError,
  type IsolationLevel,
  type SqlDriverAdapter,
  type SqlDriverAdapterFactory,
  type SqlQuery,
  type Transaction,
} from "@prisma/driver-adapter-utils";

/** How long a write waits for the other process. */
const BUSY_TIMEOUT_MS = 5000;

/** Waits between two tries to get the write lock, as SQLite's own busy handler has them. */
const BUSY_DELAYS_MS = [1, 1, 2, 2, 5, 5, 10, 15, 20, 25];

const SETUP = `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -32768;
PRAGMA temp_store = MEMORY;`;

const statement = (sql: string): SqlQuery => ({ sql, args: [], argTypes: [] });

function isBusy(error: unknown): boolean {
  return error instanceof DriverAdapterError && error.cause.kind === "SocketTimeout";
}

/** Tries again while the other process holds the write lock, without standing in the way of this process's other work. */
async function whenFree<T>(run: () => Promise<T>): Promise<T> {
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

/**
 * Prisma's SQLite adapter with one connection for reads and one for writes.
 * On a single connection, a query that is no part of a running transaction would still be committed, or rolled back,
 * together with it: it could be answered before it is on disk. Here writes wait for their turn, and reads see what
 * is committed.
 */
class TwoConnections implements SqlDriverAdapter {
  readonly provider = "sqlite";
  readonly adapterName = "gangway-sqlite";
  #turn: Promise<void> = Promise.resolve();

  constructor(
    private readonly reader: SqlDriverAdapter,
    private readonly writer: SqlDriverAdapter,
  ) {}

  async #acquire(): Promise<() => void> {
    const before = this.#turn;
    let release = () => {};
    this.#turn = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    return release;
  }

  async #write<T>(run: () => Promise<T>): Promise<T> {
    const release = await this.#acquire();
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
    const release = await this.#acquire();
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
    const release = await this.#acquire();
    await this.reader.dispose();
    await this.writer.dispose();
    release();
  }
}

/** The driver adapter for a database file. */
export function sqliteAdapter(file: string): SqlDriverAdapterFactory {
  const inner = new PrismaBetterSqlite3(
    { url: `file:${file}`, timeout: BUSY_TIMEOUT_MS },
    { timestampFormat: "unixepoch-ms" },
  );
  return {
    provider: "sqlite",
    adapterName: "gangway-sqlite",
    async connect() {
      const writer = await inner.connect();
      await writer.executeScript(SETUP);
      // From here on `whenFree` does the waiting: SQLite's own would stop the whole process.
      await writer.executeScript("PRAGMA busy_timeout = 0");
      const reader = await inner.connect();
      await reader.executeScript(`${SETUP} PRAGMA query_only = ON;`);
      return new TwoConnections(reader, writer);
    },
  };
}
