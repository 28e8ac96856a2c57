import { existsSync } from "node:fs";
import { PrismaClient as Client } from "../../generated/prisma/client";
import { type Config, ConfigError } from "../config";
import { type SqliteFile, sqliteFile } from "./adapter";
import { databaseFile } from "./file";
import type { Rows } from "./reader";

/** Left out of every result unless a query asks for it by name (`select`, or `omit: { … : false }`). */
const omit = {
  user: { passwordHash: true },
  userInvitation: { hash: true },
  apiKey: { hash: true },
  authority: { privateKey: true },
  trustedCertificate: { privateKey: true },
  notificationChannel: { headers: true, secret: true },
} as const;

// The portal's pages are a module graph of their own, with the same client.
const KEY = Symbol.for("gangway.databases");
const holder = globalThis as { [KEY]?: WeakMap<object, SqliteFile> };
holder[KEY] ??= new WeakMap();
const files = holder[KEY];

function create(file: string) {
  const sqlite = sqliteFile(file);
  const client = new Client({
    adapter: sqlite.adapter,
    omit,
    // A transaction may have to wait for the other process's.
    transactionOptions: { maxWait: 10_000, timeout: 15_000 },
  });
  files.set(client, sqlite);
  return client;
}

/** The database, with secrets left out of results. */
export type PrismaClient = ReturnType<typeof create>;

/** What runs inside `db.$transaction(async (tx) => …)`. */
export type Transaction = Parameters<Parameters<PrismaClient["$transaction"]>[0]>[0];

function fileOf(db: PrismaClient): SqliteFile {
  const sqlite = files.get(db);
  if (!sqlite) throw new Error("This client was not made by openDatabase().");
  return sqlite;
}

/** The way past Prisma into the same database. */
export const batchOf = (db: PrismaClient): SqliteFile["batch"] => fileOf(db).batch;

/** The same for queries that run thousands of times a second; they see what is committed. */
export const rowsOf = (db: PrismaClient): Rows => fileOf(db).rows;

/** Opens the database of this instance; it must have been migrated. */
export async function openDatabase(config: Pick<Config, "databaseUrl">): Promise<PrismaClient> {
  const file = databaseFile(config);
  if (!existsSync(file))
    throw new ConfigError(
      "DATABASE_URL",
      `There is no database at ${file}: run "npm run gangway -- migrate" first.`,
    );
  const db = create(file);
  await db.$connect();
  return db;
}
