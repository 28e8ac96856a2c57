import type Database from "better-sqlite3";
import type { PrismaClient } from "@/server/db";
import { batchOf } from "@/server/db/client";

/** The most pages that a database of SQLite can have. */
const ALL_PAGES = 4294967294;

/** Lets the database of a test grow no further, as on a disk that is full, until it may again. */
export async function fullDisk(db: PrismaClient): Promise<{ makeRoom(): Promise<void> }> {
  // What is asked for in vain is the size that the file has.
  const limit = async (pages: number) => {
    await db.$queryRawUnsafe(`PRAGMA max_page_count = ${pages}`);
    await batchOf(db)((batch) => {
      const connection: Database.Database = Reflect.get(batch, "connection");
      connection.pragma(`max_page_count = ${pages}`);
    });
  };
  await limit(1);
  return { makeRoom: () => limit(ALL_PAGES) };
}
