import type { Clock } from "@/server/clock";
import type { GroupCommit, PrismaClient, Statement } from "@/server/db";
import type { Vault } from "@/server/services/context";
import type { SessionStore, StoredSession } from "@/server/transport";

const PURPOSE = "dtls-session";
const field = (name: string) => `value ->> '$.${name}'`;

const putSession: Statement = {
  name: "session.put",
  order: 1,
  sql: `INSERT INTO "DtlsSession" ("id", "address", "port", "state", "reserved", "readTop", "lastUsedAt", "expiresAt")
    SELECT ${field("id")}, ${field("address")}, ${field("port")}, unhex(${field("state")}),
      CAST(${field("reserved")} AS INTEGER), CAST(${field("readTop")} AS INTEGER), ${field("at")}, ${field("expiresAt")}
    FROM json_each(?) WHERE true
    ON CONFLICT ("id") DO UPDATE SET "address" = excluded."address", "port" = excluded."port",
      "state" = excluded."state", "reserved" = excluded."reserved", "readTop" = excluded."readTop",
      "lastUsedAt" = excluded."lastUsedAt", "expiresAt" = excluded."expiresAt"`,
};

const reserveSession: Statement = {
  name: "session.reserve",
  order: 2,
  sql: `UPDATE "DtlsSession" SET "reserved" = max("reserved", CAST(${field("reserved")} AS INTEGER))
    FROM json_each(?) WHERE "DtlsSession"."id" = ${field("id")}`,
};

const touchSession: Statement<{
  id: string;
  readTop: string;
  address: string;
  port: number;
  expiresAt: number;
  at: number;
}> = {
  name: "session.touch",
  order: 3,
  sql: `UPDATE "DtlsSession" SET "readTop" = max("readTop", CAST(${field("readTop")} AS INTEGER)),
      "address" = ${field("address")}, "port" = ${field("port")},
      "lastUsedAt" = ${field("at")}, "expiresAt" = ${field("expiresAt")}
    FROM json_each(?) WHERE "DtlsSession"."id" = ${field("id")}`,
  key: (row) => row.id,
};

const removeSession: Statement = {
  name: "session.remove",
  order: 4,
  sql: `DELETE FROM "DtlsSession" WHERE "id" IN (SELECT ${field("id")} FROM json_each(?))`,
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
        state: Buffer.from(vault.seal(session.state, PURPOSE)).toString("hex"),
        reserved: session.reserved.toString(),
        readTop: session.readTop.toString(),
        expiresAt: session.expiresAt,
        at: clock.now(),
      });
    },
    reserve(id, upTo) {
      return commit.add(reserveSession, { id, reserved: upTo.toString() });
    },
    touch(id, { readTop, address, port, expiresAt }) {
      commit.note(touchSession, {
        id,
        readTop: readTop.toString(),
        address,
        port,
        expiresAt,
        at: clock.now(),
      });
    },
    remove(id) {
      commit.note(removeSession, { id });
    },
  };
}
