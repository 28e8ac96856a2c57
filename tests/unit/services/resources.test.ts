import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { gatewayRequests, type ResourceValue } from "@/server/bus/messages";
import { executeResource } from "@/server/services/devices/execute-resource";
import { observeResource } from "@/server/services/devices/observe-resource";
import { readResource } from "@/server/services/devices/read-resource";
import { getResources } from "@/server/services/devices/resources";
import { unobserveResource } from "@/server/services/devices/unobserve-resource";
import { writeResource } from "@/server/services/devices/write-resource";
import { addDevice, type Bench, failure, openBench, register } from "./support";

let bench: Bench;
let id: string;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());
beforeEach(async () => {
  await bench.db.device.deleteMany();
  bench.bus.requests.length = 0;
  id = await addDevice(bench, bench.a.id);
});

async function know(path: string, value: ResourceValue, source = "read"): Promise<void> {
  const at = new Date(bench.clock.now());
  await bench.db.resourceValue.create({
    data: { deviceId: id, path, value: JSON.stringify(value), at, source },
  });
}

async function tree(accountContext = bench.a.user) {
  return getResources(accountContext, { id });
}

describe("the resource tree", () => {
  it("takes names, types and units from the definitions where a device presents instances", async () => {
    await register(bench, bench.a.id, id, {
      objectLinks: '</>;rt="oma.lwm2m",</1/0>,</3/0>,</3303/0>,</3303/1>,</5>',
    });
    await know("/3303/0/5700", { type: "float", value: 21.5 }, "notify");
    await bench.db.observation.create({ data: { deviceId: id, path: "/3303/0/5700" } });
    const { registered, objects } = await tree();
    expect(registered).toBe(true);
    expect(objects.map((object) => [object.id, object.name, object.instances.length])).toEqual([
      [1, "LwM2M Server", 1],
      [3, "Device", 1],
      [5, "Firmware Update", 0],
      [3303, "Temperature", 2],
    ]);
    const value = objects[3]?.instances[0]?.resources.find((one) => one.id === 5700);
    expect(value).toMatchObject({
      path: "/3303/0/5700",
      name: "Sensor Value",
      operations: "R",
      type: "float",
      multiple: false,
      mandatory: true,
      presented: true,
      observable: true,
      observed: true,
      value: { value: { type: "float", value: 21.5 }, at: bench.clock.now(), source: "notify" },
    });
    const units = objects[3]?.instances[0]?.resources.find((one) => one.id === 5701);
    expect(units).toMatchObject({ presented: false, observed: false, value: null });
    const reboot = objects[1]?.instances[0]?.resources.find((one) => one.id === 4);
    expect(reboot).toMatchObject({ name: "Reboot", operations: "E", observable: false });
  });

  it("shows what Pelion's client presents, and only that", async () => {
    await register(bench, bench.a.id, id, {
      lwm2mVersion: "1.0",
      objectLinks: '</1/0/1>,</3/0/0>;rt="Text";v="ARM",</3200/0/5501>;rt="digital_input";obs,</26241/0/1>',
    });
    const { objects } = await tree();
    const paths = objects.flatMap((object) =>
      object.instances.flatMap((one) => one.resources.map(({ path }) => path)),
    );
    expect(paths).toEqual(["/1/0/1", "/3/0/0", "/3200/0/5501", "/26241/0/1"]);
    const all = objects.flatMap((object) => object.instances.flatMap((one) => one.resources));
    expect(all.map(({ observable }) => observable)).toEqual([false, false, true, false]);
    expect(all.at(-1)).toMatchObject({ name: "Resource 1", type: null, operations: "RWE" });
    expect(objects.at(-1)).toMatchObject({ name: "Object 26241", defined: false });
  });

  it("tells what the device reports by itself from what somebody observes", async () => {
    await register(bench, bench.a.id, id, {
      objectLinks: '</3/0/0>;obs;aobs="1";v="ARM",</3200/0/5501>;obs,</3200/0/5750>',
    });
    const { objects } = await tree();
    const all = objects.flatMap((object) => object.instances.flatMap((one) => one.resources));
    expect(all.map(({ path, observed, automatic }) => [path, observed, automatic])).toEqual([
      ["/3/0/0", false, true],
      ["/3200/0/5501", false, false],
      ["/3200/0/5750", false, false],
    ]);
  });

  it("gathers the instances of a multiple resource", async () => {
    await register(bench, bench.a.id, id);
    await know("/3/0/7/1", { type: "integer", value: "5000" });
    await know("/3/0/7/0", { type: "integer", value: "3800" });
    const { objects } = await tree();
    expect(objects[0]?.instances[0]?.resources.find((one) => one.id === 7)).toMatchObject({
      multiple: true,
      value: null,
      items: [
        { id: 0, path: "/3/0/7/0", value: { value: "3800" } },
        { id: 1, path: "/3/0/7/1", value: { value: "5000" } },
      ],
    });
  });

  it("counts what an observed instance or object holds as observed", async () => {
    await register(bench, bench.a.id, id, { objectLinks: "</3303/0>,</3303/1>,</3/0>" });
    await bench.db.observation.create({ data: { deviceId: id, path: "/3303/0" } });
    await bench.db.observation.create({ data: { deviceId: id, path: "/3" } });
    const { objects } = await tree();
    const observed = objects.flatMap(({ instances }) => instances.map((one) => [one.path, one.observed]));
    expect(observed).toEqual([
      ["/3/0", true],
      ["/3303/0", true],
      ["/3303/1", false],
    ]);
    expect(objects[1]?.instances[0]?.resources.every((one) => one.observed)).toBe(true);
    expect(objects[1]?.instances[1]?.resources.some((one) => one.observed)).toBe(false);
  });

  it("shows the last known values of a device that is gone", async () => {
    await know("/3/0/0", { type: "string", value: "ACME" });
    expect(await tree()).toMatchObject({
      registered: false,
      rootPath: "/",
      objects: [
        { id: 3, instances: [{ id: 0, resources: [{ id: 0, value: { value: { value: "ACME" } } }] }] },
      ],
    });
  });

  it("leaves out what a device knew before it registered and has no longer", async () => {
    await know("/3/0/0", { type: "string", value: "ACME" });
    await know("/3303/0/5700", { type: "float", value: 21.5 });
    await bench.clock.advance(1000);
    await register(bench, bench.a.id, id, { objectLinks: "</3/0>,</3303/1>" });
    await know("/3304/0/5700", { type: "float", value: 40 });
    const { objects } = await tree();
    const known = objects.flatMap(({ instances }) =>
      instances.flatMap((one) => one.resources.filter(({ value }) => value).map(({ path }) => path)),
    );
    expect(known).toEqual(["/3/0/0", "/3304/0/5700"]);
    expect(objects.map((object) => object.instances.map(({ path }) => path))).toEqual([
      ["/3/0"],
      ["/3303/1"],
      ["/3304/0"],
    ]);
  });

  it("does not fall over what is kept and cannot be read", async () => {
    await register(bench, bench.a.id, id, { objectLinks: "</3/0" });
    expect(await tree()).toMatchObject({ registered: true, objects: [] });
  });

  it("is for members of the account", async () => {
    expect(await failure(tree(bench.b.user))).toBe("not_found");
    expect(await failure(tree(bench.a.device))).toBe("forbidden");
    expect(await failure(getResources(bench.a.user, { id: "x" }))).toBe("validation_error");
  });
});

describe("operations on resources", () => {
  const ok = { code: "2.05", ok: true, message: "", values: [] };
  const path = "/3303/0/5700";
  const verbs = {
    "device.read": () => readResource,
    "device.observe": () => observeResource,
    "device.unobserve": () => unobserveResource,
    "device.execute": () => executeResource,
  } as const;

  it("go to the gateway with the account, the device and who asked", async () => {
    bench.bus.answers = { "device.write": ok };
    for (const [op, verb] of Object.entries(verbs)) {
      bench.bus.answers = { [op]: ok };
      expect(await verb()(bench.a.user, { id, path })).toEqual(ok);
      const { input } = bench.bus.requests.at(-1) ?? {};
      expect(input).toMatchObject({
        accountId: bench.a.id,
        deviceId: id,
        path,
        actor: "user:alpha@example.com",
      });
      expect(gatewayRequests[op as keyof typeof gatewayRequests].input.safeParse(input).success).toBe(true);
    }
  });

  it("write what was typed, by the type of the resource", async () => {
    bench.bus.answers = { "device.write": ok };
    await writeResource(bench.a.key, { id, path: "/1/0/1", value: "3600" });
    expect(bench.bus.requests.at(-1)?.input).toMatchObject({
      path: "/1/0/1",
      value: { type: "integer", value: "3600" },
      actor: "key:a key",
    });
    await expect(writeResource(bench.a.user, { id, path: "/1/0/1", value: "an hour" })).rejects.toMatchObject(
      {
        code: "validation_error",
        fields: [{ name: "value" }],
      },
    );
    expect(bench.bus.requests).toHaveLength(1);
  });

  it("say so when the gateway is down", async () => {
    bench.bus.answers = {};
    expect(await failure(readResource(bench.a.user, { id, path }))).toBe("unavailable");
  });

  it("are refused to other accounts, to devices, and for what is no path", async () => {
    bench.bus.answers = { "device.read": ok, "device.write": ok, "device.execute": ok };
    const all = [...Object.values(verbs).map((verb) => verb()), writeResource];
    for (const verb of all) {
      const run = verb as (ctx: typeof bench.system, input: object) => Promise<unknown>;
      expect(await failure(run(bench.b.user, { id, path, value: "1" }))).toBe("not_found");
      expect(await failure(run(bench.a.device, { id, path, value: "1" }))).toBe("forbidden");
      for (const bad of ["", "3/0", "/3/0/0/0/0", "/03/0/0", "/70000/0/0", "/3/-1/0", "/rd/x"])
        expect(await failure(run(bench.a.user, { id, path: bad, value: "1" })), bad).toBe("validation_error");
    }
    expect(await failure(executeResource(bench.a.user, { id, path: "/3/0" }))).toBe("validation_error");
    expect(await failure(writeResource(bench.a.user, { id, path: "/3", value: "1" }))).toBe(
      "validation_error",
    );
    expect(await failure(executeResource(bench.a.user, { id, path, args: "x".repeat(1025) }))).toBe(
      "validation_error",
    );
    expect(bench.bus.requests).toEqual([]);
  });
});
