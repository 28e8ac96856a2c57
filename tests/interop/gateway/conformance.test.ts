import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@/server/clock";
import { CoapEndpoint } from "@/server/coap";
import { connectDtls, connectTls, type Peer } from "@/server/transport";
import { createBootstrappedDevices } from "../../support/lwm2m-device";
import { type Ask, option, RawDevice, readUint, uint } from "../../support/raw-device";
import { startTestGateway, type TestGateway } from "../../support/test-gateway";

/*
 * What a LwM2M server must decide, row by row of a list drawn from the specification and from what other servers do.
 * The device is made of single CoAP messages that our own CoAP room did not write.
 */

const TLV = 11542;
const SENML_JSON = 110;
const LINKS = "</1/0>,</3/0>,</3303/0>";
const METHODS: Readonly<Record<string, string>> = {
  "0.01": "GET",
  "0.02": "POST",
  "0.03": "PUT",
  "0.04": "DELETE",
};

const TEXT = option("Content-Format", uint(0));

let gateway: TestGateway;
const devices: RawDevice[] = [];
let names = 0;
let known: Known[] | null = null;

beforeAll(async () => {
  gateway = await startTestGateway();
}, 30_000);
afterAll(() => gateway?.close());
afterEach(() => {
  for (const device of devices.splice(0)) device.close();
});

async function open(service: "bootstrap" | "lwm2m" = "lwm2m"): Promise<RawDevice> {
  const device = await RawDevice.open(gateway.port(service, "coap"));
  devices.push(device);
  return device;
}

const newName = () => `plain-${++names}`;

function register(
  device: RawDevice,
  endpointName: string | null,
  query: readonly string[] = [],
  ask: Partial<Ask> = {},
) {
  const version = query.some((item) => item.startsWith("lwm2m=")) ? [] : ["lwm2m=1.1"];
  const named = endpointName === null ? [] : [`ep=${endpointName}`];
  return device.ask({ path: "rd", query: [...named, ...version, ...query], payload: LINKS, ...ask });
}

/** A device that is registered: its location and its entry. */
async function registered(query: readonly string[] = [], endpointName = newName()) {
  const device = await open();
  const answer = await register(device, endpointName, query);
  expect(answer.code).toBe("2.01");
  return { device, endpointName, location: answer.location, ...(await entry(endpointName)) };
}

async function entry(endpointName: string) {
  const found = await gateway.db.device.findFirst({
    where: { endpointName },
    include: { registration: true },
  });
  if (!found) throw new Error(`There is no ${endpointName}.`);
  return { id: found.id, state: found.state, registration: found.registration };
}

async function eventually<T>(
  probe: () => Promise<T | null | undefined | false> | T | null | undefined | false,
): Promise<T> {
  for (let waited = 0; waited < 8000; waited += 10) {
    const found = await probe();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("It did not happen.");
}

/** Waits for the newest of a device's events of this type. */
const event = (deviceId: string | null, type: string, text = "") =>
  eventually(async () =>
    (await gateway.events(deviceId)).findLast((one) => one.type === type && one.text.includes(text)),
  );
const count = async (deviceId: string, type: string) =>
  (await gateway.events(deviceId)).filter((one) => one.type === type).length;

const ask = (id: string, operation: "read" | "observe" | "unobserve", path: string) =>
  gateway.bus.request(`device.${operation}`, { accountId: gateway.accountId, deviceId: id, path });

describe("Register", () => {
  it("REG-01 REG-02: is answered with its location, stored with its links and told once", async () => {
    const device = await open();
    const links = '</>;rt="oma.lwm2m";ct="60 110 112 11542 11543",</1/0>,</2>,</3/0>,</3442/0>';
    const endpointName = newName();
    const answer = await register(device, endpointName, ["lt=600"], {
      payload: links,
      options: [option("Content-Format", uint(40))],
    });
    expect(answer).toMatchObject({ code: "2.01", ack: true });
    expect(answer.location).toMatch(/^rd\/[^/]+$/);
    const { id, registration } = await entry(endpointName);
    expect(registration).toMatchObject({
      objectLinks: links,
      lifetime: 600,
      lwm2mVersion: "1.1",
      rootPath: "/",
    });
    await event(id, "registration.registered");
    expect(await count(id, "registration.registered")).toBe(1);
  });

  it("REG-03: unknown parameters do no harm", async () => {
    await registered(["key1=value1", "imei=2136872368"]);
  });

  it("REG-04: needs a name where nothing else tells one", async () => {
    expect((await register(await open(), null)).code).toBe("4.03");
  });

  it.each([
    ["REG-05", "no version", ["lwm2m="], "4.00"],
    ["REG-08", "Q as a binding of 1.1", ["lwm2m=1.1", "b=UQ"], "4.00"],
    ["REG-09", "T as a binding of 1.0", ["lwm2m=1.0", "b=UT"], "4.00"],
    ["REG-13", "a version nobody speaks", ["lwm2m=2.0"], "4.12"],
    ["REG-19", "a version with leading zeros", ["lwm2m=01.1"], "4.00"],
    ["REG-19", "three numbers", ["lwm2m=1.0.0"], "4.00"],
    ["REG-22", "Q with a value", ["lwm2m=1.1", "Q=1"], "4.00"],
    ["REG-22", "Q in 1.0", ["lwm2m=1.0", "Q"], "4.00"],
    ["REG-23", "a lifetime that is no number", ["lt=abc"], "4.00"],
    ["REG-23", "a lifetime of 0", ["lt=0"], "4.00"],
    ["REG-23", "a binding letter that does not exist", ["b=X"], "4.00"],
  ])("%s: %s is refused, and nothing is stored", async (_row, _what, query, code) => {
    const endpointName = newName();
    const answer = await register(await open(), endpointName, query);
    expect(answer.code).toBe(code);
    expect(answer.text).not.toBe("");
    expect(await gateway.db.device.count({ where: { endpointName } })).toBe(0);
  });

  it.each([
    ["REG-07", ["lwm2m=1.1", "b=UT"], { binding: "UT" }],
    ["REG-21", [], { lifetime: 86_400, binding: "U", queueMode: false }],
    ["REG-22", ["lwm2m=1.1", "Q"], { queueMode: true }],
    ["REG-22", ["lwm2m=1.0", "b=UQ"], { queueMode: true }],
    ["REG-13", ["lwm2m=1.2"], { lwm2mVersion: "1.2" }],
  ])("%s: takes %j", async (_row, query, stored) => {
    expect((await registered(query)).registration).toMatchObject(stored);
  });

  it("REG-10: after a De-register it is a new registration", async () => {
    const { device, endpointName, location, id } = await registered();
    expect((await device.ask({ method: "DELETE", path: location })).code).toBe("2.02");
    expect((await register(device, endpointName)).code).toBe("2.01");
    await eventually(async () => (await count(id, "registration.registered")) === 2);
    expect(await count(id, "registration.replaced")).toBe(0);
  });

  it("REG-11 REG-28 REG-29: a device that starts anew replaces its registration", async () => {
    const { device, endpointName, location, id } = await registered();
    const again = await register(device, endpointName);
    expect(again.location).not.toBe(location);
    await eventually(async () => (await count(id, "registration.registered")) === 2);
    const order = (await gateway.events(id))
      .map(({ type }) => type)
      .filter((type) => type.startsWith("registration."));
    expect(order).toEqual(["registration.registered", "registration.replaced", "registration.registered"]);
    expect((await device.ask({ path: location })).code).toBe("4.04");
  });

  it("REG-15: is confirmable", async () => {
    expect((await register(await open(), newName(), [], { confirmable: false })).code).toBe("4.00");
  });

  it("REG-16: has one path", async () => {
    const device = await open();
    expect((await register(device, newName(), [], { path: "rd/a/b/c" })).code).toBe("4.00");
    expect((await register(device, newName(), [], { path: "other" })).code).toBe("4.04");
  });

  it.each(["<1/0", "</1/0>,", "</1/0>;ct=", "not links", "</1/0>;;"])(
    "REG-17: %s is no list of objects",
    async (payload) => {
      const endpointName = newName();
      const answer = await register(await open(), endpointName, [], { payload });
      expect(answer.code).toBe("4.00");
      expect(await gateway.db.device.count({ where: { endpointName } })).toBe(0);
      await event(null, "request.malformed", answer.text);
    },
  );

  it.each(["", "</>", '</>;rt="oma.lwm2m";ct="110 112"', '</lwm2m>;rt="oma.lwm2m",</elsewhere>'])(
    "presents an object, or is refused: %j",
    async (payload) => {
      const endpointName = newName();
      const answer = await register(await open(), endpointName, [], { payload });
      expect(answer).toMatchObject({ code: "4.00", text: "The device presents no object." });
      expect(await gateway.db.device.count({ where: { endpointName } })).toBe(0);
      await event(null, "request.malformed", answer.text);
    },
  );

  it("REG-20: in link format, whether it says so or not", async () => {
    const as = (format: number) => ({ options: [option("Content-Format", uint(format))] });
    for (const format of [TLV, 0, 110, 65535]) {
      const endpointName = newName();
      const answer = await register(await open(), endpointName, [], as(format));
      expect([format, answer.code, answer.text]).toEqual([format, "4.15", expect.stringContaining("(40)")]);
      expect(await gateway.db.device.count({ where: { endpointName } })).toBe(0);
    }
    const { device, location } = await registered();
    expect((await device.ask({ path: location, payload: "</3/0>", ...as(TLV) })).code).toBe("4.15");
    expect((await device.ask({ path: location, payload: "</3/0>", ...as(40) })).code).toBe("2.04");
    // Pelion's client calls what it does not send text.
    expect((await device.ask({ path: location, ...as(0) })).code).toBe("2.04");
  });

  it.each(["Küche 3, oben", "灯", "with space"])("takes %s for a name", async (name) => {
    const endpointName = `${name} ${newName()}`;
    const { device, location } = await registered([], endpointName);
    expect((await device.ask({ path: location })).code).toBe("2.04");
    expect(await register(await open(), `${endpointName}\t`)).toMatchObject({ code: "4.00" });
  });

  it("REG-26: nobody takes the name of a device with a certificate, which stays as it is", async () => {
    const endpointName = newName();
    await gateway.db.device.create({
      data: {
        id: "f".repeat(32),
        accountId: gateway.accountId,
        endpointName,
        identity: `ep:${endpointName}`,
        state: "registered",
        deviceKey: "00",
      },
    });
    await gateway.restart();
    expect((await register(await open(), endpointName)).code).toBe("4.03");
    expect((await entry(endpointName)).registration).toBeNull();
    await event(null, "registration.refused", endpointName);
  });

  it("REG-27: the version is looked at before the name", async () => {
    expect((await register(await open(), null, ["lwm2m=2.0"])).code).toBe("4.12");
  });
});

describe("Update and De-register", () => {
  it("an Update that leaves no object is refused, and changes nothing", async () => {
    const { device, endpointName, location } = await registered();
    for (const payload of ["</>", "</1>;d,</3>;d,</3303>;d"]) {
      const answer = await device.ask({ path: location, payload });
      expect(answer).toMatchObject({ code: "4.00", text: "The device presents no object." });
    }
    expect((await entry(endpointName)).registration).toMatchObject({ objectLinks: LINKS });
  });

  it("UPD-01 UPD-07 UPD-15: changes what it carries and counts from now", async () => {
    const { device, endpointName, location, registration } = await registered(["lt=600"]);
    gateway.clock.jump(100_000);
    expect((await device.ask({ path: location })).code).toBe("2.04");
    const after = (await entry(endpointName)).registration;
    expect(after).toMatchObject({
      id: registration?.id,
      objectLinks: LINKS,
      lwm2mVersion: "1.1",
      registeredAt: registration?.registeredAt,
    });
    expect(after!.expiresAt.getTime() - registration!.expiresAt.getTime()).toBeGreaterThanOrEqual(100_000);
  });

  it("UPD-02: a De-register ends it", async () => {
    const { device, endpointName, location, id } = await registered();
    device.answer = () => ({ code: "2.05", payload: "87", options: [TEXT] });
    expect(await ask(id, "read", "/3/0/9")).toMatchObject({ ok: true });
    expect((await device.ask({ method: "DELETE", path: location })).code).toBe("2.02");
    expect(await entry(endpointName)).toMatchObject({ state: "deregistered", registration: null });
    // What it told stays, with the time at which it was true.
    await event(id, "resource.read");
    expect(await gateway.db.resourceValue.findMany({ where: { deviceId: id } })).toMatchObject([
      { path: "/3/0/9", value: JSON.stringify({ type: "integer", value: "87" }), source: "read" },
    ]);
    await event(id, "registration.deregistered");
    expect((await device.ask({ method: "DELETE", path: location })).code).toBe("4.04");
  });

  it("UPD-03 UPD-04: its binding must be one of the version of the registration", async () => {
    const { device, location } = await registered(["lwm2m=1.0"]);
    expect((await device.ask({ path: location, query: ["b=U"] })).code).toBe("2.04");
    expect((await device.ask({ path: location, query: ["b=UT"] })).code).toBe("4.00");
  });

  it("UPD-09 UPD-17: takes a new lifetime and a new list of objects", async () => {
    const { device, endpointName, location } = await registered(["lt=60"]);
    const answer = await device.ask({ path: location, query: ["lt=7200"], payload: "</1/0>,</3/0>,</4/0>" });
    expect(answer.code).toBe("2.04");
    expect((await entry(endpointName)).registration).toMatchObject({
      lifetime: 7200,
      objectLinks: "</1/0>,</3/0>,</4/0>",
    });
    expect((await device.ask({ path: location, payload: "</1/0" })).code).toBe("4.00");
    expect((await entry(endpointName)).registration?.objectLinks).toBe("</1/0>,</3/0>,</4/0>");
  });

  it("UPD-14: without security whoever knows the location is the device, from any address", async () => {
    const { endpointName, location, id } = await registered();
    const elsewhere = await open();
    elsewhere.answer = () => ({ code: "2.05", payload: "42", options: [TEXT] });
    expect((await elsewhere.ask({ path: location })).code).toBe("2.04");
    expect((await entry(endpointName)).registration?.id).toBe(location.slice(3));
    expect(await ask(id, "read", "/3/0/0")).toMatchObject({ ok: true });
    expect(elsewhere.requests.map(({ path }) => path)).toEqual(["/3/0/0"]);
  });

  it("UPD-16 UPD-19: what is asked of a device that is gone is called off", async () => {
    const { device, location, id } = await registered();
    device.answer = () => null;
    const reading = ask(id, "read", "/3/0/0");
    await eventually(() => device.requests.length > 0);
    expect((await device.ask({ method: "DELETE", path: location })).code).toBe("2.02");
    expect(await reading).toMatchObject({ ok: false });
  });

  it("UPD-08 UPD-20 UPD-21 UPD-22: the lifetime ends a registration, to the second", async () => {
    const { device, endpointName, location, id } = await registered(["lt=100"]);
    gateway.clock.jump(99_000);
    expect((await device.ask({ path: location })).code).toBe("2.04");
    gateway.clock.jump(100_001);
    expect((await device.ask({ path: location })).code).toBe("4.04");
    await event(id, "registration.expired");
    await eventually(async () => (await entry(endpointName)).registration === null);
    expect((await entry(endpointName)).state).toBe("deregistered");
  });

  it("UPD-23: the end of a registration does not end the one after it", async () => {
    const { device, endpointName } = await registered(["lt=100"]);
    const { location } = await register(device, endpointName, ["lt=100000"]);
    gateway.clock.jump(101_000);
    expect((await device.ask({ path: location })).code).toBe("2.04");
  });

  it("UPD-05 UPD-13: a registration is not that of another identity", async () => {
    const known = await bootstrapped();
    const { peer, coap } = await connect(known);
    const answer = await coap.request(peer, {
      method: "POST",
      path: ["rd"],
      query: ["lwm2m=1.1"],
      payload: Buffer.from(LINKS),
    });
    // REG-25: the name comes from the certificate.
    expect(answer.code).toBe("2.01");
    expect((await entry(known.endpointName)).registration).toMatchObject({ transport: "dtls" });
    const location = answer.locationPath.join("/");
    const stranger = await open();
    expect((await stranger.ask({ path: location })).code).toBe("4.04");
    expect((await stranger.ask({ method: "DELETE", path: location })).code).toBe("4.04");
    expect((await coap.request(peer, { method: "POST", path: answer.locationPath })).code).toBe("2.04");
    peer.close();
  });

  it("more than ten within ten seconds wait for a minute", async () => {
    const { device, location, id } = await registered();
    const codes: string[] = [];
    for (let n = 0; n < 11; n++) codes.push((await device.ask({ path: location })).code);
    expect(codes).toEqual([...Array(9).fill("2.04"), "5.03", "5.03"]);
    await event(id, "registration.held");
    gateway.clock.jump(61_000);
    expect((await device.ask({ path: location })).code).toBe("2.04");
  });
});

/** A device with a LwM2M certificate. */
async function bootstrapped(): Promise<Known> {
  known ??= await createBootstrappedDevices(gateway.context, gateway.accountId, 4);
  await gateway.restart();
  const device = known.pop();
  if (!device) throw new Error("There is none left.");
  return device;
}

type Known = Awaited<ReturnType<typeof createBootstrappedDevices>>[number];

async function connect(
  known: Known,
  answer: (path: string) => string = () => "1",
  transport: "dtls" | "tls" = "dtls",
): Promise<{ peer: Peer; coap: CoapEndpoint }> {
  const peer = await (transport === "dtls" ? connectDtls : connectTls)({
    host: "127.0.0.1",
    port: gateway.port("lwm2m", transport === "dtls" ? "coaps" : "coaps+tcp"),
    credentials: known.credentials,
    ca: [known.serverCa],
    clock: systemClock,
  });
  const coap = new CoapEndpoint({
    clock: systemClock,
    handler: ({ path, observe }) => ({
      code: "2.05",
      contentFormat: 0,
      payload: answer(`/${path.join("/")}`),
      ...(observe === 0 && { observe: () => {} }),
    }),
  });
  coap.attach(peer, { initiator: transport === "tls" });
  return { peer, coap };
}

describe("Bootstrap", () => {
  const bootstrap = (
    device: RawDevice,
    endpointName: string | null,
    query: readonly string[] = [],
    more: Partial<Ask> = {},
  ) =>
    device.ask({
      path: "bs",
      query: [...(endpointName === null ? [] : [`ep=${endpointName}`]), ...query],
      ...more,
    });
  const steps = (device: RawDevice) => device.requests.map(({ code, path }) => `${METHODS[code]} ${path}`);
  const willing = (device: RawDevice, own = "/0/1") => {
    device.answer = ({ code }) =>
      code === "0.01"
        ? { code: "2.05", payload: `</>;lwm2m=1.1,<${own}>;uri="coap://bs",</1>,</3/0>` }
        : { code: "2.04" };
  };

  it("BS-01 BS-03 BS-32 BS-38 BS-39 BS-40 BS-41: discovers, writes whole instances in TLV and finishes", async () => {
    const device = await open("bootstrap");
    willing(device);
    const endpointName = newName();
    expect((await bootstrap(device, endpointName)).code).toBe("2.04");
    const { id } = await entry(endpointName);
    await event(id, "bootstrap.finished");
    expect(steps(device)).toEqual(["GET /", "PUT /0/0", "PUT /1/0", "POST /bs"]);
    expect(device.requests.every(({ confirmable }) => confirmable)).toBe(true);
    expect(device.requests.slice(1, 3).map((request) => readUint(request, "Content-Format"))).toEqual([
      TLV,
      TLV,
    ]);
    expect((await entry(endpointName)).state).toBe("bootstrapped");
    expect(await count(id, "bootstrap.finished")).toBe(1);
    const next = await open();
    expect((await register(next, endpointName)).code).toBe("2.01");
    expect((await entry(endpointName)).id).toBe(id);
  });

  it("the device's own account is never written, wherever it is", async () => {
    const device = await open("bootstrap");
    willing(device, "/0/0");
    const endpointName = newName();
    await bootstrap(device, endpointName);
    await event((await entry(endpointName)).id, "bootstrap.finished");
    expect(steps(device)).toContain("PUT /0/1");
    expect(steps(device)).not.toContain("PUT /0/0");
  });

  it("BS-02 BS-21 BS-31: a device without name and certificate is refused", async () => {
    const answer = await bootstrap(await open("bootstrap"), null);
    expect(answer.code).toBe("4.00");
    expect(answer.text).not.toBe("");
  });

  it("BS-33 BS-43: a refused Finish fails the session, in the device's words", async () => {
    const device = await open("bootstrap");
    device.answer = ({ code, path }) =>
      code === "0.01"
        ? { code: "4.04" }
        : path === "/bs"
          ? { code: "4.06", payload: "inconsistent" }
          : { code: "2.04" };
    const endpointName = newName();
    await bootstrap(device, endpointName);
    const { id } = await entry(endpointName);
    expect((await event(id, "bootstrap.failed")).text).toContain("inconsistent");
    expect((await entry(endpointName)).state).toBe("cloud_enrolling");
  });

  it("BS-33: so does a device that falls silent in the middle", async () => {
    const device = await open("bootstrap");
    device.answer = ({ code }) => (code === "0.01" ? { code: "2.05", payload: "</>;lwm2m=1.1" } : null);
    const endpointName = newName();
    await bootstrap(device, endpointName);
    const { id } = await entry(endpointName);
    await eventually(() => device.requests.length > 1);
    await eventually(async () => {
      gateway.clock.jump(20_000);
      return (await gateway.events(id)).some(({ type }) => type === "bootstrap.failed");
    });
    expect((await entry(endpointName)).state).toBe("cloud_enrolling");
  });

  it("BS-34 BS-45: a second request takes over, from another port too", async () => {
    const first = await open("bootstrap");
    first.answer = () => null;
    const endpointName = newName();
    await bootstrap(first, endpointName);
    const { id } = await entry(endpointName);
    await eventually(() => first.requests.length > 0);
    const second = await open("bootstrap");
    willing(second);
    expect((await bootstrap(second, endpointName)).code).toBe("2.04");
    await event(id, "bootstrap.finished");
    willing(first);
    expect(await count(id, "bootstrap.finished")).toBe(1);
    expect(await gateway.db.device.count({ where: { endpointName } })).toBe(1);
  });

  it("BS-44: a request that is refused ends no session", async () => {
    const first = await open("bootstrap");
    const endpointName = newName();
    first.answer = () => null;
    await bootstrap(first, endpointName);
    const request = await eventually(() => first.requests[0]);
    const second = await open("bootstrap");
    expect((await bootstrap(second, endpointName, [`aid=${"e".repeat(32)}`])).code).toBe("4.03");
    willing(first);
    first.send({ code: "4.04", ack: true, messageId: request.messageId, token: request.token });
    await event((await entry(endpointName)).id, "bootstrap.finished");
  });

  it("BS-35 BS-37: is confirmable and asks for a format that can be", async () => {
    const device = await open("bootstrap");
    expect((await bootstrap(device, newName(), [], { confirmable: false })).code).toBe("4.00");
    expect((await bootstrap(device, newName(), ["pct=50"])).code).toBe("4.00");
    expect((await bootstrap(device, newName(), ["pct=112"])).code).toBe("2.04");
  });

  it("BS-46: a repeated request starts no second session", async () => {
    const device = await open("bootstrap");
    willing(device);
    const endpointName = newName();
    const ask = { path: "bs", query: [`ep=${endpointName}`], messageId: 4711, token: Buffer.from("once") };
    const first = await device.ask(ask);
    const { id } = await entry(endpointName);
    await event(id, "bootstrap.finished");
    const second = await device.ask(ask);
    expect(second).toEqual(first);
    expect(await count(id, "bootstrap.requested")).toBe(1);
    expect(steps(device)).toHaveLength(4);
  });

  it("a late answer to Finish takes nothing from the registration that the device has made meanwhile", async () => {
    const device = await open("bootstrap");
    const endpointName = newName();
    const before = await open();
    await register(before, endpointName);
    const former = (await entry(endpointName)).registration?.id;
    device.answer = ({ code, path }) =>
      code === "0.01" ? { code: "4.04" } : path === "/bs" ? null : { code: "2.04" };
    await bootstrap(device, endpointName);
    const finish = await eventually(() => device.requests.find(({ path }) => path === "/bs"));
    const next = await open();
    const { code, location } = await register(next, endpointName);
    expect(code).toBe("2.01");
    device.send({ code: "2.04", ack: true, messageId: finish.messageId, token: finish.token });
    const { id } = await entry(endpointName);
    await event(id, "bootstrap.finished");
    expect((await next.ask({ path: location })).code).toBe("2.04");
    const { state, registration } = await entry(endpointName);
    expect(state).toBe("registered");
    expect(`rd/${registration?.id}`).toBe(location);
    expect(registration?.id).not.toBe(former);
  });

  it("a device that registers with its new account has confirmed it, though its answer never comes", async () => {
    const device = await open("bootstrap");
    const endpointName = newName();
    device.answer = ({ code, path }) =>
      code === "0.01" ? { code: "4.04" } : path === "/bs" ? null : { code: "2.04" };
    await bootstrap(device, endpointName);
    await eventually(() => device.requests.find(({ path }) => path === "/bs"));
    const { location } = await register(await open(), endpointName, ["lt=3600"]);
    const { id } = await entry(endpointName);
    await event(id, "bootstrap.finished");
    expect(`rd/${(await entry(endpointName)).registration?.id}`).toBe(location);
    expect(await count(id, "bootstrap.failed")).toBe(0);
  });

  it.each(["registers", "does not register"])("a device that rejects Finish and %s", async (next) => {
    const device = await open("bootstrap");
    const endpointName = newName();
    device.answer = ({ code, path }) =>
      code === "0.01" ? { code: "4.04" } : path === "/bs" ? null : { code: "2.04" };
    await bootstrap(device, endpointName);
    const { id } = await entry(endpointName);
    const { messageId } = await eventually(() => device.requests.find(({ path }) => path === "/bs"));
    device.send({ code: "0.00", reset: true, messageId });
    if (next === "registers") {
      await register(await open(), endpointName);
      await event(id, "bootstrap.finished");
      expect(await count(id, "bootstrap.failed")).toBe(0);
    } else {
      await eventually(async () => {
        gateway.clock.jump(60_000);
        return (await count(id, "bootstrap.failed")) === 1;
      });
      expect(await count(id, "bootstrap.finished")).toBe(0);
      expect((await entry(endpointName)).state).toBe("cloud_enrolling");
    }
  });

  it.each([1, 2, 3])(
    "a device that hears %i requests ahead of the answer to its own is asked anew",
    async (early) => {
      const device = await open("bootstrap");
      const ignored = new Set<number>();
      // What comes ahead of the answer is ignored, and so is each repetition of it.
      device.answer = ({ code, messageId }) => {
        if (ignored.size < early) ignored.add(messageId);
        return ignored.has(messageId) ? null : code === "0.01" ? { code: "4.04" } : { code: "2.04" };
      };
      const endpointName = newName();
      await bootstrap(device, endpointName);
      const { id } = await entry(endpointName);
      await eventually(async () => {
        gateway.clock.jump(1000);
        return (await gateway.events(id)).some(({ type }) => type === "bootstrap.finished");
      });
      expect(ignored.size).toBe(early);
      expect(await count(id, "bootstrap.requested")).toBe(1);
      expect(await count(id, "bootstrap.failed")).toBe(0);
    },
  );

  it("a request that is never answered is sent once more, with another message ID", async () => {
    const device = await open("bootstrap");
    const ids = new Set<number>();
    device.answer = ({ code, path, messageId }) => {
      if (path === "/1/0") ids.add(messageId);
      if (path === "/1/0" && ids.size === 1) return null;
      return code === "0.01" ? { code: "4.04" } : { code: "2.04" };
    };
    const endpointName = newName();
    await bootstrap(device, endpointName);
    const { id } = await entry(endpointName);
    await eventually(async () => {
      gateway.clock.jump(20_000);
      return (await gateway.events(id)).some(({ type }) => type === "bootstrap.finished");
    });
    expect(ids.size).toBe(2);
  });

  it("a Bootstrap-Pack-Request is told that there is none, so that the device asks as usual", async () => {
    const device = await open("bootstrap");
    expect((await device.ask({ method: "GET", path: "bspack", query: ["ep=somebody"] })).code).toBe("4.04");
  });
});

describe("Observe", () => {
  async function observed(path = "/3303/0/5700") {
    const all = await registered();
    let token: Buffer = Buffer.alloc(0);
    const cancelled: Buffer[] = [];
    all.device.answer = (request) => {
      const observe = readUint(request, "Observe");
      if (observe === 0) token = request.token;
      if (observe === 1) cancelled.push(request.token);
      return {
        code: "2.05",
        payload: "20.5",
        options: observe === 0 ? [{ name: "Observe", value: uint(1) }, TEXT] : [TEXT],
      };
    };
    expect(await ask(all.id, "observe", path)).toMatchObject({ ok: true });
    return { ...all, token: () => token, cancelled };
  }
  const value = async (deviceId: string, path = "/3303/0/5700") => {
    const found = await gateway.db.resourceValue.findUnique({ where: { deviceId_path: { deviceId, path } } });
    return found ? { ...found, value: JSON.parse(found.value).value } : null;
  };
  const has = (deviceId: string, wanted: number) =>
    eventually(async () => {
      // Values are written within a second.
      gateway.clock.jump(250);
      return (await value(deviceId))?.value === wanted;
    });

  it("OBS-01 OBS-31: a change is one value, in a 2.05 or in the 2.04 of older devices", async () => {
    const { device, id, token } = await observed();
    await has(id, 20.5);
    device.notify(token(), 2, { code: "2.05", payload: "21.5", options: [TEXT] });
    await has(id, 21.5);
    device.notify(token(), 3, { code: "2.04", payload: "22.5", options: [TEXT] }, true);
    await has(id, 22.5);
    expect(device.others).toMatchObject([{ ack: true }]);
    device.notify(token(), 2, { code: "2.05", payload: "1.5", options: [TEXT] });
    device.notify(token(), 4, { code: "2.05", payload: "23.5", options: [TEXT] });
    await has(id, 23.5);
  });

  it("OBS-02: objects and instances too", async () => {
    const { device, id } = await registered();
    device.answer = (request) => ({
      code: "2.05",
      payload: Buffer.from("e4164441a80000", "hex"),
      options: [
        { name: "Observe", value: uint(1) },
        option("Content-Format", uint(readUint(request, "Accept") ?? 0)),
      ],
    });
    expect(await ask(id, "observe", "/3303/0")).toMatchObject({
      ok: true,
      values: [{ path: "/3303/0/5700", value: { value: 21 } }],
    });
  });

  it("OBS-03: an error is the last notification", async () => {
    const { device, id, token } = await observed();
    device.notify(token(), 2, { code: "4.04" }, true);
    await event(id, "resource.failed", "4.04");
    expect(await gateway.db.observation.count({ where: { deviceId: id } })).toBe(0);
    const messageId = device.notify(token(), 3, { code: "2.05", payload: "1", options: [TEXT] });
    await eventually(() => device.others.find((one) => one.reset && one.messageId === messageId));
  });

  it("OBS-05: ends with Observe 1 and the same token", async () => {
    const { device, id, token, cancelled } = await observed();
    expect(await ask(id, "unobserve", "/3303/0/5700")).toMatchObject({ ok: true });
    expect(cancelled).toEqual([token()]);
    const messageId = device.notify(token(), 3, { code: "2.05", payload: "1", options: [TEXT] });
    await eventually(() => device.others.find((one) => one.reset && one.messageId === messageId));
  });

  it("OBS-07: a format nobody knows is an event, and no value", async () => {
    const { device, id, token } = await observed();
    device.notify(token(), 2, { code: "2.05", payload: "x", options: [option("Content-Format", uint(666))] });
    await event(id, "resource.failed", "666");
    device.notify(token(), 3, { code: "2.05", payload: "30.5", options: [TEXT] });
    await has(id, 30.5);
  });

  it("OBS-08: is refused when the registration is gone", async () => {
    const { device, id, location } = await registered();
    await device.ask({ method: "DELETE", path: location });
    expect(await ask(id, "observe", "/3/0/9")).toMatchObject({ ok: false });
    expect(await gateway.db.observation.count({ where: { deviceId: id } })).toBe(0);
  });

  it("OBS-09: a time that comes with a value is its time, and the newest of all is the value", async () => {
    const { device, id, token } = await observed();
    await has(id, 20.5);
    gateway.clock.jump(60_000);
    const now = Math.floor(gateway.clock.now() / 1000);
    const samples = (...records: [time: number, value: number][]) =>
      JSON.stringify(records.map(([t, v]) => ({ n: "/3303/0/5700", t, v })));
    const senml = option("Content-Format", uint(SENML_JSON));
    const notify = (observe: number, ...records: [number, number][]) =>
      device.notify(token(), observe, { code: "2.05", payload: samples(...records), options: [senml] });
    notify(2, [now - 30, 19.5], [now - 40, 18.5]);
    await has(id, 19.5);
    expect((await value(id))?.at).toEqual(new Date((now - 30) * 1000));

    // What was stored up is told later, by whatever way.
    notify(3, [now - 50, 17.5]);
    const send = (...records: [number, number][]) =>
      device.ask({ path: "dp", payload: samples(...records), options: [senml] });
    expect((await send([now - 45, 16.5], [now - 35, 15.5])).code).toBe("2.04");
    await event(id, "resource.observed");
    expect(await value(id)).toMatchObject({ value: 19.5 });

    // A clock that is ahead does not keep out what comes later.
    expect((await send([now + 3600, 14.5])).code).toBe("2.04");
    await has(id, 14.5);
    expect((await value(id))?.at.getTime()).toBeLessThanOrEqual(gateway.clock.now());
    device.notify(token(), 4, { code: "2.05", payload: "13.5", options: [TEXT] });
    await has(id, 13.5);
  });

  it("a Send that reports nothing is refused", async () => {
    const { device } = await registered();
    for (const payload of ["[]", "", '[{"bn":"/3303/0/5700"}]']) {
      const options = [option("Content-Format", uint(SENML_JSON))];
      const { code, text } = await device.ask({ path: "dp", payload, options });
      expect([payload, code]).toEqual([payload, "4.00"]);
      expect(text).not.toBe("");
    }
  });

  it("OBS-21 OBS-28: a token without observation, or from another address, is reset and is no value", async () => {
    const { id, token } = await observed();
    const other = await open();
    const messageId = other.notify(token(), 9, { code: "2.05", payload: "99.5", options: [TEXT] });
    await eventually(() => other.others.find((one) => one.reset && one.messageId === messageId));
    expect((await value(id))?.value).not.toBe(99.5);
  });

  it("OBS-25: the same path again takes the place of the first", async () => {
    const { device, id, token, cancelled } = await observed();
    const first = token();
    expect(await ask(id, "observe", "/3303/0/5700")).toMatchObject({ ok: true });
    expect(cancelled).toEqual([first]);
    expect(token()).not.toEqual(first);
    device.notify(token(), 2, { code: "2.05", payload: "25.5", options: [TEXT] });
    await has(id, 25.5);
  });

  it("OBS-29: is asked for anew after every Register", async () => {
    const { device, endpointName, id, token } = await observed();
    const first = token();
    await register(device, endpointName);
    await eventually(() => !token().equals(first));
    device.notify(token(), 2, { code: "2.05", payload: "26.5", options: [TEXT] });
    await has(id, 26.5);
  });

  it("is asked for anew when the device goes on after a restart of the gateway", async () => {
    const { device, id, token, location } = await observed();
    const first = token();
    await gateway.restart();
    expect((await device.ask({ path: location })).code).toBe("2.04");
    await eventually(() => !token().equals(first));
    device.notify(token(), 2, { code: "2.05", payload: "27.5", options: [TEXT] });
    await has(id, 27.5);
  });

  it("OBS-22: goes on when the device went on from another address", async () => {
    const { id, token, location } = await observed();
    const elsewhere = await open();
    expect((await elsewhere.ask({ path: location })).code).toBe("2.04");
    elsewhere.notify(token(), 2, { code: "2.05", payload: "28.5", options: [TEXT] });
    await has(id, 28.5);
  });

  it.each(["dtls", "tls"] as const)(
    "OBS-22: goes on when the device made a new %s session and nothing else",
    async (transport) => {
      const device = await bootstrapped();
      const asked: string[] = [];
      const note = (path: string) => {
        asked.push(path);
        return "20.5";
      };
      const first = await connect(device, note, transport);
      await first.coap.request(first.peer, {
        method: "POST",
        path: ["rd"],
        query: ["lwm2m=1.1"],
        payload: Buffer.from(LINKS),
      });
      expect(await ask(device.id, "observe", "/3303/0/5700")).toMatchObject({ ok: true });
      const second = await connect(device, note, transport);
      await eventually(() => first.peer.closed);
      expect(await ask(device.id, "read", "/3/0/0")).toMatchObject({ ok: true });
      if (transport === "tls") {
        // The connection that is gone took the observation with it [RFC8323 §7.4].
        asked.length = 0;
        gateway.clock.jump(6000);
        await eventually(() => asked.includes("/3303/0/5700"));
      }
      expect(second.peer.closed).toBe(false);
      second.peer.close();
    },
  );

  it("is asked for anew in a DTLS session that is older than the gateway", async () => {
    const known = await bootstrapped();
    const asked: string[] = [];
    const { peer, coap } = await connect(known, (path) => {
      asked.push(path);
      return "20.5";
    });
    const { locationPath } = await coap.request(peer, {
      method: "POST",
      path: ["rd"],
      query: ["lwm2m=1.1"],
      payload: Buffer.from(LINKS),
    });
    expect(await ask(known.id, "observe", "/3303/0/5700")).toMatchObject({ ok: true });
    asked.length = 0;
    await gateway.restart();
    expect((await coap.request(peer, { method: "POST", path: locationPath })).code).toBe("2.04");
    await eventually(() => asked.includes("/3303/0/5700"));
    peer.close();
  });
});

describe("Time-outs", () => {
  it("QUE-07: a request that is never acknowledged fails when CoAP has given up", async () => {
    const { device, id } = await registered();
    device.answer = () => null;
    const reading = ask(id, "read", "/3/0/0");
    await eventually(() => device.requests.length > 0);
    for (const ms of [3000, 6000, 12_000, 24_000, 48_000]) gateway.clock.jump(ms);
    expect(await reading).toMatchObject({ ok: false, code: null });
    expect(new Set(device.requests.map(({ messageId }) => messageId)).size).toBe(1);
  });

  it("QUE-08: one that is acknowledged and never answered fails by its own time", async () => {
    const { device, id } = await registered();
    device.answer = () => null;
    const reading = ask(id, "read", "/3/0/0");
    const request = await eventually(() => device.requests[0]);
    device.send({ code: "0.00", ack: true, messageId: request.messageId });
    await new Promise((resolve) => setTimeout(resolve, 50));
    gateway.clock.jump(59_000);
    expect(device.requests).toHaveLength(1);
    gateway.clock.jump(2000);
    expect(await reading).toMatchObject({ ok: false, message: expect.stringContaining("60 s") });
  });

  it("single resources of Pelion's client come in the format it has for them", async () => {
    const { device, id } = await registered(["lwm2m=1.0", "mccv=4.13.2"]);
    const accepts: (number | null)[] = [];
    device.answer = (request) => {
      accepts.push(readUint(request, "Accept"));
      return { code: "2.05", payload: "0", options: [TEXT] };
    };
    await ask(id, "read", "/3200/0/5501");
    await ask(id, "read", "/3200/0");
    expect(accepts).toEqual([null, TLV]);
  });

  it("a separate answer is taken", async () => {
    const { device, id } = await registered();
    device.answer = () => null;
    const reading = ask(id, "read", "/3/0/0");
    const request = await eventually(() => device.requests[0]);
    device.send({ code: "0.00", ack: true, messageId: request.messageId });
    device.send({
      code: "2.05",
      confirmable: true,
      messageId: device.nextMessageId(),
      token: request.token,
      payload: Buffer.from("maker"),
      options: [TEXT],
    });
    expect(await reading).toMatchObject({ ok: true, values: [{ value: { value: "maker" } }] });
  });
});
