import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { newId } from "@/server/services/ids";
import { eventually, TestApplication, textOf } from "../../support/application";
import { type Answer, type Ask, option, RawDevice, readUint, uint } from "../../support/raw-device";
import { startTestGateway, type TestGateway } from "../../support/test-gateway";

/* Subscriptions of applications to devices that are made of single CoAP messages. */

const TEXT = option("Content-Format", uint(0));
const TLV = option("Content-Format", uint(11542));
const SENML_JSON = 110;

let gateway: TestGateway;
const devices: SensorDevice[] = [];
let names = 0;

beforeAll(async () => {
  gateway = await startTestGateway();
}, 30_000);
afterAll(() => gateway?.close());
afterEach(() => {
  for (const { raw } of devices.splice(0)) raw.close();
});

/** A device whose paths can be observed, with the tokens that it was given for them. */
interface SensorDevice {
  raw: RawDevice;
  id: string;
  endpointName: string;
  location: string;
  /** Of running observations, by path. */
  tokens: Map<string, Buffer>;
  /** Every path that it was asked to observe, in order. */
  asked: string[];
  register(ask?: Partial<Ask>): Promise<void>;
  update(payload?: string): Promise<void>;
  notify(path: string, text: string): void;
  /** What it answers when it is asked to observe; by default it does. */
  answer: (path: string) => Answer;
}

async function sensor(query: readonly string[] = [], payload = "</1/0>,</3303/0>"): Promise<SensorDevice> {
  const endpointName = `sensor-${++names}`;
  const raw = await RawDevice.open(gateway.port("lwm2m", "coap"));
  let sequence = 1;
  const device: SensorDevice = {
    raw,
    id: "",
    endpointName,
    location: "",
    tokens: new Map(),
    asked: [],
    answer: () => ({ code: "2.05", payload: "20.5", options: [TEXT] }),
    async register(ask = {}) {
      const answer = await raw.ask({
        path: "rd",
        query: [`ep=${endpointName}`, "lwm2m=1.1", "lt=86400", ...query],
        payload,
        ...ask,
      });
      expect(answer.code).toBe("2.01");
      device.location = answer.location;
    },
    async update(links = "") {
      expect((await raw.ask({ path: device.location, payload: links })).code).toBe("2.04");
    },
    notify(path, text) {
      const token = device.tokens.get(path);
      if (!token) throw new Error(`${path} is not observed.`);
      raw.notify(token, ++sequence, { code: "2.05", payload: text, options: [TEXT] });
    },
  };
  raw.answer = (request) => {
    const observe = readUint(request, "Observe");
    if (observe === 1) device.tokens.delete(request.path);
    if (observe !== 0) return { code: "2.05", payload: "20.5", options: [TEXT] };
    device.asked.push(request.path);
    const answer = device.answer(request.path);
    if (answer?.code !== "2.05") return answer;
    device.tokens.set(request.path, request.token);
    return { ...answer, options: [{ name: "Observe", value: uint(1) }, ...(answer.options ?? [])] };
  };
  await device.register();
  const found = await gateway.db.device.findFirstOrThrow({ where: { endpointName }, select: { id: true } });
  device.id = found.id;
  devices.push(device);
  return device;
}

const rows = (deviceId: string) => gateway.db.subscription.count({ where: { deviceId } });
const application = () => new TestApplication(gateway);

describe("a subscription", () => {
  it("is answered with the value, and brings every change", async () => {
    const [device, app] = [await sensor(), application()];
    const asyncId = newId();
    expect(await app.subscribe(device.id, "/3303/0/5700", asyncId)).toEqual({
      state: "pending",
      refused: null,
    });
    const [answer] = await app.got("async-responses");
    expect(answer).toEqual({
      kind: "async-responses",
      id: asyncId,
      status: 200,
      ct: "text/plain",
      payload: Buffer.from("20.5").toString("base64"),
      "max-age": 60,
    });
    device.notify("/3303/0/5700", "21.5");
    expect(await app.gotValue("/3303/0/5700", "21.5")).toEqual({
      kind: "notifications",
      uid: expect.stringMatching(/^[0-9a-f]{32}$/),
      timestamp: expect.any(Number),
      ep: device.id,
      "original-ep": device.endpointName,
      path: "/3303/0/5700",
      ct: "text/plain",
      payload: Buffer.from("21.5").toString("base64"),
      "max-age": 60,
    });
    expect(await app.subscriptions(device.id)).toEqual(["/3303/0/5700"]);
    expect(await app.kinds()).toEqual(["async-responses", "notifications"]);
  });

  it("of many is one observation, and ends with the last of them", async () => {
    const [device, one, two] = [await sensor(), application(), application()];
    const observe = { accountId: gateway.accountId, deviceId: device.id, path: "/3303/0/5700" };
    await gateway.bus.request("device.observe", observe);
    expect(await one.subscribe(device.id, "/3303/0/5700")).toMatchObject({ state: "active" });
    expect(await two.subscribe(device.id, "/3303/0/5700")).toMatchObject({ state: "active" });
    expect(device.asked).toEqual(["/3303/0/5700"]);
    device.notify("/3303/0/5700", "22.5");
    await one.gotValue("/3303/0/5700", "22.5");
    await two.gotValue("/3303/0/5700", "22.5");

    expect(await one.unsubscribe(device.id, "/3303/0/5700")).toBe(1);
    await gateway.bus.request("device.unobserve", observe);
    device.notify("/3303/0/5700", "23.5");
    await two.gotValue("/3303/0/5700", "23.5");
    expect(await one.got("notifications")).toHaveLength(1);
    expect(await two.unsubscribe(device.id)).toBe(1);
    await eventually(() => !device.tokens.has("/3303/0/5700"));
    expect(await rows(device.id)).toBe(0);
  });

  it("brings what changed while somebody else had the path observed anew", async () => {
    const [device, app] = [await sensor(), application()];
    await app.subscribe(device.id, "/3303/0/5700");
    await app.got("async-responses");
    // Between the two observations there is none that could tell of it.
    device.answer = () => ({ code: "2.05", payload: "24.5", options: [TEXT] });
    const observe = { accountId: gateway.accountId, deviceId: device.id, path: "/3303/0/5700" };
    await gateway.bus.request("device.observe", observe);
    expect(device.asked).toHaveLength(2);
    await app.gotValue("/3303/0/5700", "24.5");
  });

  it("of an object or instance brings it as it comes; a resource in a format of LwM2M as text", async () => {
    const [device, app] = [await sensor(), application()];
    const tlv = Buffer.from("0800c816445411eb851f", "hex");
    device.answer = (path) =>
      path === "/3303/0"
        ? { code: "2.05", payload: tlv, options: [TLV] }
        : {
            code: "2.05",
            payload: '[{"n":"/3303/0/5700","v":19}]',
            options: [option("Content-Format", uint(SENML_JSON))],
          };
    await app.subscribe(device.id, "/3303/0");
    await app.subscribe(device.id, "/3303/0/5700");
    const answers = await app.got("async-responses", 2);
    expect(answers[0]).toMatchObject({
      ct: "application/vnd.oma.lwm2m+tlv",
      payload: tlv.toString("base64"),
    });
    expect(answers[1]).toMatchObject({ ct: "text/plain", payload: Buffer.from("19").toString("base64") });
  });

  it("is refused where there is nothing to subscribe to", async () => {
    const [device, app] = [await sensor(), application()];
    const stranger = new TestApplication(gateway, newId());
    expect(await app.subscribe(newId(), "/3303/0/5700")).toMatchObject({ refused: "DEVICE_NOT_FOUND" });
    expect(await stranger.subscribe(device.id, "/3303/0/5700")).toMatchObject({
      refused: "DEVICE_NOT_FOUND",
    });
    expect(await app.subscribe(device.id, "/3303/1")).toMatchObject({ refused: "RESOURCE_NOT_FOUND" });
    expect(await app.subscribe(device.id, "/5/0/1")).toMatchObject({ refused: "RESOURCE_NOT_FOUND" });
    await device.raw.ask({ method: "DELETE", path: device.location });
    expect(await app.subscribe(device.id, "/3303/0/5700")).toMatchObject({ refused: "DEVICE_NOT_FOUND" });
    expect(await stranger.subscriptions(device.id)).toEqual([]);
  });

  it("that the device refuses is none, and says why", async () => {
    const [device, app] = [await sensor(), application()];
    device.answer = () => ({ code: "4.05", payload: "not this one" });
    await app.subscribe(device.id, "/3303/0/5700");
    const [answer] = await app.got("async-responses");
    expect(answer).toMatchObject({
      status: 400,
      payload: "",
      error: expect.stringContaining("not this one"),
    });
    expect(await app.subscriptions(device.id)).toEqual([]);
    expect(await rows(device.id)).toBe(0);
    device.answer = () => ({ code: "4.04" });
    await app.subscribe(device.id, "/3303/0/5701");
    expect((await app.got("async-responses", 2))[1]).toMatchObject({ status: 404 });
  });

  it("that a device takes that does not know the format asked for is of the format it likes", async () => {
    const [device, app] = [await sensor(), application()];
    const asked: (number | null)[] = [];
    const answer = device.raw.answer;
    device.raw.answer = (request) => {
      asked.push(readUint(request, "Accept"));
      return asked.length === 1 ? { code: "4.06" } : answer(request);
    };
    await app.subscribe(device.id, "/3303/0/5700");
    expect((await app.got("async-responses"))[0]).toMatchObject({ status: 200 });
    expect(asked).toEqual([11542, null]);
  });

  it("that the device ends is none any longer", async () => {
    const [device, app] = [await sensor(), application()];
    await app.subscribe(device.id, "/3303/0/5700");
    await app.got("async-responses");
    const token = device.tokens.get("/3303/0/5700");
    if (!token) throw new Error("It is not observed.");
    const others = device.raw.others.length;
    device.raw.notify(token, 9, { code: "4.04" }, true);
    const ended = {
      kind: "async-responses",
      id: `${device.id}/3303/0/5700`,
      status: 404,
      payload: "",
      error: expect.stringMatching(/^the subscription ended: the device has no such .*\(4\.04\)$/),
    };
    expect((await app.got("async-responses", 2))[1]).toEqual(ended);
    // It is acknowledged when that is on disk.
    await eventually(() => device.raw.others.slice(others).some((one) => one.ack && one.code === "0.00"));
    expect(await rows(device.id)).toBe(0);
    expect(await app.subscriptions(device.id)).toEqual([]);
  });

  it("that ends is told also to who was subscribed without having asked for the path", async () => {
    const [app, late] = [application(), application()];
    await app.presubscribe({ resourcePaths: ["/3303/0/5700", "/3303/0/5601"] });
    const device = await sensor([], "</3303/0/5700>,</3303/0/5601>");
    await app.got("notifications", 2);
    // It is observed already, so there is no request.
    expect(await late.subscribe(device.id, "/3303/0/5700")).toMatchObject({ state: "active" });
    device.raw.notify(device.tokens.get("/3303/0/5700") ?? Buffer.alloc(0), 9, { code: "5.00" });
    for (const one of [app, late])
      expect(await one.got("async-responses")).toMatchObject([
        { id: `${device.id}/3303/0/5700`, status: 500, error: expect.stringContaining("ended") },
      ]);
    expect(await app.subscriptions(device.id)).toEqual(["/3303/0/5601"]);
    expect(await late.subscriptions(device.id)).toEqual([]);
    await app.presubscribe();
  });

  it("that cannot go on after a restart ends with a word", async () => {
    const [device, app] = [await sensor(), application()];
    await app.subscribe(device.id, "/3303/0/5700");
    await app.got("async-responses");
    await gateway.restart();
    device.answer = () => ({ code: "4.05" });
    await device.update();
    expect((await app.got("async-responses", 2))[1]).toMatchObject({
      id: `${device.id}/3303/0/5700`,
      status: 400,
      error: expect.stringContaining("the subscription ended: the device does not allow"),
    });
    expect(await rows(device.id)).toBe(0);
    const events = await gateway.events(device.id);
    expect(events.filter(({ type }) => type === "resource.failed")).toHaveLength(1);
  });

  it("to what the device tells, but does not let be observed, is none, and says why", async () => {
    const [device, app] = [await sensor(), application()];
    device.raw.answer = () => ({ code: "2.05", payload: "20.5", options: [TEXT] });
    await app.subscribe(device.id, "/3303/0/5700");
    expect(await app.got("async-responses")).toMatchObject([
      { status: 400, payload: "", error: expect.stringContaining("does not tell of its changes") },
    ]);
    expect(await app.subscriptions(device.id)).toEqual([]);
    const observe = { accountId: gateway.accountId, deviceId: device.id, path: "/3303/0/5700" };
    expect(await gateway.bus.request("device.observe", observe)).toMatchObject({ ok: false });
    expect(await gateway.db.observation.count({ where: { deviceId: device.id } })).toBe(0);
  });

  it("is gone after the device registered anew, while updates keep it", async () => {
    const [device, app] = [await sensor(), application()];
    await app.subscribe(device.id, "/3303/0/5700");
    await app.got("async-responses");
    await device.update();
    expect(await app.subscriptions(device.id)).toEqual(["/3303/0/5700"]);
    device.asked.length = 0;
    await device.register();
    expect(await rows(device.id)).toBe(0);
    expect(await app.subscriptions(device.id)).toEqual([]);
    // Whatever it was to be asked, it would have been before this.
    await app.subscribe(device.id, "/1/0/1");
    await app.got("async-responses", 2);
    expect(device.asked).toEqual(["/1/0/1"]);
  });

  it("waits for a device that does not listen now, also over its next registration", async () => {
    const [device, app] = [await sensor(["Q"]), application()];
    gateway.clock.jump(100_000);
    expect(await app.subscribe(device.id, "/3303/0/5700")).toMatchObject({ state: "pending" });
    expect(device.asked).toEqual([]);
    await device.register();
    expect((await app.got("async-responses"))[0]).toMatchObject({ status: 200 });
    device.notify("/3303/0/5700", "30");
    await app.gotValue("/3303/0/5700", "30");
  });

  it("that waits when the device leaves is answered so", async () => {
    const [device, app] = [await sensor(["Q"]), application()];
    gateway.clock.jump(100_000);
    await app.subscribe(device.id, "/3303/0/5700");
    await device.raw.ask({ method: "DELETE", path: device.location });
    expect(await app.got("async-responses")).toMatchObject([
      { status: 429, error: "DEVICE_REMOVED_REGISTRATION", payload: "" },
    ]);
    expect(await rows(device.id)).toBe(0);
  });

  it("that the device does not answer is none; in queue mode it is tried again when it is back", async () => {
    const [awake, sleepy, app] = [await sensor(), await sensor(["Q"]), application()];
    for (const device of [awake, sleepy]) device.answer = () => null;
    await app.subscribe(awake.id, "/3303/0/5700");
    await app.subscribe(sleepy.id, "/3303/0/5700");
    await eventually(() => awake.asked.length > 0 && sleepy.asked.length > 0);
    for (let n = 0; n < 12; n++) {
      gateway.clock.jump(10_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await app.got("async-responses")).toMatchObject([{ status: 504, error: "TIMEOUT" }]);
    expect(await app.subscriptions(awake.id)).toEqual([]);
    sleepy.answer = () => ({ code: "2.05", payload: "7", options: [TEXT] });
    await sleepy.update();
    expect((await app.got("async-responses", 2))[1]).toMatchObject({ status: 200 });
  });

  it("is there again after a restart of the gateway, with the value of now", async () => {
    const [device, app] = [await sensor(), application()];
    await app.subscribe(device.id, "/3303/0/5700");
    await app.got("async-responses");
    await gateway.restart();
    device.answer = () => ({ code: "2.05", payload: "33", options: [TEXT] });
    await device.update();
    await app.gotValue("/3303/0/5700", "33");
    device.notify("/3303/0/5700", "34");
    await app.gotValue("/3303/0/5700", "34");
  });

  it("of an owner that is gone ends", async () => {
    const [device, app] = [await sensor(), await application().open()];
    await app.subscribe(device.id, "/3303/0/5700");
    await app.got("async-responses");
    await gateway.db.subscription.deleteMany({ where: { ownerId: app.id } });
    await app.reload();
    await eventually(() => !device.tokens.has("/3303/0/5700"));
    expect(await app.subscriptions(device.id)).toEqual([]);
  });

  it("brings each of several samples with its time, the newest last, whichever way they come", async () => {
    const [device, app] = [await sensor(), application()];
    await app.subscribe(device.id, "/3303/0/5700");
    await app.got("async-responses");
    const now = Math.floor(gateway.clock.now() / 1000);
    const payload = JSON.stringify([
      { n: "/3303/0/5700", t: now - 10, v: 42 },
      { n: "/3303/0/5700", t: now - 20, v: 41 },
    ]);
    const options = [option("Content-Format", uint(SENML_JSON))];
    const token = device.tokens.get("/3303/0/5700") ?? Buffer.alloc(0);
    device.raw.notify(token, 9, { code: "2.05", payload, options });
    await app.got("notifications", 2);
    await device.raw.ask({ path: "dp", payload, options });
    const told = await app.got("notifications", 4);
    expect(told.map((one) => [one.timestamp, textOf(one), one.ct])).toEqual([
      [(now - 20) * 1000, "41", "text/plain"],
      [(now - 10) * 1000, "42", "text/plain"],
      [(now - 20) * 1000, "41", "text/plain"],
      [(now - 10) * 1000, "42", "text/plain"],
    ]);
  });

  it("brings what a device sends by itself", async () => {
    const [device, app] = [await sensor(), application()];
    await app.subscribe(device.id, "/3303/0");
    await app.got("async-responses");
    const answer = await device.raw.ask({
      path: "dp",
      payload: '[{"n":"/3303/0/5700","v":41.5},{"n":"/1/0/1","v":60}]',
      options: [option("Content-Format", uint(SENML_JSON))],
    });
    expect(answer.code).toBe("2.04");
    await app.gotValue("/3303/0/5700", "41.5");
    expect((await app.got("notifications")).map(({ path }) => path)).toEqual(["/3303/0/5700"]);
  });
});

describe("pre-subscriptions", () => {
  it("are applied when a device registers, whatever it presents, and bring the value", async () => {
    const app = application();
    await app.presubscribe({ resourcePaths: ["/3303/*", "/3200*"] });
    const standard = await sensor();
    const pelion = await sensor(["mccv=4.13.2"], "</3200/0/5501>;obs,</3200/0/5502>,</3303/1/5700>;obs");
    await app.got("notifications", 3);
    expect(standard.asked).toEqual(["/3303/0/5700"]);
    expect(pelion.asked.sort()).toEqual(["/3200/0/5501", "/3303/1/5700"]);
    expect(await app.subscriptions(pelion.id)).toEqual(["/3200/0/5501", "/3303/1/5700"]);
    pelion.notify("/3200/0/5501", "5");
    expect(await app.gotValue("/3200/0/5501", "5")).toMatchObject({ ep: pelion.id });
    expect(await rows(pelion.id)).toBe(0);
    await app.presubscribe();
    expect(await app.subscriptions(pelion.id)).toEqual([]);
    await eventually(() => pelion.tokens.size === 0 && standard.tokens.size === 0);
  });

  it("are applied to what an update adds, and after they changed with the next update", async () => {
    const app = application();
    const device = await sensor(["mccv=4.13.2"], "</3200/0/5501>;obs");
    await app.presubscribe({ endpointName: device.endpointName });
    expect(await app.subscriptions(device.id)).toEqual([]);
    await device.update();
    await eventually(() => device.asked.includes("/3200/0/5501"));
    await device.update("</3201/0/5850>;obs");
    await eventually(() => device.asked.includes("/3201/0/5850"));
    expect(await app.subscriptions(device.id)).toEqual(["/3200/0/5501", "/3201/0/5850"]);
    expect(device.asked).toHaveLength(2);
    await app.presubscribe();
  });

  it("survive a new registration and a restart, in which nothing of a device is lost", async () => {
    const app = application();
    const device = await sensor();
    await app.presubscribe({ endpointName: device.id, resourcePaths: ["/3303/0/5700"] });
    await device.register();
    await app.gotValue("/3303/0/5700", "20.5");
    await device.register();
    await eventually(() => device.asked.length === 2);
    await gateway.restart();
    device.answer = () => ({ code: "2.05", payload: "55", options: [TEXT] });
    await device.update();
    await app.gotValue("/3303/0/5700", "55");
    device.notify("/3303/0/5700", "56");
    await app.gotValue("/3303/0/5700", "56");
    await app.presubscribe();
  });

  it("find the paths of which a value is known", async () => {
    const app = application();
    const device = await sensor();
    const target = { accountId: gateway.accountId, deviceId: device.id };
    await gateway.bus.request("device.read", { ...target, path: "/3303/0/5601" });
    gateway.clock.jump(1500);
    await eventually(() => gateway.db.resourceValue.count({ where: { deviceId: device.id } }));
    await app.presubscribe({ endpointName: device.endpointName, resourcePaths: ["/3303/*"] });
    await device.register();
    await app.got("notifications", 2);
    expect(await app.subscriptions(device.id)).toEqual(["/3303/0/5601", "/3303/0/5700"]);
    await app.presubscribe();
  });

  it("come back with the next registration when the subscriptions they made were ended", async () => {
    const app = application();
    const device = await sensor();
    await app.presubscribe({ endpointName: device.endpointName, resourcePaths: ["/3303/*"] });
    await device.register();
    await eventually(() => device.tokens.has("/3303/0/5700"));
    expect(await app.unsubscribe(device.id)).toBe(1);
    await eventually(() => !device.tokens.has("/3303/0/5700"));
    await device.update();
    expect(await app.subscriptions(device.id)).toEqual([]);
    await device.register();
    expect(await app.subscriptions(device.id)).toEqual(["/3303/0/5700"]);
    await app.presubscribe();
  });

  it("bring what a device of Pelion's kind reports by itself, from the value it registers with on", async () => {
    const app = application();
    await app.presubscribe({ resourcePaths: ["/3/0/*"] });
    const device = await sensor(["mccv=4.13.2"], '</3/0/1>;aobs="258";obs;v="model",</3/0/2>');
    await app.gotValue("/3/0/1", "model");
    device.tokens.set("/3/0/1", Buffer.from("0102", "hex"));
    device.notify("/3/0/1", "another model");
    await app.gotValue("/3/0/1", "another model");
    expect(device.asked).toEqual([]);
    expect(await app.subscribe(device.id, "/3/0/1")).toMatchObject({ state: "active" });
    await app.presubscribe();
    expect(await app.subscriptions(device.id)).toEqual(["/3/0/1"]);
  });

  it("of other accounts do not count", async () => {
    const accountId = newId();
    await gateway.db.account.create({ data: { id: accountId, name: accountId } });
    const app = new TestApplication(gateway, accountId);
    await app.presubscribe({});
    const device = await sensor();
    expect(await app.subscriptions(device.id)).toEqual([]);
    await application().subscribe(device.id, "/1/0/1");
    await eventually(() => device.asked.includes("/1/0/1"));
    expect(device.asked).toEqual(["/1/0/1"]);
  });
});
