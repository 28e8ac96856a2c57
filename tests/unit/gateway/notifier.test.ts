import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BusEvent } from "@/server/bus/messages";
import { systemClock } from "@/server/clock";
import { GroupCommit, openTestDatabase, type TestDatabase } from "@/server/db";
import { Notifier, QUEUE_AGE_MS, QUEUE_BYTES } from "@/server/gateway/notifier";
import { newId } from "@/server/services/ids";
import { FakeClock } from "../../support/fake-clock";

let database: TestDatabase;
let clock: FakeClock;
let commit: GroupCommit;
let notifier: Notifier;
let accountId: string;
const told: BusEvent[] = [];

beforeEach(async () => {
  database = await openTestDatabase();
  clock = new FakeClock();
  commit = new GroupCommit(database.db, systemClock);
  told.length = 0;
  notifier = start();
  accountId = newId();
  await database.db.account.create({ data: { id: accountId, name: "one" } });
});
afterEach(async () => {
  await commit.close();
  await database.close();
});

const start = () =>
  new Notifier({ db: database.db, clock, commit, publish: (event) => void told.push(event) });

async function channel(account = accountId): Promise<string> {
  const ownerId = newId();
  await database.db.notificationChannel.create({
    data: { ownerId, accountId: account, kind: "LONG_POLLING", activeAt: new Date() },
  });
  await notifier.reload(account, ownerId);
  return ownerId;
}

/** Rows of about so many bytes. */
async function fill(ownerId: string, count: number, bytes: number): Promise<void> {
  const body = JSON.stringify("x".repeat(bytes - 2));
  await commit.addAll(
    Array.from({ length: count }, () => notifier.entries([ownerId], "notifications", body)).flat(),
  );
}

const queue = async (ownerId: string) => {
  const rows = await database.db.notification.findMany({ where: { ownerId }, orderBy: { seq: "asc" } });
  return {
    count: rows.length,
    bytes: rows.reduce((sum, { size }) => sum + size, 0),
    seqs: rows.map((row) => row.seq),
  };
};
const dropped = async (ownerId: string) =>
  (await database.db.notificationChannel.findUnique({ where: { ownerId } }))?.dropped;

describe("telling everybody with a channel", () => {
  test("asks for nothing when there is nobody", () => {
    expect(notifier.hasChannels(accountId)).toBe(false);
    expect(
      notifier.broadcast(accountId, "registrations", () => {
        throw new Error("It was asked for.");
      }),
    ).toEqual([]);
  });

  test("makes one body for all of the account", async () => {
    const owners = [await channel(), await channel()];
    const other = newId();
    await database.db.account.create({ data: { id: other, name: "two" } });
    await channel(other);
    let made = 0;
    const entries = notifier.broadcast(accountId, "registrations", () => {
      made++;
      return '{"ep":"é"}';
    });
    expect(made).toBe(1);
    expect(entries.map(([, row]) => row)).toEqual(
      owners.map((ownerId) => ({
        ownerId,
        kind: "registrations",
        body: '{"ep":"é"}',
        size: 11,
        at: clock.now(),
      })),
    );
  });

  test("is known after a restart, and no longer when the channel is gone", async () => {
    const ownerId = await channel();
    notifier = start();
    await notifier.load();
    expect(notifier.hasChannels(accountId)).toBe(true);
    await database.db.notificationChannel.delete({ where: { ownerId } });
    await Promise.all([notifier.reload(accountId, ownerId), notifier.reload(accountId, ownerId)]);
    expect(notifier.hasChannels(accountId)).toBe(false);
  });

  test("tells of a burst once", async () => {
    const [one, two] = [await channel(), await channel()];
    for (let n = 0; n < 100; n++)
      notifier.written(
        accountId,
        notifier.broadcast(accountId, "registrations", () => "{}"),
      );
    notifier.committed(accountId, []);
    expect(told).toEqual([]);
    await clock.advance(10);
    const event = (ownerId: string) => ({ kind: "notifications", accountId, deviceId: null, ownerId });
    expect(told).toEqual([event(one), event(two)]);
    expect(clock.pending).toBe(0);
  });
});

describe("pre-subscriptions", () => {
  test("are read in their order, and again when they changed", async () => {
    const ownerId = newId();
    const row = (position: number, resourcePaths: string[]) => ({
      ownerId,
      accountId,
      position,
      resourcePaths: JSON.stringify(resourcePaths),
    });
    await database.db.presubscription.createMany({ data: [row(1, []), row(0, ["/3/*"])] });
    await notifier.load();
    const none = { endpointName: null, endpointType: null };
    const both = [
      { ...none, resourcePaths: ["/3/*"] },
      { ...none, resourcePaths: [] },
    ];
    expect([...notifier.presubscriptions(accountId)]).toEqual([[ownerId, both]]);
    expect(notifier.hasChannels(accountId)).toBe(false);
    const { generation } = notifier;
    await database.db.presubscription.deleteMany();
    await notifier.reload(accountId, ownerId);
    expect(notifier.hasPresubscriptions(accountId)).toBe(false);
    expect(notifier.generation).not.toBe(generation);
  });
});

describe("what nobody takes", () => {
  test("is dropped and counted after a day, also of owners without a channel", async () => {
    const [ownerId, nobody] = [await channel(), newId()];
    await fill(ownerId, 5100, 10);
    await fill(nobody, 3, 10);
    await clock.advance(QUEUE_AGE_MS - 1000);
    await fill(ownerId, 2, 10);
    await notifier.sweep();
    expect((await queue(ownerId)).count).toBe(5102);
    await clock.advance(1001);
    await notifier.sweep();
    expect((await queue(ownerId)).count).toBe(2);
    expect((await queue(nobody)).count).toBe(0);
    expect(await dropped(ownerId)).toBe(5100);
  });

  test("beyond the bound is dropped, the oldest first", async () => {
    const [ownerId, other] = [await channel(), await channel()];
    const big = 1024 * 1024;
    await fill(ownerId, 50, big);
    await fill(other, 10, big);
    await notifier.sweep();
    expect(await queue(ownerId)).toMatchObject({ count: 50, bytes: QUEUE_BYTES });
    const before = await queue(ownerId);
    await fill(ownerId, 1, big);
    await notifier.sweep();
    const after = await queue(ownerId);
    expect(after.bytes).toBeLessThanOrEqual(QUEUE_BYTES);
    expect(after.count).toBe(47);
    expect(after.seqs.slice(0, -1)).toEqual(before.seqs.slice(4));
    expect(await dropped(ownerId)).toBe(4);
    expect((await queue(other)).count).toBe(10);
    expect(await dropped(other)).toBe(0);
  });

  test("is what is in the queue: what was taken does not count", async () => {
    const ownerId = await channel();
    const big = 1024 * 1024;
    await fill(ownerId, 40, big);
    await database.db.notification.deleteMany();
    await fill(ownerId, 20, big);
    await notifier.sweep();
    expect((await queue(ownerId)).count).toBe(20);
    expect(await dropped(ownerId)).toBe(0);
  });

  test("before a restart counts after it", async () => {
    const ownerId = await channel();
    await fill(ownerId, 55, 1024 * 1024);
    notifier = start();
    await notifier.load();
    await notifier.sweep();
    expect((await queue(ownerId)).count).toBe(47);
    expect(await dropped(ownerId)).toBe(8);
  });
});
