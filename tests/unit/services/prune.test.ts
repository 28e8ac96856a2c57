import { afterAll, beforeAll, expect, it } from "vitest";
import { openTestDatabase, type TestDatabase } from "@/server/db";
import { AUDIT_DAYS, pruneAuditLog } from "@/server/services/audit/prune";
import { auditChange } from "@/server/services/audit/record";
import type { Context } from "@/server/services/context";
import { createContext } from "@/server/services/create-context";
import { EVENT_DAYS, pruneEvents } from "@/server/services/events/prune";
import { eventRow } from "@/server/services/events/record";
import { newId } from "@/server/services/ids";
import { FakeClock } from "../../support/fake-clock";

const DAY_MS = 86_400_000;
let test: TestDatabase;
let ctx: Context;
const clock = new FakeClock();

beforeAll(async () => {
  test = await openTestDatabase();
  ctx = createContext({
    ...test,
    clock,
    bus: { request: () => Promise.reject(new Error()), publish: () => {} },
  });
});
afterAll(() => test.close());

const record = (at: number) =>
  ctx.db.deviceEvent.create({
    data: {
      ...eventRow("registration.expired", { id: newId(at), accountId: null, deviceId: null, data: {}, at }),
      at: new Date(at),
    },
  });

it("forgets what happened long ago, and nothing else", async () => {
  const start = clock.now();
  for (let n = 0; n < 5; n++) await record(start + n);
  await clock.advance(EVENT_DAYS * DAY_MS);
  await record(clock.now());
  expect(await pruneEvents(ctx)).toBe(0);
  await clock.advance(3);
  expect(await pruneEvents(ctx)).toBe(3);
  expect(await ctx.db.deviceEvent.count()).toBe(3);
});

it("keeps the audit log for a year", async () => {
  const accountId = newId(clock.now());
  await ctx.db.account.create({ data: { id: accountId, name: "a" } });
  const change = (objectId: string) =>
    ctx.db.$transaction((tx) =>
      auditChange(ctx, tx, {
        action: "thing.updated",
        objectType: "thing",
        objectId,
        before: null,
        after: null,
        accountId,
      }),
    );
  await change("old");
  await clock.advance(AUDIT_DAYS * DAY_MS);
  await change("new");
  expect(await pruneAuditLog(ctx)).toBe(0);
  await clock.advance(1);
  expect(await pruneAuditLog(ctx)).toBe(1);
  expect((await ctx.db.auditEntry.findMany()).map(({ objectId }) => objectId)).toEqual(["new"]);
});

it("is not for people", async () => {
  const actor = { kind: "operator" as const, accountId: newId() };
  await expect(pruneEvents({ ...ctx, actor })).rejects.toMatchObject({ code: "forbidden" });
  await expect(pruneAuditLog({ ...ctx, actor })).rejects.toMatchObject({ code: "forbidden" });
});
