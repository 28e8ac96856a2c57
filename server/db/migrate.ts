import { createHash, randomUUID } from "node:crypto";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { Config } from "../config";
import { databaseFile } from "./file";
import { migrationsFolder } from "./root";

// The table as Prisma makes it, so that `prisma migrate deploy` and `status` go on from here.
const TABLE = `CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
    "id"                    TEXT PRIMARY KEY NOT NULL,
    "checksum"              TEXT NOT NULL,
    "finished_at"           DATETIME,
    "migration_name"        TEXT NOT NULL,
    "logs"                  TEXT,
    "rolled_back_at"        DATETIME,
    "started_at"            DATETIME NOT NULL DEFAULT current_timestamp,
    "applied_steps_count"   INTEGER UNSIGNED NOT NULL DEFAULT 0
)`;

/** Brings the database up to the schema of this version; safe when both processes do it at once. */
export async function migrate(config: Pick<Config, "databaseUrl">): Promise<{ applied: string[] }> {
  const folder = migrationsFolder();
  const known = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
  const file = databaseFile(config);
  // Made before SQLite opens it: its journal files get the same mode.
  closeSync(openSync(file, "a", 0o600));
  const db = new Database(file, { timeout: 30_000 });
  try {
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = FULL");
    // A changed table is made anew under its old name; references to it must survive that. Checked below.
    db.pragma("foreign_keys = OFF");
    return { applied: apply(db, folder, known) };
  } finally {
    db.close();
  }
}

function apply(db: Database.Database, folder: string, known: string[]): string[] {
  const applied: string[] = [];
  db.exec(TABLE);
  for (;;) {
    db.exec("BEGIN IMMEDIATE");
    try {
      const name = next(db, known);
      if (name === null) {
        db.exec("COMMIT");
        return applied;
      }
      const sql = readFileSync(join(folder, name, "migration.sql"));
      const startedAt = Date.now();
      db.exec(sql.toString("utf8"));
      if ((db.pragma("foreign_key_check") as unknown[]).length > 0)
        throw new Error("rows would point to rows that do not exist");
      db.prepare(
        `INSERT INTO "_prisma_migrations" (id, checksum, finished_at, migration_name, started_at, applied_steps_count)
         VALUES (?, ?, ?, ?, ?, 1)`,
      ).run(randomUUID(), createHash("sha256").update(sql).digest("hex"), Date.now(), name, startedAt);
      db.exec("COMMIT");
      applied.push(name);
    } catch (error) {
      if (db.inTransaction) db.exec("ROLLBACK");
      if (error instanceof MigrationError) throw error;
      throw new MigrationError(
        `The database could not be migrated: ${(error as Error).message}. Nothing was changed.`,
      );
    }
  }
}

/** The first migration that is still to do, or null. */
function next(db: Database.Database, known: string[]): string | null {
  const rows = db
    .prepare(
      `SELECT migration_name AS name, finished_at AS finishedAt FROM "_prisma_migrations" WHERE rolled_back_at IS NULL`,
    )
    .all() as { name: string; finishedAt: unknown }[];
  for (const row of rows) {
    if (row.finishedAt === null)
      throw new MigrationError(
        `The migration ${row.name} was begun and not finished; see "prisma migrate resolve".`,
      );
    if (!known.includes(row.name))
      throw new MigrationError(
        `The database was made by a newer version of Gangway (migration ${row.name}).`,
      );
  }
  const done = new Set(rows.map((row) => row.name));
  return known.find((name) => !done.has(name)) ?? null;
}

/** Why a database cannot be used with this version, in words. */
export class MigrationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "MigrationError";
  }
}
