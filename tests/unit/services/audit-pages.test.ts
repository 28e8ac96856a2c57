import { afterEach, beforeEach, expect, it } from "vitest";
import { auditFacets } from "@/server/services/audit/facets";
import { namesOf } from "@/server/services/audit/names";
import { createDeviceGroup } from "@/server/services/device-groups/create";
import { addDevice, type Bench, openBench } from "./support";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(() => bench.close());

it("knows who made changes, and to what, in this account", async () => {
  const { a, b } = bench;
  await createDeviceGroup(a.user, { name: "north" });
  await createDeviceGroup(b.user, { name: "theirs" });
  expect(await auditFacets(a.user)).toEqual({
    actors: ["user:alpha@example.com"],
    objectTypes: ["device-group"],
  });
  await expect(auditFacets(a.developer)).rejects.toMatchObject({ code: "forbidden" });
});

it("says what things are called, but not those of another account", async () => {
  const { a, b } = bench;
  const named = await addDevice(bench, a.id, { name: "Pump", endpointName: "ep-1" });
  const plain = await addDevice(bench, a.id, { endpointName: "ep-2" });
  const theirs = await addDevice(bench, b.id, { name: "Theirs" });
  const { id } = await createDeviceGroup(a.user, { name: "north" });
  expect(await namesOf(a.user, [named, plain, theirs, id, id])).toEqual({
    [named]: "Pump",
    [plain]: "ep-2",
    [id]: "north",
  });
  await expect(namesOf(a.developer, [named])).rejects.toMatchObject({ code: "forbidden" });
});
