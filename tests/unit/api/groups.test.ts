import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newId } from "@/server/services/ids";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
const devices: string[] = [];
beforeAll(async () => {
  bench = await openApiBench();
  for (let n = 0; n < 4; n++) {
    const id = newId();
    devices.push(id);
    await bench.db.device.create({
      data: {
        id,
        accountId: n < 3 ? bench.a.id : bench.b.id,
        identity: `ep:d${n}`,
        endpointName: `d${n}`,
        state: n === 0 ? "registered" : "bootstrapped",
        updatedAt: new Date(0),
      },
    });
  }
});
afterAll(() => bench.close());

const call = (method: string, path: string, body?: unknown) =>
  bench.call(bench.a.developer, method, `/v3/device-groups/${path}`, body);
const make = async (name: string, more = {}) => (await call("POST", "", { name, ...more })).body;
const add = (group: string, device_id: unknown) => call("POST", `${group}/devices/add/`, { device_id });
const take = (group: string, device_id: unknown) => call("POST", `${group}/devices/remove/`, { device_id });
const members = async (group: string, query = "") =>
  (await call("GET", `${group}/devices/${query}`)).body.data.map(({ id }: { id: string }) =>
    devices.indexOf(id),
  );
const groupsOf = async (n: number) =>
  (await bench.call(bench.a.developer, "GET", `/v3/devices/${devices[n]}`)).body;

describe("device groups", () => {
  it("are made, read, changed and deleted", async () => {
    const made = await make("north", { description: "Hall 1", custom_attributes: { site: "x" } });
    expect(made).toMatchObject({
      object: "device-group",
      name: "north",
      description: "Hall 1",
      custom_attributes: { site: "x" },
      devices_count: 0,
    });
    expect(made.etag).toBe(made.updated_at);
    expect((await call("GET", made.id)).body).toEqual(made);
    const changed = (await call("PUT", `${made.id}/`, { name: "south", custom_attributes: {} })).body;
    expect(changed).toMatchObject({ name: "south", description: "Hall 1", custom_attributes: {} });
    expect((await call("DELETE", made.id)).status).toBe(204);
    expect((await call("GET", made.id)).status).toBe(404);
    expect((await call("DELETE", made.id)).status).toBe(404);
    const actions = (
      await bench.db.auditEntry.findMany({ where: { objectId: made.id }, orderBy: { id: "asc" } })
    ).map(({ action }) => action);
    expect(actions).toEqual(["device-group.created", "device-group.updated", "device-group.deleted"]);
  });

  it("have a name of their own within the account", async () => {
    const first = await make("one");
    const twice = await call("POST", "", { name: "one" });
    expect([twice.status, twice.body.type]).toEqual([409, "duplicate"]);
    const other = await make("two");
    expect((await call("PUT", other.id, { name: "one" })).status).toBe(409);
    expect((await call("PUT", first.id, { name: "one" })).status).toBe(200);
    expect((await bench.call(bench.b.developer, "POST", "/v3/device-groups", { name: "one" })).status).toBe(
      201,
    );
  });

  it("hold devices of the account only, each once", async () => {
    const { id } = await make("members");
    for (let turn = 0; turn < 2; turn++) expect((await add(id, devices[0])).status).toBe(204);
    await add(id, devices[1]);
    for (const stranger of [devices[3], newId()]) expect((await add(id, stranger)).status).toBe(404);
    for (const bad of [undefined, null, 7, "x"]) expect((await add(id, bad)).status).toBe(400);
    expect((await call("GET", id)).body.devices_count).toBe(2);
    expect(await members(id)).toEqual([0, 1]);
    expect(await members(id, "?state__eq=registered")).toEqual([0]);
    expect(await members(id, "?filter=endpoint_name%3Dd1&include=total_count")).toEqual([1]);
    expect((await call("GET", `${id}/devices?colour=red&bogus__eq=1`)).status).toBe(400);
    expect((await groupsOf(0)).groups).toEqual([id]);
    expect((await groupsOf(0)).etag).not.toBe("1970-01-01T00:00:00.000Z");
    expect((await groupsOf(2)).groups).toEqual([]);
    const { groups: listed } = (
      await bench.call(bench.a.developer, "GET", `/v3/devices?id__in=${devices[0]}`)
    ).body.data[0];
    expect(listed).toEqual([id]);
    for (let turn = 0; turn < 2; turn++) expect((await take(id, devices[0])).status).toBe(204);
    expect((await take(id, newId())).status).toBe(404);
    expect(await members(id)).toEqual([1]);
    // The timeline of the device tells of both changes, and of nothing that was none.
    const events = await bench.db.deviceEvent.findMany({ where: { deviceId: devices[0] ?? "" } });
    expect(events.map(({ description }) => description)).toEqual([
      "Changed device groups.",
      "Changed device groups.",
    ]);
    expect((await call("DELETE", id)).status).toBe(204);
    expect((await groupsOf(1)).groups).toEqual([]);
    await bench.db.device.findUniqueOrThrow({ where: { id: devices[1] ?? "" } });
  });

  it("are filtered and paged", async () => {
    await bench.db.deviceGroup.deleteMany();
    const made = [];
    for (let n = 0; n < 3; n++) made.push(await make(`g${n}`, { custom_attributes: { n: String(n % 2) } }));
    await add(made[2].id, devices[0]);
    const find = async (query: string) =>
      (await call("GET", `?${query}`)).body.data.map(({ name }: { name: string }) => name);
    expect(await find("name__in=g0,g2")).toEqual(["g0", "g2"]);
    expect(await find("devices_count__gte=1")).toEqual(["g2"]);
    expect(await find("custom_attributes__n=0&order=DESC")).toEqual(["g2", "g0"]);
    expect(await find(`limit=2&after=${made[0].id}`)).toEqual(["g1", "g2"]);
    expect((await call("GET", "?include=total_count&limit=2")).body).toMatchObject({
      total_count: 3,
      has_more: true,
    });
  });

  it("are checked", async () => {
    const attributes = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`a${n}`, "x"]));
    expect((await call("POST", "", { name: "ten", custom_attributes: attributes(10) })).status).toBe(201);
    for (const body of [
      {},
      { name: "" },
      { name: "x".repeat(129) },
      { name: "x", description: "x".repeat(1025) },
      { name: "x", custom_attributes: attributes(11) },
      { name: "x", custom_attributes: { "1a": "x" } },
    ]) {
      const answer = await call("POST", "", body);
      expect([answer.status, answer.body.type], JSON.stringify(body)).toEqual([400, "validation_error"]);
    }
  });
});
