import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { BusEvent, DeviceRequestInput } from "@/server/bus/messages";
import { systemClock } from "@/server/clock";
import { CoapEndpoint, type OutgoingResponse } from "@/server/coap";
import { actAs } from "@/server/services/create-context";
import { removeDevice } from "@/server/services/devices/remove";
import { newId } from "@/server/services/ids";
import type { NotificationBodies } from "@/server/services/notifications/types";
import { connectDtls, connectTls, type Peer } from "@/server/transport";
import { type BootstrappedDevice, createBootstrappedDevices } from "../../support/lwm2m-device";
import { type Ask, option, RawDevice, readUint, uint } from "../../support/raw-device";
import { startTestGateway, type TestGateway } from "../../support/test-gateway";

/*
 * Requests of applications to devices that are made of single CoAP messages, through the local bus on one side and the
 * network on the other.
 */

const TEXT = option("Content-Format", uint(0));
const METHODS: Readonly<Record<string, string>> = {
  "0.01": "GET",
  "0.02": "POST",
  "0.03": "PUT",
  "0.04": "DELETE",
};
const HOUR = 3_600_000;

let gateway: TestGateway;
/** Its clock is that of certificates. */
let secure: TestGateway;
const devices: RawDevice[] = [];
const events: BusEvent[] = [];
let names = 0;

beforeAll(async () => {
  gateway = await startTestGateway();
  gateway.bus.subscribe((event) => void events.push(event));
}, 30_000);
afterAll(async () => {
  await gateway?.close();
  await secure?.close();
});
afterEach(() => {
  for (const device of devices.splice(0)) device.close();
});

/** A device that is registered, and an application that asks it. */
async function registered(query: readonly string[] = []) {
  const endpointName = `asked-${++names}`;
  const device = await RawDevice.open(gateway.port("lwm2m", "coap"));
  devices.push(device);
  const register = (ask: Partial<Ask> = {}) =>
    device.ask({
      path: "rd",
      query: [`ep=${endpointName}`, "lwm2m=1.1", "lt=864000", ...query],
      payload: "</1/0>,</3/0>,</5/0>,</3303/0/5700>",
      ...ask,
    });
  const { code, location } = await register();
  expect(code).toBe("2.01");
  const { id } = await gateway.db.device.findFirstOrThrow({ where: { endpointName }, select: { id: true } });
  return { device, id, register, location, ...application(id) };
}

/** Somebody who asks a device, and the async responses that they get. */
function application(deviceId: string, ownerId = newId(), on = gateway) {
  const ask = (more: Partial<DeviceRequestInput> = {}) =>
    on.bus.request("device.request", {
      accountId: on.accountId,
      deviceId,
      ownerId,
      asyncId: newId(),
      actor: "key:test",
      method: "GET",
      uri: "/3/0/0",
      accept: null,
      contentType: null,
      payload: "",
      retry: null,
      expirySeconds: null,
      noResponse: false,
      ...more,
    });
  const responses = async () => {
    const rows = await on.db.notification.findMany({ where: { ownerId }, orderBy: { seq: "asc" } });
    return rows.map(({ body }) => {
      const response = JSON.parse(body) as NotificationBodies["async-responses"];
      return { ...response, payload: Buffer.from(response.payload, "base64").toString() };
    });
  };
  const got = (count: number) =>
    eventually(async () => {
      const all = await responses();
      return all.length >= count && all;
    });
  return { ask, responses, got, ownerId };
}

async function eventually<T>(probe: () => Promise<T | null | undefined | false>): Promise<T> {
  for (let waited = 0; waited < 8000; waited += 10) {
    const found = await probe();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("It did not happen.");
}

const base64 = (text: string) => Buffer.from(text).toString("base64");
const rows = (deviceId: string) => gateway.db.deviceRequest.count({ where: { deviceId } });

describe("a device that is there", () => {
  it("is asked as the application wants it", async () => {
    const { device, id, ask, got, ownerId } = await registered();
    device.answer = (request) =>
      request.path === "/3/0/0"
        ? { code: "2.05", payload: "Pinecone", options: [TEXT, option("Max-Age", uint(7)) as typeof TEXT] }
        : request.path === "/3/0/9"
          ? { code: "4.05", payload: "no" }
          : { code: "2.04" };
    await ask({ asyncId: "read" });
    await ask({ asyncId: "write", method: "PUT", uri: "/3/0/14", payload: base64("+02") });
    await ask({ asyncId: "attributes", method: "PUT", uri: "/5/0/1?pmax=120" });
    await ask({ asyncId: "execute", method: "POST", uri: "/3/0/4" });
    await ask({ asyncId: "no", method: "PUT", uri: "/3/0/9", payload: base64("1") });
    expect(await got(5)).toEqual([
      { id: "read", status: 200, payload: "Pinecone", ct: "text/plain", "max-age": 7 },
      { id: "write", status: 200, payload: "" },
      { id: "attributes", status: 200, payload: "" },
      { id: "execute", status: 200, payload: "" },
      { id: "no", status: 400, payload: "", error: expect.stringContaining("4.05") },
    ]);
    expect(
      device.requests.map((request) => [
        METHODS[request.code],
        request.path,
        readUint(request, "Content-Format"),
        request.payload.toString(),
      ]),
    ).toEqual([
      ["GET", "/3/0/0", null, ""],
      ["PUT", "/3/0/14", 0, "+02"],
      ["PUT", "/5/0/1", null, ""],
      ["POST", "/3/0/4", null, ""],
      ["PUT", "/3/0/9", 0, "1"],
    ]);
    expect(await rows(id)).toBe(0);
    expect(events).toContainEqual({
      kind: "notifications",
      accountId: gateway.accountId,
      deviceId: null,
      ownerId,
    });
    const desired = await gateway.db.desiredValue.findMany({
      where: { deviceId: id },
      orderBy: { path: "asc" },
    });
    expect(desired.map(({ path, status }) => [path, status])).toEqual([
      ["/3/0/14", "ok"],
      ["/3/0/9", "failed"],
    ]);
    const timeline = await eventually(async () => {
      const all = await gateway.events(id);
      return all.at(-1)?.type === "resource.failed" && all;
    });
    expect(timeline.slice(-5).map(({ type, text }) => [type, text])).toEqual([
      ["resource.read", "Read Manufacturer (/3/0/0): Pinecone."],
      ["resource.written", "Wrote +02 to UTC Offset (/3/0/14)."],
      ["resource.configured", "Set attributes of Package URI (/5/0/1): pmax=120."],
      ["resource.executed", "Executed Reboot (/3/0/4)."],
      ["resource.failed", expect.stringContaining("Could not write")],
    ]);
  });

  it("gets a big value in blocks, and its own big value is put together", async () => {
    const { device, ask, got } = await registered();
    const received: Buffer[] = [];
    device.answer = (request) => {
      received.push(request.payload);
      const [block] = request.options.filter(({ name }) => name === "Block1");
      const more = block ? ((block.value.at(-1) ?? 0) & 8) !== 0 : false;
      return { code: more ? "2.31" : "2.04", options: block ? [option("Block1", block.value)] : [] };
    };
    const firmware = Buffer.alloc(100_000, "firmware ");
    await ask({
      method: "PUT",
      uri: "/5/0/0",
      contentType: "application/octet-stream",
      payload: firmware.toString("base64"),
    });
    expect(await got(1)).toMatchObject([{ status: 200 }]);
    expect(Buffer.concat(received).equals(firmware)).toBe(true);
  });

  it("answers each of two owners, and is not there for another account", async () => {
    const { device, id, ask, got } = await registered();
    const second = application(id);
    device.answer = () => ({ code: "2.05", payload: "x", options: [TEXT] });
    expect(await ask({ asyncId: "first" })).toEqual({ refused: null });
    expect(await second.ask({ asyncId: "second" })).toEqual({ refused: null });
    expect((await got(1)).map((one) => one.id)).toEqual(["first"]);
    expect((await second.got(1)).map((one) => one.id)).toEqual(["second"]);
    expect(await ask({ accountId: newId() })).toEqual({ refused: "DEVICE_NOT_FOUND" });
    expect(await ask({ uri: "/8888/0/0" })).toEqual({ refused: "RESOURCE_NOT_FOUND" });
  });

  it("gets a message that nobody waits for", async () => {
    const { device, ask, responses, id } = await registered();
    const put = { method: "PUT", uri: "/3/0/14", payload: base64("+02"), noResponse: true } as const;
    expect(await ask(put)).toEqual({ refused: null });
    const request = await eventually(async () => device.requests[0]);
    expect(request).toMatchObject({ confirmable: false, path: "/3/0/14" });
    expect(await responses()).toEqual([]);
    expect(await rows(id)).toBe(0);
    const sleeper = await registered(["Q"]);
    expect(await sleeper.ask(put)).toEqual({ refused: "NO_RESPONSE_NOT_SUPPORTED" });
  });

  it("has its queue kept over a new registration, and ended by a deregistration", async () => {
    const { device, ask, got, register, id } = await registered();
    device.answer = () => null;
    await ask({ asyncId: "one" });
    await ask({ asyncId: "two" });
    await eventually(async () => device.requests.length === 1);
    device.answer = () => ({ code: "2.05", payload: "x", options: [TEXT] });
    const { location } = await register();
    expect((await got(2)).map(({ id, status }) => [id, status])).toEqual([
      ["one", 200],
      ["two", 200],
    ]);
    device.answer = () => null;
    await ask({ asyncId: "three" });
    await ask({ asyncId: "four" });
    await device.ask({ method: "DELETE", path: location });
    expect((await got(4)).slice(2)).toMatchObject([
      { id: "three", status: 429, error: "DEVICE_REMOVED_REGISTRATION", payload: "" },
      { id: "four", status: 429, error: "DEVICE_REMOVED_REGISTRATION", payload: "" },
    ]);
    expect(await rows(id)).toBe(0);
    expect(await ask()).toEqual({ refused: "DEVICE_NOT_FOUND" });
  });
});

describe("a device in queue mode", () => {
  it("sleeps and is asked when it wakes, in order", async () => {
    const { device, id, location, ask, got, responses } = await registered(["Q"]);
    device.answer = (request) => ({ code: "2.05", payload: request.path, options: [TEXT] });
    await ask({ asyncId: "awake" });
    expect(await got(1)).toMatchObject([{ id: "awake", status: 200 }]);
    gateway.clock.jump(94_000);
    for (let count = 0; count < 20; count++)
      expect(await ask({ asyncId: `r${count}`, uri: `/3/0/${count}` })).toEqual({ refused: null });
    expect(await ask()).toEqual({ refused: "QUEUE_IS_FULL" });
    const read = await gateway.bus.request("device.read", {
      accountId: gateway.accountId,
      deviceId: id,
      path: "/3/0/0",
    });
    expect(read).toMatchObject({ ok: false, message: "the device sleeps until its next update" });
    gateway.clock.jump(HOUR);
    expect(device.requests).toHaveLength(1);
    expect(await responses()).toHaveLength(1);

    expect((await device.ask({ path: location })).code).toBe("2.04");
    const all = await got(21);
    expect(all.slice(1).map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, at) => `r${at}`));
    expect(all.slice(1).map(({ payload }) => payload)).toEqual(
      Array.from({ length: 20 }, (_, at) => `/3/0/${at}`),
    );
    expect(await rows(id)).toBe(0);
  });

  it("is not woken to bootstrap again; it is refused when it comes", async () => {
    const { device, id, location } = await registered(["Q"]);
    gateway.clock.jump(94_000);
    const { accountId, bus } = gateway;
    const result = await bus.request("device.rebootstrap", { accountId, deviceId: id });
    expect(result).toMatchObject({ way: "refuse-registration" });
    expect(result.message).toContain("it cannot be asked now");
    expect((await device.ask({ path: location })).code).toBe("4.04");
    expect(device.requests).toEqual([]);
  });

  it("falls asleep over a request, which is sent again when it wakes by a Send", async () => {
    const { device, ask, got, responses } = await registered(["Q"]);
    device.answer = () => null;
    await ask({ asyncId: "again" });
    await eventually(async () => device.requests.length === 1);
    gateway.clock.jump(130_000);
    await ask({ asyncId: "behind", uri: "/3/0/1" });
    expect(await responses()).toEqual([]);
    const before = device.requests.length;
    device.answer = () => ({ code: "2.05", payload: "x", options: [TEXT] });
    gateway.clock.jump(10_000);
    expect(device.requests.length).toBe(before);
    const senml = option("Content-Format", uint(110));
    const sent = await device.ask({ path: "dp", payload: '[{"n":"/3/0/9","v":5}]', options: [senml] });
    expect(sent.code).toBe("2.04");
    expect(await got(2)).toMatchObject([
      { id: "again", status: 200 },
      { id: "behind", status: 200 },
    ]);
  });

  it("has its requests expire", async () => {
    const { ask, got, responses, device } = await registered(["Q"]);
    gateway.clock.jump(94_000);
    await ask({ asyncId: "short", expirySeconds: 60 });
    await ask({ asyncId: "long" });
    gateway.clock.jump(61_000);
    expect(await got(1)).toEqual([{ id: "short", status: 429, payload: "", error: "REQUEST_EXPIRED" }]);
    gateway.clock.jump(72 * HOUR);
    await eventually(async () => (await responses()).some(({ id }) => id === "long"));
    expect((await responses()).at(-1)).toMatchObject({ id: "long", error: "REQUEST_EXPIRED" });
    expect(device.requests).toEqual([]);
  });
});

describe("a device that is silent", () => {
  it("has the request end after the last repetition", async () => {
    const { device, ask, got } = await registered();
    device.answer = () => null;
    await ask({ asyncId: "lost" });
    await eventually(async () => device.requests.length === 1);
    gateway.clock.jump(130_000);
    expect(await got(1)).toEqual([{ id: "lost", status: 504, payload: "", error: "TIMEOUT" }]);
  });

  it("that is deleted, has its owners told", async () => {
    const { device, id, ask, got } = await registered();
    device.answer = () => null;
    await ask({ asyncId: "a" });
    await ask({ asyncId: "b" });
    await removeDevice(actAs(gateway.context, { kind: "operator", accountId: gateway.accountId }), { id });
    expect(await got(2)).toMatchObject([
      { id: "a", error: "DEVICE_REMOVED_REGISTRATION" },
      { id: "b", error: "DEVICE_REMOVED_REGISTRATION" },
    ]);
  });
});

describe("a gateway that is started again", () => {
  it("goes on with what waits, and does nothing twice", async () => {
    const reading = await registered();
    const executing = await registered();
    const sleeping = await registered(["Q"]);
    reading.device.answer = () => null;
    executing.device.answer = () => null;
    await reading.ask({ asyncId: "under-way" });
    await executing.ask({ asyncId: "under-way", method: "POST", uri: "/3/0/4" });
    await executing.ask({ asyncId: "waiting", method: "POST", uri: "/3/0/5" });
    gateway.clock.jump(94_000);
    await sleeping.ask({ asyncId: "waiting" });
    await eventually(async () => reading.device.requests.length > 0 && executing.device.requests.length > 0);

    await gateway.restart();
    expect(await executing.got(1)).toEqual([{ id: "under-way", status: 504, payload: "", error: "TIMEOUT" }]);
    const answered = { code: "2.05", payload: "x", options: [TEXT] };
    const executed: string[] = [];
    reading.device.answer = () => answered;
    sleeping.device.answer = () => answered;
    executing.device.answer = (request) => {
      executed.push(request.path);
      return { code: "2.04" };
    };
    for (const { device, location } of [reading, executing, sleeping])
      expect((await device.ask({ path: location })).code).toBe("2.04");
    expect(await reading.got(1)).toMatchObject([{ id: "under-way", status: 200, payload: "x" }]);
    expect(await sleeping.got(1)).toMatchObject([{ id: "waiting", status: 200 }]);
    expect(await executing.got(2)).toMatchObject([{}, { id: "waiting", status: 200 }]);
    expect(new Set(executed)).toEqual(new Set(["/3/0/5"]));
    expect(await gateway.db.deviceRequest.count()).toBe(0);
  });
});

describe("a device with a session", () => {
  let known: BootstrappedDevice[] = [];
  beforeAll(async () => {
    secure = await startTestGateway();
    known = await createBootstrappedDevices(secure.context, secure.accountId, 2);
    await secure.restart();
  }, 30_000);

  /** Connects and registers; what the server asks goes to `handler`. */
  async function connect(
    device: BootstrappedDevice,
    transport: "dtls" | "tls",
    handler: (peer: Peer) => OutgoingResponse | Promise<OutgoingResponse>,
  ) {
    const peer = await (transport === "dtls" ? connectDtls : connectTls)({
      host: "127.0.0.1",
      port: secure.port("lwm2m", transport === "dtls" ? "coaps" : "coaps+tcp"),
      credentials: device.credentials,
      ca: [device.serverCa],
      clock: systemClock,
    });
    const coap = new CoapEndpoint({ clock: systemClock, handler: () => handler(peer) });
    coap.attach(peer, { initiator: transport === "tls" });
    const { code } = await coap.request(peer, {
      method: "POST",
      path: ["rd"],
      query: [`ep=${device.endpointName}`, "lt=3600", "lwm2m=1.1"],
      contentFormat: 40,
      payload: Buffer.from("</1/0>,</3/0>"),
    });
    expect(code).toBe("2.01");
    return peer;
  }

  it("is asked again right after a restart", async () => {
    const device = known[0] as BootstrappedDevice;
    const { ask, got } = application(device.id, newId(), secure);
    let asked = 0;
    const peer = await connect(device, "dtls", () => {
      asked += 1;
      if (asked === 1) return new Promise(() => {});
      return { code: "2.05", contentFormat: 0, payload: `asked ${asked} times` };
    });
    await ask({ asyncId: "under-way" });
    await ask({ asyncId: "behind" });
    await eventually(async () => asked === 1);
    await secure.restart();
    expect(await got(2)).toMatchObject([
      { id: "under-way", status: 200, payload: "asked 2 times" },
      { id: "behind", status: 200, payload: "asked 3 times" },
    ]);
    peer.close();
  });

  it("has the request end that it hung up on, and those behind it wait for it", async () => {
    const device = known[1] as BootstrappedDevice;
    const { ask, got, responses } = application(device.id, newId(), secure);
    await connect(device, "tls", (peer) => {
      peer.close();
      return new Promise(() => {});
    });
    expect(await ask({ noResponse: true })).toEqual({ refused: "NO_RESPONSE_NOT_SUPPORTED" });
    await ask({ asyncId: "lost" });
    expect(await got(1)).toEqual([{ id: "lost", status: 502, payload: "", error: "CONNECTION_FAILED" }]);
    await ask({ asyncId: "waiting" });
    expect(await responses()).toHaveLength(1);
    const peer = await connect(device, "tls", () => ({ code: "2.05", contentFormat: 0, payload: "x" }));
    expect(await got(2)).toMatchObject([{}, { id: "waiting", status: 200 }]);
    peer.close();
  });
});
