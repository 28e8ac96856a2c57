import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { TestApplication } from "../../support/application";
import { fullDisk } from "../../support/full-disk";
import { RawDevice, readUint, uint } from "../../support/raw-device";
import { startTestGateway, type TestGateway } from "../../support/test-gateway";

/* What a full disk does to devices and applications, and that all is well when there is room again. */

let gateway: TestGateway;
const devices: RawDevice[] = [];
let names = 0;

beforeAll(async () => {
  gateway = await startTestGateway();
}, 30_000);
afterAll(() => gateway?.close());
afterEach(() => {
  for (const device of devices.splice(0)) device.close();
});

const trouble = async () => (await gateway.bus.request("ping", {})).storageTrouble;

async function open() {
  const device = await RawDevice.open(gateway.port("lwm2m", "coap"));
  devices.push(device);
  const endpointName = `full-${++names}`;
  const query = [`ep=${endpointName}`, "lwm2m=1.1"];
  return {
    device,
    endpointName,
    register: () => device.ask({ path: "rd", query, payload: "</1/0>,</3303/0>" }),
  };
}

describe("while the disk is full", () => {
  it("devices are told to come again within a minute, what was answered holds, and nothing has to be restarted", async () => {
    const known = await open();
    const { location, code } = await known.register();
    expect(code).toBe("2.01");
    const disk = await fullDisk(gateway.db);

    // What still has room on the pages that are there goes through.
    const refused = await (async () => {
      for (let tries = 0; tries < 300; tries++) {
        const one = await open();
        const answer = await one.register();
        if (answer.code !== "2.01") return { ...one, answer };
      }
      throw new Error("The disk took all of it.");
    })();
    expect(refused.answer).toMatchObject({ code: "5.03", text: "nothing can be stored now" });
    expect(readUint(refused.answer, "Max-Age")).toBeGreaterThanOrEqual(30);
    expect(readUint(refused.answer, "Max-Age")).toBeLessThanOrEqual(60);
    expect(await trouble()).toEqual({ reason: "the disk is full", since: expect.any(Number) });
    expect((await refused.register()).code).toBe("5.03");

    // Registered anew in vain, it still has the registration that it had.
    const again = await known.register();
    if (again.code === "5.03") expect((await known.device.ask({ path: location })).code).not.toBe("4.04");

    await disk.makeRoom();
    expect((await refused.register()).code).toBe("2.01");
    expect(await trouble()).toBeNull();
    const { id } = await gateway.db.device.findFirstOrThrow({
      where: { endpointName: refused.endpointName },
    });
    expect((await gateway.events(id)).map(({ type }) => type)).toContain("registration.registered");
  }, 60_000);

  it("a notification is not acknowledged, and told once when it comes again", async () => {
    const { device, endpointName, register } = await open();
    let token: Buffer = Buffer.alloc(0);
    device.answer = (request) => {
      token = request.token;
      return { code: "2.05", payload: "20", options: [{ name: "Observe", value: uint(1) }] };
    };
    expect((await register()).code).toBe("2.01");
    const { id } = await gateway.db.device.findFirstOrThrow({ where: { endpointName } });
    const application = await new TestApplication(gateway).open();
    await application.subscribe(id, "/3303/0/5700");
    await application.got("async-responses");

    const disk = await fullDisk(gateway.db);
    const notification = { code: "2.05", payload: "x".repeat(900) };
    let messageId = 0;
    let observe = 1;
    const acknowledged = () => device.others.some((one) => one.ack && one.messageId === messageId);
    // As before, what still has room is taken.
    const settled = async () => {
      for (let waited = 0; waited < 40 && !acknowledged(); waited++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      return acknowledged();
    };
    do messageId = device.notify(token, ++observe, notification, true);
    while (await settled());
    const before = (await application.told()).filter(({ kind }) => kind === "notifications").length;
    expect(before).toBe(observe - 2);

    await disk.makeRoom();
    messageId = device.notify(token, ++observe, notification, true);
    expect(await settled()).toBe(true);
    expect(await application.got("notifications", before + 1)).toHaveLength(before + 1);
  }, 60_000);
});
