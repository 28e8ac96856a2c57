import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadConfig } from "@/server/config";
import {
  columnList,
  migrate,
  openDatabase,
  openTestDatabase,
  Prisma,
  rowsOf,
  type TestDatabase,
} from "@/server/db";
import { newId } from "@/server/services/ids";

describe("migrate", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "gangway-migrate-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("makes the database once, readable for its owner only, and records what Prisma records", async () => {
    const config = loadConfig({ GANGWAY_DATA: folder });
    const first = await migrate(config);
    expect(first.applied.length).toBeGreaterThan(0);
    expect((await migrate(config)).applied).toEqual([]);
    if (process.platform !== "win32") expect(statSync(join(folder, "gangway.db")).mode & 0o777).toBe(0o600);
    const raw = new Database(join(folder, "gangway.db"));
    expect(raw.prepare("SELECT migration_name, length(checksum) AS n FROM _prisma_migrations").all()).toEqual(
      first.applied.map((name) => ({ migration_name: name, n: 64 })),
    );
    raw.close();
  });

  it("is safe when two do it at once", async () => {
    const config = loadConfig({ GANGWAY_DATA: folder });
    const both = await Promise.all([migrate(config), migrate(config)]);
    expect(both.filter(({ applied }) => applied.length > 0)).toHaveLength(1);
  });

  it("refuses a database of a newer version and one that stopped halfway, in words", async () => {
    const config = loadConfig({ GANGWAY_DATA: folder });
    await migrate(config);
    const raw = new Database(join(folder, "gangway.db"));
    raw.exec(
      `INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name) VALUES ('x', '', 1, '2999_later')`,
    );
    await expect(migrate(config)).rejects.toThrow("newer version of Gangway (migration 2999_later)");
    raw.exec(`UPDATE _prisma_migrations SET finished_at = NULL WHERE id = 'x'`);
    await expect(migrate(config)).rejects.toThrow("begun and not finished");
    raw.close();
  });

  it("says how to make a database that is missing", async () => {
    const config = loadConfig({ GANGWAY_DATA: folder });
    await expect(openDatabase(config)).rejects.toThrow("gangway -- migrate");
    expect(existsSync(join(folder, "gangway.db"))).toBe(false);
  });
});

describe("openDatabase", () => {
  let test: TestDatabase;
  let accountId: string;
  const now = new Date("2026-03-04T05:06:07.890Z");
  beforeEach(async () => {
    test = await openTestDatabase();
    accountId = newId();
    await test.db.account.create({ data: { id: accountId, name: "A", createdAt: now } });
  });
  afterEach(() => test.close());
  const other = () => openDatabase(test.config);

  it("keeps times as integer milliseconds", async () => {
    const raw = new Database(join(test.config.dataDir, "gangway.db"));
    const row = raw.prepare("SELECT createdAt, typeof(updatedAt) AS type FROM Account").get();
    expect(row).toEqual({ createdAt: now.getTime(), type: "integer" });
    expect(raw.pragma("journal_mode", { simple: true })).toBe("wal");
    raw.close();
    expect((await test.db.account.findFirstOrThrow()).createdAt).toEqual(now);
  });

  it("leaves secrets out unless they are asked for", async () => {
    await test.db.user.create({ data: { id: newId(), accountId, email: "a@b.c", passwordHash: "$hash" } });
    expect(await test.db.user.findFirstOrThrow()).not.toHaveProperty("passwordHash");
    const asked = await test.db.user.findFirstOrThrow({ omit: { passwordHash: false } });
    expect(asked.passwordHash).toBe("$hash");
  });

  it("holds foreign keys", async () => {
    await expect(
      test.db.user.create({ data: { id: newId(), accountId: newId(), email: "x@y.z", passwordHash: "" } }),
    ).rejects.toMatchObject({ code: "P2003" });
  });

  it("does not let a single write ride on somebody else's transaction", async () => {
    let single: Promise<unknown> = Promise.resolve();
    let done = false;
    await expect(
      test.db.$transaction(async (tx) => {
        await tx.setting.create({ data: { key: "inside", value: "1" } });
        single = test.db.setting.create({ data: { key: "outside", value: "1" } }).then(() => {
          done = true;
        });
        await new Promise((resolve) => setTimeout(resolve, 20));
        // Reads go on meanwhile and see what is committed.
        expect(await test.db.setting.count()).toBe(0);
        expect(done).toBe(false);
        throw new Error("changed my mind");
      }),
    ).rejects.toThrow("changed my mind");
    await single;
    expect(await test.db.setting.findMany({ select: { key: true } })).toEqual([{ key: "outside" }]);
  });

  it("runs transactions one after another, and those of another process too", async () => {
    const second = await other();
    await test.db.setting.create({ data: { key: "n", value: "0" } });
    const increment = (db: typeof test.db) =>
      db.$transaction(async (tx) => {
        const { value } = await tx.setting.findUniqueOrThrow({ where: { key: "n" } });
        await new Promise((resolve) => setImmediate(resolve));
        await tx.setting.update({ where: { key: "n" }, data: { value: String(Number(value) + 1) } });
      });
    await Promise.all(Array.from({ length: 40 }, (_, n) => increment(n % 2 ? test.db : second)));
    expect((await test.db.setting.findUniqueOrThrow({ where: { key: "n" } })).value).toBe("40");
    await second.$disconnect();
  });

  it("gives the lock back when a transaction runs out of time", async () => {
    const stuck = test.db.$transaction(
      async (tx) => {
        await tx.setting.count();
        await new Promise(() => {});
      },
      { timeout: 30 },
    );
    stuck.catch(() => {});
    await test.db.setting.create({ data: { key: "after", value: "1" } });
    expect(await test.db.setting.count()).toBe(1);
  });

  it("does not lose the lock to a transaction that gave up waiting", async () => {
    let release = () => {};
    const long = test.db.$transaction(
      () =>
        new Promise<void>((resolve) => {
          release = resolve;
        }),
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    await expect(
      test.db.$transaction(async (tx) => tx.setting.count(), { maxWait: 30 }),
    ).rejects.toMatchObject({ code: "P2028" });
    release();
    await long;
    await test.db.setting.create({ data: { key: "after", value: "1" } });
    expect(await test.db.$transaction((tx) => tx.setting.count())).toBe(1);
  });

  describe("past Prisma", () => {
    const columns = {
      id: "text",
      executionMode: "integer",
      autoUpdate: "boolean",
      createdAt: "time",
      bootstrappedAt: "time?",
      caId: "text?",
    } as const;
    const all = () => rowsOf(test.db)(columns, Prisma.sql`SELECT ${columnList(columns)} FROM "Device"`);

    it("reads what Prisma wrote, with its types", async () => {
      const id = newId();
      const data = { id, accountId, identity: "ep:é", endpointName: "é", executionMode: 5, autoUpdate: true };
      await test.db.device.create({ data: { ...data, createdAt: now } });
      const row = {
        id,
        executionMode: 5,
        autoUpdate: true,
        createdAt: now,
        bootstrappedAt: null,
        caId: null,
      };
      expect(await all()).toEqual([row]);
      const where = Prisma.sql`"endpointName" = ${"é"} AND "autoUpdate" = ${true} AND "createdAt" = ${now}`;
      const found = await rowsOf(test.db)(
        { id: "text" },
        Prisma.sql`SELECT "id" FROM "Device" WHERE ${where}`,
      );
      expect(found).toEqual([{ id }]);
    });

    it("sees a commit at once, and nothing before it", async () => {
      const id = newId();
      await test.db.$transaction(async (tx) => {
        await tx.device.create({ data: { id, accountId, identity: "ep:a", endpointName: "a" } });
        expect(await all()).toEqual([]);
      });
      expect(await all()).toHaveLength(1);
      const other = new Database(test.config.databaseUrl.replace("file:", ""));
      other.prepare('DELETE FROM "Device"').run();
      other.close();
      expect(await all()).toEqual([]);
    });

    it("writes nothing, and says what is wrong with a query", async () => {
      const rows = rowsOf(test.db);
      await expect(rows({ n: "integer" }, Prisma.sql`DELETE FROM "Device" RETURNING 1`)).rejects.toThrow(
        "readonly",
      );
      await expect(rows({ n: "integer" }, Prisma.sql`SELECT nothing`)).rejects.toThrow("nothing");
    });

    it("takes any number of different queries", async () => {
      for (let n = 0; n < 500; n++)
        expect(await rowsOf(test.db)({ n: "integer" }, Prisma.sql`SELECT ${Prisma.raw(String(n))}`)).toEqual([
          { n },
        ]);
    });
  });
});
