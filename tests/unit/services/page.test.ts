import { afterAll, beforeAll, expect, it } from "vitest";
import { searchDevices } from "@/server/services/devices/search";
import { newId } from "@/server/services/ids";
import { type Bench, openBench } from "./support";

let bench: Bench;
const ids = Array.from({ length: 5 }, (_, n) => newId(n + 1));
beforeAll(async () => {
  bench = await openBench();
  const { id: accountId } = bench.a;
  await bench.db.device.createMany({
    data: ids.map((id, n) => ({
      id,
      accountId,
      identity: `ep:${n}`,
      endpointName: String(n),
      state: n < 3 ? "registered" : "bootstrapped",
    })),
  });
});
afterAll(() => bench.close());

const page = async (input: Parameters<typeof searchDevices>[1]) => {
  const { rows, ...rest } = await searchDevices(bench.a.user, input);
  return { ids: rows.map(({ id }) => id), ...rest };
};

it("tells what is there on every page, in both directions", async () => {
  const [a, b, c, d, e] = ids as [string, string, string, string, string];
  for (const limit of [5, 6])
    expect(await page({ limit, count: true })).toEqual({ ids, more: false, total: 5 });
  expect(await page({ limit: 2, count: true })).toEqual({ ids: [a, b], more: true, total: 5 });
  expect(await page({ limit: 2, after: b, count: true })).toEqual({ ids: [c, d], more: true, total: 5 });
  expect(await page({ limit: 2, after: d, count: true })).toEqual({ ids: [e], more: false, total: 5 });
  expect(await page({ limit: 2, after: e, count: true })).toEqual({ ids: [], more: false, total: 5 });
  expect(await page({ limit: 2, order: "DESC" })).toEqual({ ids: [e, d], more: true, total: null });
  expect(await page({ limit: 4, order: "DESC", after: e })).toEqual({
    ids: [d, c, b, a],
    more: false,
    total: null,
  });
});

it("counts what a filter finds", async () => {
  const filters = [{ field: "state", operator: "eq" as const, value: "registered" }];
  expect(await page({ filters, limit: 2, count: true })).toMatchObject({ more: true, total: 3 });
  expect(await page({ filters, limit: 3, count: true })).toMatchObject({ more: false, total: 3 });
  const none = [{ field: "name", operator: "eq" as const, value: "nobody" }];
  expect(await page({ filters: none, count: true })).toEqual({ ids: [], more: false, total: 0 });
});
