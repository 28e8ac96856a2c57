import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { getDevice } from "@/server/services/devices/get";
import { listDevices, listDevicesInput } from "@/server/services/devices/list";
import { rebootstrapDevice } from "@/server/services/devices/rebootstrap";
import { removeDevice } from "@/server/services/devices/remove";
import { updateDevice } from "@/server/services/devices/update";
import { newId } from "@/server/services/ids";
import { addCertificate, addDevice, type Bench, eventTypes, failure, openBench, register } from "./support";

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());
beforeEach(async () => {
  await bench.db.device.deleteMany();
  await bench.db.deviceEvent.deleteMany();
  bench.bus.answers = {};
  bench.bus.requests.length = 0;
  bench.bus.published.length = 0;
});

describe("listing devices", () => {
  it("searches name, endpoint name, description and the beginning of the ID", async () => {
    const one = await addDevice(bench, bench.a.id, { endpointName: "pump-1", name: "North pump" });
    const two = await addDevice(bench, bench.a.id, {
      endpointName: "valve-1",
      description: "behind the pump",
    });
    const three = await addDevice(bench, bench.a.id, { endpointName: "lamp_1", id: `fe${newId().slice(2)}` });
    await addDevice(bench, bench.b.id, { endpointName: "pump-of-beta" });
    const search = async (text: string) =>
      (await listDevices(bench.a.user, { search: text })).rows.map(({ id }) => id).sort();
    expect(await search("pump")).toEqual([one, two].sort());
    expect(await search("PUMP-1")).toEqual([one]);
    expect(await search(three.slice(0, 8).toUpperCase())).toEqual([three]);
    expect(await search("nothing")).toEqual([]);
    expect(await search("%")).toEqual([]);
    expect(await search("p_mp")).toEqual([]);
    expect(await search("lamp_")).toEqual([three]);
    expect(await search("")).toHaveLength(3);
  });

  it("finds those that are suspended, and those in a group", async () => {
    const blocked = await addDevice(bench, bench.a.id, {
      suspendedAt: new Date(bench.clock.now()),
      suspendedCategory: "lost_or_stolen",
      suspendedDescription: "left on a train",
    });
    const grouped = await addDevice(bench, bench.a.id);
    await addDevice(bench, bench.b.id, { suspendedAt: new Date(bench.clock.now()) });
    const at = new Date(bench.clock.now());
    const group = await bench.db.deviceGroup.create({
      data: { id: newId(), accountId: bench.a.id, name: "north", createdAt: at, updatedAt: at },
    });
    await bench.db.deviceGroupMember.create({ data: { groupId: group.id, deviceId: grouped } });
    const suspended = await listDevices(bench.a.user, { suspended: true });
    expect(suspended).toMatchObject({ total: 1, rows: [{ id: blocked }], counts: { bootstrapped: 2 } });
    expect(suspended.rows[0]?.suspension).toEqual({
      category: "lost_or_stolen",
      description: "left on a train",
      since: at,
    });
    expect(suspended.rows[0]).not.toHaveProperty("suspendedAt");
    expect(await listDevices(bench.a.user, { suspended: true, state: "registered" })).toMatchObject({
      total: 0,
    });
    expect(await listDevices(bench.a.user, { groupId: group.id })).toMatchObject({
      total: 1,
      rows: [{ id: grouped, suspension: null }],
    });
    expect(await listDevices(bench.b.user, { groupId: group.id })).toMatchObject({ total: 0, rows: [] });
    expect((await getDevice(bench.a.user, { id: grouped })).groups).toEqual([
      { id: group.id, name: "north" },
    ]);
    await bench.db.deviceGroup.deleteMany();
  });

  it("filters by state, counts all states, and pages without gaps", async () => {
    const ids: string[] = [];
    for (let n = 0; n < 25; n++) {
      ids.push(
        await addDevice(bench, bench.a.id, { state: n < 5 ? "deregistered" : "bootstrapped", name: "same" }),
      );
    }
    const seen: string[] = [];
    for (let page = 1; page <= 3; page++) {
      const list = await listDevices(bench.a.user, { sort: "name", order: "asc", page, pageSize: 10 });
      expect(list).toMatchObject({ total: 25, page, pageSize: 10 });
      seen.push(...list.rows.map(({ id }) => id));
    }
    expect(seen.sort()).toEqual([...ids].sort());
    const gone = await listDevices(bench.a.key, { state: "deregistered" });
    expect(gone.total).toBe(5);
    expect(gone.counts).toEqual({
      unenrolled: 0,
      cloud_enrolling: 0,
      bootstrapped: 20,
      registered: 0,
      deregistered: 5,
    });
    expect((await listDevices(bench.a.user, { page: 9 })).rows).toEqual([]);
    expect((await listDevices(bench.b.user)).total).toBe(0);
  });

  it("sorts by last contact with the never seen at the end, both ways", async () => {
    const at = (ms: number) => new Date(bench.clock.now() + ms);
    const old = await addDevice(bench, bench.a.id, { lastSeenAt: at(-5000) });
    const never = await addDevice(bench, bench.a.id);
    const fresh = await addDevice(bench, bench.a.id, { lastSeenAt: at(-1000) });
    const order = async (direction: "asc" | "desc") =>
      (await listDevices(bench.a.user, { sort: "lastSeen", order: direction })).rows.map(({ id }) => id);
    expect(await order("desc")).toEqual([fresh, old, never]);
    expect(await order("asc")).toEqual([old, fresh, never]);
    for (const sort of ["created", "name", "endpointName", "state", "expires"] as const) {
      expect((await listDevices(bench.a.user, { sort })).rows).toHaveLength(3);
    }
  });

  it("calls a device online while its registration lasts", async () => {
    const id = await addDevice(bench, bench.a.id);
    await register(bench, bench.a.id, id, { lifetime: 60 });
    const online = async () => (await listDevices(bench.a.user)).rows[0]?.online;
    expect(await online()).toBe(true);
    await bench.clock.advance(59_999);
    expect(await online()).toBe(true);
    await bench.clock.advance(1);
    expect(await online()).toBe(false);
  });

  it("refuses devices, the service and bad pages", async () => {
    expect(await failure(listDevices(bench.a.device))).toBe("forbidden");
    expect(await failure(listDevices(bench.system))).toBe("forbidden");
    expect(await failure(listDevices(bench.a.user, { page: 0 }))).toBe("validation_error");
    expect(await failure(listDevices(bench.a.user, { pageSize: 201 }))).toBe("validation_error");
    expect(listDevicesInput.safeParse({ sort: "passwordHash" }).success).toBe(false);
  });
});

describe("one device", () => {
  it("is shown with its registration, certificate and attributes", async () => {
    const caId = await addCertificate(bench, bench.a.id, "lab");
    const id = await addDevice(bench, bench.a.id, { caId, customAttributes: '{"site":"roof"}' });
    await register(bench, bench.a.id, id, { lifetime: 300 });
    expect(await getDevice(bench.a.user, { id })).toMatchObject({
      id,
      accountId: bench.a.id,
      state: "registered",
      online: true,
      ca: { id: caId, name: "lab" },
      customAttributes: { site: "roof" },
      registration: { lifetime: 300, lwm2mVersion: "1.1", transport: "dtls" },
    });
    expect(await failure(getDevice(bench.b.user, { id }))).toBe("not_found");
    expect(await failure(getDevice(bench.a.device, { id }))).toBe("forbidden");
    expect(await failure(getDevice(bench.a.user, { id: "../x" }))).toBe("validation_error");
  });

  it("is renamed, described and given attributes by its account", async () => {
    const id = await addDevice(bench, bench.a.id, { description: "before" });
    await updateDevice(bench.a.user, { id, name: " Pump ", customAttributes: { site: "roof" } });
    expect(await getDevice(bench.a.user, { id })).toMatchObject({
      name: "Pump",
      description: "before",
      customAttributes: { site: "roof" },
    });
    const row = await bench.db.deviceEvent.findFirstOrThrow({ where: { deviceId: id } });
    expect(row).toMatchObject({
      type: "device.updated",
      description: "Changed name and custom attributes.",
      actor: "user:alpha@example.com",
    });
    expect(bench.bus.published.map(({ kind }) => kind)).toEqual(["event", "device"]);
  });

  it("is not changed by others, nor to what is not allowed", async () => {
    const id = await addDevice(bench, bench.a.id, { name: "before" });
    expect(await failure(updateDevice(bench.b.user, { id, name: "theirs" }))).toBe("not_found");
    expect(await failure(updateDevice(bench.a.device, { id, name: "x" }))).toBe("forbidden");
    const bad: Parameters<typeof updateDevice>[1][] = [
      { id },
      { id, name: "x".repeat(129) },
      { id, description: "x".repeat(2001) },
      { id, customAttributes: { "1st": "x" } },
      { id, customAttributes: { a: "x".repeat(129) } },
      { id, customAttributes: { a: "", b: "", c: "", d: "", e: "", f: "" } },
    ];
    for (const input of bad)
      expect(await failure(updateDevice(bench.a.user, input))).toBe("validation_error");
    expect((await getDevice(bench.a.user, { id })).name).toBe("before");
    expect(await eventTypes(bench, bench.a.id)).toEqual([]);
    expect(bench.bus.published).toEqual([]);
  });

  it("is removed with its registration, and the gateway is told after the commit", async () => {
    const id = await addDevice(bench, bench.a.id, { endpointName: "pump" });
    await register(bench, bench.a.id, id);
    bench.bus.answers = { "device.removed": {} };
    bench.bus.before = async () => expect(await bench.db.device.count({ where: { id } })).toBe(0);
    expect(await failure(removeDevice(bench.b.user, { id }))).toBe("not_found");
    expect(await failure(removeDevice(bench.a.device, { id }))).toBe("forbidden");
    expect(await failure(removeDevice(bench.a.user, { id: "" }))).toBe("validation_error");
    expect(bench.bus.requests).toEqual([]);
    await removeDevice(bench.a.developer, { id });
    bench.bus.before = async () => {};
    expect(bench.bus.requests).toEqual([
      { op: "device.removed", input: { accountId: bench.a.id, deviceId: id } },
    ]);
    expect(await bench.db.registration.count()).toBe(0);
    const row = await bench.db.deviceEvent.findFirstOrThrow({ where: { deviceId: id } });
    expect(row.description).toBe("Device “pump” deleted.");
    expect(await failure(removeDevice(bench.a.user, { id }))).toBe("not_found");
  });

  it("is removed also while the gateway is down", async () => {
    const id = await addDevice(bench, bench.a.id);
    await removeDevice(bench.a.operator, { id });
    expect(await bench.db.device.count({ where: { id } })).toBe(0);
  });
});

describe("re-bootstrap", () => {
  it("asks the gateway and says which way it took", async () => {
    const id = await addDevice(bench, bench.a.id);
    const answer = { way: "execute", message: "The device was told to bootstrap (/1/0/9)." };
    bench.bus.answers = { "device.rebootstrap": answer };
    expect(await rebootstrapDevice(bench.a.user, { id })).toEqual(answer);
    expect(bench.bus.requests).toEqual([
      {
        op: "device.rebootstrap",
        input: { accountId: bench.a.id, deviceId: id, actor: "user:alpha@example.com" },
      },
    ]);
    // The gateway writes that event.
    expect(await eventTypes(bench, bench.a.id)).toEqual([]);
    expect(bench.bus.published).toEqual([
      { kind: "device", accountId: bench.a.id, deviceId: id, change: "updated" },
    ]);
    expect((await getDevice(bench.a.user, { id })).rebootstrapPending).toBe(false);
  });

  it("marks the device when the gateway is down", async () => {
    const id = await addDevice(bench, bench.a.id);
    expect(await rebootstrapDevice(bench.a.user, { id })).toMatchObject({ way: "refuse-registration" });
    expect((await getDevice(bench.a.user, { id })).rebootstrapPending).toBe(true);
    const row = await bench.db.deviceEvent.findFirstOrThrow({ where: { deviceId: id } });
    expect(row).toMatchObject({
      type: "device.rebootstrap-requested",
      actor: "user:alpha@example.com",
      description: expect.stringContaining("the gateway is not running"),
    });
  });

  it("is refused to others", async () => {
    const id = await addDevice(bench, bench.a.id);
    expect(await failure(rebootstrapDevice(bench.b.user, { id }))).toBe("not_found");
    expect(await failure(rebootstrapDevice(bench.a.device, { id }))).toBe("forbidden");
    expect(await failure(rebootstrapDevice(bench.a.user, { id: "1" }))).toBe("validation_error");
    expect(bench.bus.requests).toEqual([]);
    expect((await getDevice(bench.a.user, { id })).rebootstrapPending).toBe(false);
  });
});
