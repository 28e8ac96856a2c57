import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { gatewayRequests } from "@/server/bus/messages";
import { factoryResetDevice } from "@/server/services/devices/factory-reset";
import { getDevice } from "@/server/services/devices/get";
import { rebootDevice } from "@/server/services/devices/reboot";
import { renewDeviceCertificate } from "@/server/services/devices/renew-certificate";
import { addDevice, type Bench, eventTypes, failure, openBench, register } from "./support";

let bench: Bench;
let id: string;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());
beforeEach(async () => {
  await bench.db.device.deleteMany();
  bench.bus.answers = {};
  bench.bus.requests.length = 0;
  id = await addDevice(bench, bench.a.id);
});

const ALL = "</1/0/1>,</3/0/0>,</3/0/4>,</3/0/5>,</35011/0/27002>";
const took = { code: "2.04", ok: true, message: "", values: [] };
const verbs = [
  { verb: rebootDevice, op: "device.execute", input: { path: "/3/0/4", args: "" } },
  { verb: factoryResetDevice, op: "device.execute", input: { path: "/3/0/5", args: "" } },
  { verb: renewDeviceCertificate, op: "device.renew", input: {} },
] as const;

describe("what is asked of a device as a whole", () => {
  it("goes to the gateway with the account and who asked, and says what comes of it", async () => {
    await register(bench, bench.a.id, id, { objectLinks: ALL });
    for (const { verb, op, input } of verbs) {
      bench.bus.answers = { [op]: { ...took, message: op === "device.renew" ? "it has a new one" : "" } };
      const result = await verb(bench.a.user, { id });
      expect(result).toMatchObject({ ok: true, code: "2.04" });
      expect(result.message).not.toBe("");
      expect(bench.bus.requests.at(-1)).toEqual({
        op,
        input: { ...input, accountId: bench.a.id, deviceId: id, actor: "user:alpha@example.com" },
      });
      expect(gatewayRequests[op].input.safeParse(bench.bus.requests.at(-1)?.input).success).toBe(true);
    }
    // The gateway writes those events.
    expect(await eventTypes(bench, bench.a.id)).toEqual([]);
  });

  it("ends in the words of the gateway when the device does not do it", async () => {
    const refused = { ok: false, code: null, message: "the device is not registered", values: [] };
    for (const { verb, op } of verbs) {
      bench.bus.answers = { [op]: refused };
      expect(await verb(bench.a.operator, { id })).toEqual(refused);
      bench.bus.answers = {};
      expect(await failure(verb(bench.a.key, { id }))).toBe("unavailable");
    }
  });

  it("is not asked of a device that says what it has and has it not", async () => {
    await register(bench, bench.a.id, id, { objectLinks: "</3/0/0>,</35011/0>" });
    for (const { verb } of verbs) expect(await failure(verb(bench.a.user, { id }))).toBe("conflict");
    expect(bench.bus.requests).toEqual([]);
  });

  it("is refused to other accounts, to devices, and without an ID", async () => {
    await register(bench, bench.a.id, id, { objectLinks: ALL });
    bench.bus.answers = { "device.execute": took, "device.renew": took };
    for (const { verb } of verbs) {
      expect(await failure(verb(bench.b.user, { id }))).toBe("not_found");
      expect(await failure(verb(bench.a.device, { id }))).toBe("forbidden");
      expect(await failure(verb(bench.system, { id }))).toBe("forbidden");
      expect(await failure(verb(bench.a.user, { id: "1" }))).toBe("validation_error");
    }
    expect(bench.bus.requests).toEqual([]);
  });
});

describe("what a device can be asked for", () => {
  const abilities = async () => (await getDevice(bench.a.user, { id })).abilities;

  it("is nothing while it is not registered", async () => {
    for (const reason of Object.values(await abilities())) expect(reason).toMatch(/not registered/);
  });

  it("is what its links name, or what its instances may have", async () => {
    const cases: [links: string, reboot: boolean, factoryReset: boolean, renewCertificate: boolean][] = [
      [ALL, true, true, true],
      ["</1/0>,</3/0>", true, true, false],
      ["</1/0>,</3303/0>", false, false, false],
      ["</3/0/0>,</3/0/4>", true, false, false],
      ["</3/0>,</3/0/5>,</35011/0>", false, true, false],
      ["</3/0", false, false, false],
    ];
    for (const [objectLinks, ...expected] of cases) {
      await bench.db.registration.deleteMany();
      await register(bench, bench.a.id, id, { objectLinks });
      const { reboot, factoryReset, renewCertificate } = await abilities();
      expect(
        [reboot, factoryReset, renewCertificate].map((reason) => reason === null),
        objectLinks,
      ).toEqual(expected);
    }
  });

  it("comes with whether it is the same device after a factory reset, and without its links", async () => {
    await register(bench, bench.a.id, id);
    const device = await getDevice(bench.a.user, { id });
    expect(device).toMatchObject({ keepsIdAfterReset: true, registration: { lifetime: 60 } });
    expect(JSON.stringify(device)).not.toContain("</3/0>");
    const other = await addDevice(bench, bench.a.id, { identity: "id:1", endpointName: "shared" });
    expect(await getDevice(bench.a.user, { id: other })).toMatchObject({
      keepsIdAfterReset: false,
      registration: null,
    });
  });
});
