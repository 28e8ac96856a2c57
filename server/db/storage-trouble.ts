import Database from "better-sqlite3";

/** What SQLite and Prisma's adapter say when nothing is wrong with what was to be written. */
const TROUBLES: readonly [pattern: RegExp, reason: string][] = [
  [/SQLITE_FULL|database or disk is full/, "the disk is full"],
  [/SQLITE_(BUSY|LOCKED)|database is locked|SocketTimeout/, "the database is locked by another process"],
  [/SQLITE_READONLY|attempt to write a readonly database/, "the database cannot be written to"],
  [/SQLITE_CANTOPEN|unable to open database file/, "the database file cannot be opened"],
  [/SQLITE_(CORRUPT|NOTADB)|database disk image is malformed/, "the database file is damaged"],
  [/SQLITE_(IOERR|NOMEM|PROTOCOL)|disk I\/O error/, "the disk reports errors"],
];

/**
 * Why the database cannot take anything now ("the disk is full"); null when the error is about what was to be written,
 * or about something else.
 */
export function storageTrouble(error: unknown): string | null {
  for (let one = error, depth = 0; one instanceof Error && depth < 5; one = one.cause, depth++) {
    const text = one instanceof Database.SqliteError ? one.code : said(one);
    for (const [pattern, reason] of TROUBLES) if (pattern.test(text)) return reason;
  }
  return null;
}

/** Prisma has what its adapter told in `meta`, and in the message. */
function said(error: Error): string {
  const { meta, code, name, message } = error as Error & { meta?: unknown; code?: unknown };
  if (!/^(Prisma|DriverAdapter)/.test(name)) return "";
  return `${String(code)} ${message} ${JSON.stringify(meta ?? null)}`;
}
