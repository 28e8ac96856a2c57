import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@/server/clock";
import { CoapEndpoint } from "@/server/coap";
import { newId } from "@/server/services/ids";
import { connectDtls, connectTls, type Peer } from "@/server/transport";
import { eventually, TestApplication } from "../../support/application";
import { type BootstrappedDevice, createBootstrappedDevices } from "../../support/lwm2m-device";
import { RawDevice } from "../../support/raw-device";
import { startTestGateway, type TestGateway } from "../../support/test-gateway";

/* Devices that somebody suspended, and those whose certificate is no longer trusted. */

let gateway: TestGateway;
let bootstrapped: BootstrappedDevice[];
const raw: RawDevice[] = [];
const peers: Peer[] = [];
let names = 0;

beforeAll(async () => {
  gateway = await startTestGateway();
  bootstrapped = await createBootstrappedDevices(gateway.context, gateway.accountId, 4);
  await gateway.restart();
}, 30_000);
afterAll(() => gateway?.close());
afterEach(() => {
  for (const device of raw.splice(0)) device.close();
  for (const peer of peers.splice(0)) peer.close();
});

async function suspend(deviceId: string, suspendedAt: Date | null = new Date()): Promise<void> {
  await gateway.db.device.update({ where: { id: deviceId }, data: { suspendedAt } });
  await gateway.bus.request("device.suspension", { accountId: gateway.accountId, deviceId });
}

/** A device without transport security. */
async function plain() {
  const endpointName = `suspended-${++names}`;
  const device = await RawDevice.open(gateway.port("lwm2m", "coap"));
  raw.push(device);
  const register = () =>
    device.ask({ path: "rd", query: [`ep=${endpointName}`, "lwm2m=1.1", "Q"], payload: "</1/0>,</3303/0>" });
  const { code, location } = await register();
  expect(code).toBe("2.01");
  const { id } = await gateway.db.device.findFirstOrThrow({ where: { endpointName }, select: { id: true } });
  return { device, endpointName, register, location, id };
}

/** A device with a session. */
async function secured(transport: "dtls" | "tls" = "dtls") {
  const one = bootstrapped.pop();
  if (!one) throw new Error("There are no more devices.");
  const connect = transport === "dtls" ? connectDtls : connectTls;
  const open = async () => {
    const peer = await connect({
      host: "127.0.0.1",
      port: gateway.port("lwm2m", transport === "dtls" ? "coaps" : "coaps+tcp"),
      ca: [one.serverCa],
      credentials: one.credentials,
      clock: systemClock,
    });
    peers.push(peer);
    const coap = new CoapEndpoint({ clock: systemClock, handler: () => ({ code: "4.04" }) });
    coap.attach(peer, { initiator: transport === "tls" });
    const ask = (path: string, payload = "") =>
      coap.request(peer, {
        method: "POST",
        path: path.split("/"),
        query: path === "rd" ? ["lwm2m=1.1"] : [],
        payload: Buffer.from(payload),
      });
    return { peer, ask, register: () => ask("rd", "</1/0>,</3303/0>") };
  };
  return { id: one.id, open };
}

const stateOf = (id: string) =>
  gateway.db.device.findUniqueOrThrow({ where: { id }, select: { state: true, registration: true } });

describe("a suspended device", () => {
  it("is registered no longer, which is told, and its requests and subscriptions end", async () => {
    const application = await new TestApplication(gateway).open();
    const { id, location, device, register, endpointName } = await plain();
    gateway.clock.jump(100_000);
    const { accountId } = gateway;
    const request = { accountId, deviceId: id, ownerId: application.id, actor: "key:test" };
    const asked = { asyncId: newId(), method: "GET", uri: "/3303/0/5700", payload: "" } as const;
    const rest = { accept: null, contentType: null, retry: null, expirySeconds: null, noResponse: false };
    await gateway.bus.request("device.request", { ...request, ...asked, ...rest });
    const subscribed = newId();
    await application.subscribe(id, "/3303/0/5700", subscribed);

    await suspend(id);
    expect(await application.got("de-registrations")).toMatchObject([
      { ep: id, "original-ep": endpointName },
    ]);
    const answers = await application.got("async-responses", 2);
    expect(answers.map((answer) => answer.id).sort()).toEqual([asked.asyncId, subscribed].sort());
    for (const answer of answers) expect(answer).toMatchObject({ status: 429, error: "DEVICE_BLOCKED" });
    expect(await stateOf(id)).toEqual({ state: "deregistered", registration: null });
    expect(await application.subscribe(id, "/3303/0/5700")).toMatchObject({ refused: "DEVICE_BLOCKED" });

    expect((await device.ask({ path: location })).code).toBe("4.04");
    const refused = await register();
    expect(refused).toMatchObject({ code: "4.03", text: expect.stringContaining("suspended") });
    const bootstrap = await RawDevice.open(gateway.port("bootstrap", "coap"));
    raw.push(bootstrap);
    expect(await bootstrap.ask({ path: "bs", query: [`ep=${endpointName}`] })).toMatchObject({
      code: "4.03",
    });
    await eventually(async () =>
      (await gateway.events(id)).some(
        ({ type, text }) => type === "registration.ended" && /suspended/.test(text),
      ),
    );

    await suspend(id, null);
    expect((await register()).code).toBe("2.01");
    expect(await stateOf(id)).toMatchObject({ state: "registered" });
  });

  it.each(["dtls", "tls"] as const)(
    "loses its %s session, and registers again when it may",
    async (transport) => {
      const { id, open } = await secured(transport);
      const first = await open();
      expect((await first.register()).code).toBe("2.01");
      await suspend(id);
      await eventually(() => first.peer.closed);
      const second = await open();
      expect((await second.register()).code).toBe("4.03");
      await suspend(id, null);
      expect((await second.register()).code).toBe("2.01");
    },
  );

  it("is not let in after a restart either, and its registration is over when the gateway was not there", async () => {
    const application = await new TestApplication(gateway).open();
    const { id, location, device, register } = await plain();
    await gateway.db.device.update({ where: { id }, data: { suspendedAt: new Date() } });
    await gateway.restart();
    expect(await application.got("de-registrations")).toMatchObject([{ ep: id }]);
    expect((await device.ask({ path: location })).code).toBe("4.04");
    expect((await register()).code).toBe("4.03");
  });

  it("of another account is not touched", async () => {
    const { id } = await plain();
    await gateway.db.device.update({ where: { id }, data: { suspendedAt: new Date() } });
    await gateway.bus.request("device.suspension", { accountId: newId(), deviceId: id });
    expect(await stateOf(id)).toMatchObject({ state: "registered" });
  });
});

it("a certificate that is no longer trusted ends the registrations that rest on it, and that is told", async () => {
  const application = await new TestApplication(gateway).open();
  const { id, open } = await secured();
  const first = await open();
  expect((await first.register()).code).toBe("2.01");
  const other = await plain();
  const trust = (status: "ACTIVE" | "INACTIVE") =>
    gateway.db.trustedCertificate
      .updateMany({ data: { status } })
      .then(() => gateway.bus.request("trust.reload", {}));
  await trust("INACTIVE");
  await eventually(async () => (await application.got("de-registrations")).some(({ ep }) => ep === id));
  expect(await stateOf(id)).toEqual({ state: "deregistered", registration: null });
  expect(await stateOf(other.id)).toMatchObject({ state: "registered" });
  const second = await open();
  expect(await second.register()).toMatchObject({ code: "4.03" });
  await trust("ACTIVE");
  expect((await second.register()).code).toBe("2.01");
});
