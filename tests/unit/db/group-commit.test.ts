import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "@/server/clock";
import { GroupCommit, openDatabase, openTestDatabase, type Statement, type TestDatabase } from "@/server/db";
import { FakeClock } from "@/tests/support/fake-clock";
import { fullDisk } from "@/tests/support/full-disk";

const NOW = Date.UTC(2026, 0, 1);

interface SettingRow {
  key: string;
  value: string | null;
}

const setting: Statement<SettingRow> = {
  name: "setting",
  order: 10,
  sql: `INSERT INTO "Setting" (key, value, updatedAt)
    VALUES (@key, @value, ${NOW}) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
  key: (row) => row.key,
};

const account: Statement<{ id: string }> = {
  name: "account",
  order: 1,
  sql: `INSERT INTO "Account" (id, name, createdAt, updatedAt) VALUES (@id, '', ${NOW}, ${NOW})`,
};

const device: Statement<{ id: string; accountId: string; key?: string }> = {
  name: "device",
  order: 2,
  sql: `INSERT INTO "Device" (id, accountId, identity, endpointName, createdAt, updatedAt)
    VALUES (@id, @accountId, @id, '', ${NOW}, ${NOW})`,
};

const authority: Statement<{ role: string; certificate: Uint8Array }> = {
  name: "authority",
  order: 3,
  sql: `INSERT INTO "Authority" (role, certificate, privateKey, notAfter, createdAt)
    VALUES (@role, @certificate, x'', ${NOW}, ${NOW})`,
};

describe("GroupCommit", () => {
  let test: TestDatabase;
  let clock: FakeClock;
  let group: GroupCommit;
  let failedNotes: string[];
  beforeEach(async () => {
    test = await openTestDatabase();
    clock = new FakeClock(NOW);
    failedNotes = [];
    group = new GroupCommit(test.db, clock, { onerror: (_error, statement) => failedNotes.push(statement) });
  });
  afterEach(async () => {
    await group.close();
    await test.close();
  });
  const values = async () =>
    Object.fromEntries((await test.db.setting.findMany()).map((row) => [row.key, row.value]));

  it("resolves only when another connection can see the row", async () => {
    const second = await openDatabase(test.config);
    let resolved = false;
    const added = group.add(setting, { key: "a", value: "1" }).then(() => {
      resolved = true;
    });
    await clock.advance(1);
    expect(resolved).toBe(false);
    expect(await second.setting.count()).toBe(0);
    await clock.advance(1);
    await added;
    expect(await second.setting.count()).toBe(1);
    await second.$disconnect();
  });

  it("writes a group as one transaction, statements in their order", async () => {
    // The device points to an account that comes later.
    await settled(clock, [
      group.add(device, { id: "d1", accountId: "acc" }),
      group.add(account, { id: "acc" }),
    ]);
    expect(await test.db.device.findMany({ select: { id: true, accountId: true } })).toEqual([
      { id: "d1", accountId: "acc" },
    ]);
  });

  it("rejects only the row that is at fault", async () => {
    const rows = Array.from({ length: 50 }, (_, n) =>
      group.add(setting, { key: `k${n}`, value: n === 17 || n === 40 ? null : String(n) }),
    );
    const outcome = await settled(clock, rows);
    expect(outcome.map(({ status }, n) => (status === "rejected" ? n : -1)).filter((n) => n >= 0)).toEqual([
      17, 40,
    ]);
    expect(await test.db.setting.count()).toBe(48);
  });

  it("writes rows that belong together all or none", async () => {
    const outcome = await settled(clock, [
      group.addAll([
        [setting, { key: "half", value: "1" }],
        [device, { id: "d", accountId: "missing" }],
      ]),
      group.add(setting, { key: "other", value: "1" }),
    ]);
    expect(outcome.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
    expect(await values()).toEqual({ other: "1" });
  });

  it("lets the last row of a key win, and tells all who wait", async () => {
    await settled(clock, [
      group.add(setting, { key: "a", value: "1" }),
      group.add(setting, { key: "a", value: "2" }),
    ]);
    expect(await values()).toEqual({ a: "2" });
  });

  it("lets the highest rank of a key win where a statement has one, the last of equals", async () => {
    const ranked: typeof setting = { ...setting, rank: ({ value }) => Number(value?.[0]) };
    group.note(ranked, { key: "a", value: "3 late" });
    group.note(ranked, { key: "a", value: "1" });
    group.note(ranked, { key: "b", value: "2" });
    group.note(ranked, { key: "b", value: "2 again" });
    await settled(clock, [group.add(ranked, { key: "a", value: "2" })]);
    expect(await values()).toEqual({ a: "3 late", b: "2 again" });
  });

  it("keeps notes for a second, or for the next commit, and only the last of a key", async () => {
    for (let n = 0; n < 100; n++) group.note(setting, { key: "seen", value: String(n) });
    await clock.advance(999);
    expect(await values()).toEqual({});
    await clock.advance(1);
    await group.flush();
    expect(await values()).toEqual({ seen: "99" });

    group.note(setting, { key: "seen", value: "100" });
    await settled(clock, [group.add(setting, { key: "a", value: "1" })]);
    expect(await values()).toEqual({ seen: "100", a: "1" });
  });

  it("gathers notes for a quarter of a second while commits follow one another", async () => {
    const seen = [];
    for (let n = 0; n < 30; n++) {
      group.note(setting, { key: "seen", value: String(n) });
      const added = group.add(setting, { key: "a", value: String(n) });
      await clock.advance(10);
      await added;
      seen.push((await values()).seen);
    }
    expect(seen[0]).toBe("0");
    expect(seen[20]).toBe("0");
    expect(Number(seen[29])).toBeGreaterThan(20);
    await group.flush();
    expect(await values()).toEqual({ seen: "29", a: "29" });
  });

  it("reports a note that cannot be written, and writes the others", async () => {
    group.note(device, { id: "d", accountId: "gone" });
    group.note(setting, { key: "a", value: "1" });
    await group.flush();
    expect(failedNotes).toEqual(["device"]);
    expect(await values()).toEqual({ a: "1" });
  });

  it("tells of a note when it is on disk, and of one that another took the place of", async () => {
    const told: string[] = [];
    const note = (key: string, value: string | null) =>
      group.note(setting, { key, value }, { withinMs: 20, written: () => told.push(`${key}${value}`) });
    group.note(setting, { key: "slow", value: "1" });
    note("a", "1");
    note("a", "2");
    note("b", null);
    await clock.advance(19);
    expect(told).toEqual([]);
    await clock.advance(1);
    await group.flush();
    expect(told).toEqual(["a1", "a2"]);
    expect(await values()).toEqual({ slow: "1", a: "2" });
    expect(failedNotes).toEqual(["setting"]);
  });

  it("keeps notes while the disk is full, and writes them when there is room", async () => {
    const told: string[] = [];
    const disk = await fullDisk(test.db);
    const size = 100_000;
    group.note(
      setting,
      { key: "a", value: `1${"x".repeat(size)}` },
      { withinMs: 20, written: () => told.push("a") },
    );
    await clock.advance(20);
    await group.flush();
    expect(group.trouble).toEqual({ reason: "the disk is full", since: NOW + 20 });
    group.note(setting, { key: "a", value: `2${"x".repeat(size)}` });
    const [refused] = await settled(clock, [group.add(setting, { key: "b", value: "x".repeat(size) })]);
    expect(refused).toMatchObject({ status: "rejected", reason: { code: "SQLITE_FULL" } });
    expect([told, failedNotes, await values()]).toEqual([[], [], {}]);

    await disk.makeRoom();
    await clock.advance(10_000);
    await group.flush();
    expect(group.trouble).toBeNull();
    expect(told).toEqual(["a"]);
    expect((await values()).a).toHaveLength(size + 1);
    expect((await values()).a?.[0]).toBe("2");
  });

  it("forgets a failure that is long ago, and gives up what waits when it is closed", async () => {
    await fullDisk(test.db);
    group.note(setting, { key: "a", value: "x".repeat(100_000) });
    await group.flush();
    expect(group.trouble?.reason).toBe("the disk is full");
    await group.close();
    expect(failedNotes).toEqual(["setting"]);
    await clock.advance(90_001);
    expect(group.trouble).toBeNull();
    expect(clock.pending).toBe(0);
  });

  it("does not wait when the group is full, nor after a commit that took long", async () => {
    const small = new GroupCommit(test.db, clock, { maxRows: 3 });
    await Promise.all(Array.from({ length: 7 }, (_, n) => small.add(setting, { key: `${n}`, value: "x" })));
    expect(await test.db.setting.count()).toBe(7);
    await small.close();
  });

  it("carries bytes as they are", async () => {
    await settled(clock, [group.add(authority, { role: "r", certificate: Buffer.from("00ff10", "hex") })]);
    expect(Buffer.from((await test.db.authority.findFirstOrThrow()).certificate).toString("hex")).toBe(
      "00ff10",
    );
  });

  it("writes everything at close and takes nothing afterwards", async () => {
    const added = group.add(setting, { key: "a", value: "1" });
    group.note(setting, { key: "b", value: "1" });
    await group.close();
    await added;
    expect(await values()).toEqual({ a: "1", b: "1" });
    await expect(group.add(setting, { key: "c", value: "1" })).rejects.toThrow("being closed");
    expect(clock.pending).toBe(0);
  });

  it("does not fail while other writes go on", async () => {
    const live = new GroupCommit(test.db, systemClock);
    const rows = Array.from({ length: 300 }, (_, n) => live.add(setting, { key: `g${n}`, value: "x" }));
    const single = Array.from({ length: 50 }, (_, n) =>
      test.db.setting.create({ data: { key: `s${n}`, value: "x" } }),
    );
    await Promise.all([...rows, ...single]);
    expect(await test.db.setting.count()).toBe(350);
    await live.close();
  });
});

async function settled(clock: FakeClock, promises: Promise<void>[]) {
  const all = Promise.allSettled(promises);
  await clock.advance(2);
  return all;
}
