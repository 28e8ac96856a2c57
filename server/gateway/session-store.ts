import type { Clock } from "@/server/clock";
import type { GroupCommit, PrismaClient, Statement } from "@/server/db";
import type { Vault } from "@/server/services/context";
import type { SessionStore, StoredSession } from "@/server/transport";

const PURPOSE = "dtls-session";

const putSession: Statement = {
  name: "session.put",
  order: 1,
  sql: `INSERT INTO "DtlsSession" ("id", "address", "port", "state", "reserved", "readTop", "lastUsedAt", "expiresAt")
    VALUES (@id, @address, @port, @state, @reserved, @readTop, @at, @expiresAt)
    ON CONFLICT ("id") DO UPDATE SET "address" = excluded."address", "port" = excluded."port",
      "state" = excluded."state", "reserved" = excluded."reserved", "readTop" = excluded."readTop",
      "lastUsedAt" = excluded."lastUsedAt", "expiresAt" = excluded."expiresAt"`,
};

const reserveSession: Statement = {
  name: "session.reserve",
  order: 2,
  sql: `UPDATE "DtlsSession" SET "reserved" = max("reserved", @reserved)
    WHERE "id" = @id`,
};

const touchSession: Statement<{
  id: string;
  readTop: bigint;
  address: string;
  port: number;
  expiresAt: number;
  at: number;
}> = {
  name: "session.touch",
  order: 3,
  sql: `UPDATE "DtlsSession" SET "readTop" = max("readTop", @readTop),
      "address" = @address, "port" = @port,
      "lastUsedAt" = @at, "expiresAt" = @expiresAt
    WHERE "id" = @id`,
  key: (row) => row.id,
};

const removeSession: Statement = {
  name: "session.remove",
  order: 4,
  sql: `DELETE FROM "DtlsSession" WHERE "id" = @id`,
};

/** Established DTLS sessions in the database, their keys sealed; written with the same commits as registrations. */
export function createSessionStore(options: {
  db: PrismaClient;
  commit: GroupCommit;
  vault: Vault;
  clock: Clock;
  /** Called for a stored session that can no longer be opened, for instance under another secret. */
  onunreadable(id: string): void;
}): SessionStore {
  const { db, commit, vault, clock } = options;
  return {
    async load() {
      await db.dtlsSession.deleteMany({ where: { expiresAt: { lte: new Date(clock.now()) } } });
      const sessions: StoredSession[] = [];
      for (const row of await db.dtlsSession.findMany({ orderBy: { lastUsedAt: "asc" } })) {
        try {
          sessions.push({
            id: row.id,
            address: row.address,
            port: row.port,
            state: vault.open(row.state, PURPOSE),
            reserved: row.reserved,
            readTop: row.readTop,
            expiresAt: row.expiresAt.getTime(),
          });
        } catch {
          options.onunreadable(row.id);
        }
      }
      return sessions;
    },
    save(session) {
      return commit.add(putSession, {
        id: session.id,
        address: session.address,
        port: session.port,
        state: vault.seal(session.state, PURPOSE),
        reserved: session.reserved,
        readTop: session.readTop,
        expiresAt: session.expiresAt,
        at: clock.now(),
      });
    },
    reserve(id, upTo) {
      return commit.add(reserveSession, { id, reserved: upTo });
    },
    touch(id, { readTop, address, port, expiresAt }) {
      commit.note(touchSession, { id, readTop, address, port, expiresAt, at: clock.now() });
    },
    remove(id) {
      commit.note(removeSession, { id });
    },
  };
}
