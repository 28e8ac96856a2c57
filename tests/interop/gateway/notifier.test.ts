import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { BusEvent } from "@/server/bus/messages";
import { actAs } from "@/server/services/create-context";
import { removeDevice } from "@/server/services/devices/remove";
import { newId } from "@/server/services/ids";
import { eventually, TestApplication } from "../../support/application";
import { type Ask, RawDevice, uint } from "../../support/raw-device";
import { startTestGateway, type TestGateway } from "../../support/test-gateway";

/* What applications are told of registrations: rows in their queues, written with the registrations themselves. */

let gateway: TestGateway;
let otherAccount: string;
const devices: RawDevice[] = [];
const events: BusEvent[] = [];
let names = 0;

beforeAll(async () => {
  gateway = await startTestGateway();
  otherAccount = newId();
  await gateway.db.account.create({ data: { id: otherAccount, name: "another" } });
  gateway.bus.subscribe((event) => void events.push(event));
}, 30_000);
afterAll(() => gateway?.close());
afterEach(() => {
  for (const device of devices.splice(0)) device.close();
});

async function registered(query: readonly string[] = [], payload = "</1/0>,</3303/0>") {
  const endpointName = `told-${++names}`;
  const device = await RawDevice.open(gateway.port("lwm2m", "coap"));
  devices.push(device);
  const register = (ask: Partial<Ask> = {}) =>
    device.ask({ path: "rd", query: [`ep=${endpointName}`, "lwm2m=1.1", ...query], payload, ...ask });
  const { code, location } = await register();
  expect(code).toBe("2.01");
  const { id } = await gateway.db.device.findFirstOrThrow({ where: { endpointName }, select: { id: true } });
  return { device, id, endpointName, register, location };
}

describe("applications with a channel", () => {
  it("are told of registrations in their account, with all that the device presents, and of their ends", async () => {
    const [one, two] = [await new TestApplication(gateway).open(), await new TestApplication(gateway).open()];
    const stranger = await new TestApplication(gateway, otherAccount).open();
    const unheard = new TestApplication(gateway);
    const links = '</1/0>,</3303/0>,</3200/0/5501>;obs;rt="counter";if="sensor";ct=0';
    const { device, id, endpointName, location } = await registered(["et=lamp", "Q"], links);
    expect((await device.ask({ method: "DELETE", path: location })).code).toBe("2.02");

    for (const application of [one, two]) {
      const told = await application.told();
      expect(told).toEqual([
        {
          kind: "registrations",
          uid: expect.stringMatching(/^[0-9a-f]{32}$/),
          timestamp: expect.any(Number),
          ep: id,
          "original-ep": endpointName,
          ept: "lamp",
          q: true,
          resources: [
            { path: "/1/0", obs: false },
            { path: "/1/0/0", obs: true },
            { path: "/1/0/1", obs: true },
            { path: "/1/0/6", obs: true },
            { path: "/1/0/7", obs: true },
            { path: "/1/0/8", obs: false },
            { path: "/3200/0/5501", if: "sensor", rt: "counter", ct: "text/plain", obs: true },
            { path: "/3303/0", obs: false },
            { path: "/3303/0/5700", obs: true },
          ],
        },
        {
          kind: "de-registrations",
          uid: expect.any(String),
          timestamp: expect.any(Number),
          ep: id,
          "original-ep": endpointName,
        },
      ]);
    }
    expect(await stranger.told()).toEqual([]);
    expect(await unheard.told()).toEqual([]);
    expect(await gateway.db.device.findUnique({ where: { id } })).toMatchObject({ endpointType: "lamp" });
    await eventually(() =>
      events.some(
        (event) =>
          event.kind === "notifications" && event.ownerId === one.id && event.accountId === gateway.accountId,
      ),
    );
  });

  it("are told of those of their account only", async () => {
    const [mine, theirs] = [
      await new TestApplication(gateway).open(),
      await new TestApplication(gateway, otherAccount).open(),
    ];
    const { id } = await registered([`aid=${otherAccount}`]);
    expect((await theirs.told()).map((one) => "ep" in one && one.ep)).toEqual([id]);
    expect(await mine.told()).toEqual([]);
  });

  it("get the whole structure with every update", async () => {
    const application = await new TestApplication(gateway).open();
    const { device, id, location } = await registered(["mccv=4.13.2"], "</3200/0/5501>;obs,</3201/0/5850>");
    await device.ask({ path: location, payload: '</3202/0/5600>;obs;rt="volt",</3201/0/5850>;d' });
    await device.ask({ path: location });
    const updates = await application.got("reg-updates", 2);
    for (const update of updates)
      expect(update).toMatchObject({
        ep: id,
        resources: [
          { path: "/3200/0/5501", obs: true },
          { path: "/3202/0/5600", rt: "volt", obs: true },
        ],
      });
    expect(new Set(updates.map(({ uid }) => uid)).size).toBe(2);
  });

  it("are told of a registration that takes the place of another, and of one that ran out", async () => {
    const application = await new TestApplication(gateway).open();
    const { register, id } = await registered(["lt=60"]);
    await register();
    gateway.clock.jump(61_000);
    const [expired] = await application.got("registrations-expired");
    expect(expired).toMatchObject({ ep: id });
    expect(await application.kinds()).toEqual(["registrations", "registrations", "registrations-expired"]);
  });

  it("are told of the end when somebody deletes the device", async () => {
    const application = await new TestApplication(gateway).open();
    const { id, endpointName } = await registered();
    await removeDevice(actAs(gateway.context, { kind: "operator", accountId: gateway.accountId }), { id });
    expect(await application.got("de-registrations")).toMatchObject([
      { ep: id, "original-ep": endpointName },
    ]);
  });

  it("are told nothing any longer when the channel is gone", async () => {
    const application = await new TestApplication(gateway).open();
    await gateway.db.notificationChannel.delete({ where: { ownerId: application.id } });
    await application.reload();
    await registered();
    expect(await application.told()).toEqual([]);
  });

  it("are told after a restart of the gateway, too", async () => {
    const application = await new TestApplication(gateway).open();
    const { device, location, id } = await registered();
    await gateway.restart();
    expect((await device.ask({ path: location })).code).toBe("2.04");
    expect((await application.got("reg-updates"))[0]).toMatchObject({ ep: id });
  });
});

describe("a device that leaves and registers in the same breath", () => {
  for (const [kind, query] of [
    ["of Pelion's kind, whose location is always the same,", ["mccv=4.13.2"]],
    ["with another location each time", []],
  ] as const)
    it(`${kind} is registered, and told of in order`, async () => {
      const application = await new TestApplication(gateway).open();
      await application.presubscribe({ resourcePaths: ["/3303/0/5700"] });
      const { device, id, register, location } = await registered(query, "</1/0>,</3303/0/5700>;obs");
      await eventually(() => device.requests.length === 1);
      device.answer = () => ({ code: "2.05", payload: "1", options: [{ name: "Observe", value: uint(1) }] });
      // Both are here before either is written.
      const [left, came] = await Promise.all([device.ask({ method: "DELETE", path: location }), register()]);
      expect([left.code, came.code]).toEqual(["2.02", "2.01"]);
      expect(await application.kinds()).toEqual(["registrations", "de-registrations", "registrations"]);
      expect(await gateway.db.registration.count({ where: { deviceId: id } })).toBe(1);
      expect(await gateway.db.device.findUnique({ where: { id } })).toMatchObject({ state: "registered" });
      expect((await device.ask({ path: came.location })).code).toBe("2.04");
      expect(await application.subscriptions(id)).toEqual(["/3303/0/5700"]);
      await eventually(() => device.requests.length === 2);
    });
});

describe("the type of a device", () => {
  const typeOf = async (id: string) =>
    (await gateway.db.device.findUniqueOrThrow({ where: { id }, select: { endpointType: true } }))
      .endpointType;

  it("is what it says, unless it says none of its own", async () => {
    const { register, id, endpointName } = await registered(["et=default"]);
    expect(await typeOf(id)).toBe("default");
    await gateway.db.device.update({ where: { id }, data: { endpointType: "kitchen" } });
    await gateway.bus.request("device.added", { accountId: gateway.accountId, deviceId: id });
    await register();
    expect(await typeOf(id)).toBe("kitchen");
    const application = await new TestApplication(gateway).open();
    await register();
    expect((await application.got("registrations"))[0]).toMatchObject({ ept: "kitchen" });
    await register({ query: [`ep=${endpointName}`, "lwm2m=1.1", "et=lamp"] });
    expect(await typeOf(id)).toBe("lamp");
  });
});

it("a device that bootstraps again is not registered any longer, and that is told", async () => {
  const application = await new TestApplication(gateway).open();
  const { id, endpointName } = await registered();
  const device = await RawDevice.open(gateway.port("bootstrap", "coap"));
  devices.push(device);
  device.answer = ({ code }) => ({ code: code === "0.01" ? "4.04" : "2.04" });
  expect((await device.ask({ path: "bs", query: [`ep=${endpointName}`] })).code).toBe("2.04");
  expect(await application.got("de-registrations")).toMatchObject([{ ep: id }]);
  expect(await gateway.db.registration.count({ where: { deviceId: id } })).toBe(0);
});
