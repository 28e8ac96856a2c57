import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { RunningDevices } from "@/server/device";
import { type Instance, startInstance } from "../../support/instance";

// Pelion's own SDK, as it is on npm, with a device that is really there.
const sdk = createRequire(import.meta.url)("mbed-cloud-sdk");

let instance: Instance;
let running: RunningDevices;
let identity: Parameters<Instance["run"]>[0];
let device: string;

/** A key of its own for each client: so each has a notification channel of its own. */
const connection = async (name: string) => ({
  apiKey: (await instance.addKey(name)).key,
  host: instance.url,
});

beforeAll(async () => {
  instance = await startInstance();
  const certificates = new sdk.CertificatesApi({ apiKey: instance.key, host: instance.url });
  const made = await certificates.addDeveloperCertificate({ name: "for a device" });
  identity = { certificate: made.developerCertificate, privateKey: made.developerPrivateKey };
  running = await instance.run(identity, { tickMs: 100 });
  await running.registered;
  device = running.devices[0]?.deviceId ?? "";
});
afterAll(async () => {
  await running?.stop();
  await instance?.close();
});

describe("mbed-cloud-sdk 2.6.10 and a device that came with a certificate of its making", () => {
  it("finds the device, its events and its resources", async () => {
    const to = await connection("directory");
    const directory = new sdk.DeviceDirectoryApi(to);
    const found = await directory.listDevices({ filter: { state: { $eq: "registered" } } });
    expect(found.data.map(({ id }: { id: string }) => id)).toEqual([device]);
    await vi.waitFor(async () => {
      const events = await directory.listDeviceEvents({ filter: { deviceId: { $eq: device } } });
      expect(events.data.map(({ type }: { type: string }) => type)).toEqual(
        expect.arrayContaining(["update.device.device-created", "registration.registered"]),
      );
    }, 5000);
    const connect = new sdk.ConnectApi(to);
    const [connected] = (await connect.listConnectedDevices()).data;
    expect(connected.id).toBe(device);
    const resources = await connected.listResources();
    expect(resources.map(({ path }: { path: string }) => path)).toEqual(
      expect.arrayContaining(["/3/0/0", "/3303/0/5700"]),
    );
    expect((await connect.getResource(device, "3303/0/5700")).observable).toBe(true);
  });

  it("reads, writes and executes through a poll", async () => {
    const connect = new sdk.ConnectApi(await connection("poll"));
    await connect.startNotifications();
    try {
      const name = await connect.getResourceValue(device, "/3/0/0");
      expect(name.toString()).toBe("Gangway");
      await connect.setResourceValue(device, "/3/0/14", "+05:30");
      expect((await connect.getResourceValue(device, "/3/0/14")).toString()).toBe("+05:30");
      expect(Number((await connect.getResourceValue(device, "3303/0/5700")).toString())).toBeTypeOf("number");
      await connect.executeResource(device, "/3303/0/5605");
      await expect(connect.getResourceValue(device, "/3/0/99")).rejects.toThrow();
      await expect(connect.setResourceValue(device, "/3/0/0", "no")).rejects.toThrow();
    } finally {
      await connect.stopNotifications();
    }
  });

  it("subscribes, and gets values through a poll", async () => {
    const connect = new sdk.ConnectApi(await connection("subscriber"));
    const values: string[] = [];
    // The SDK takes no async response of a subscription: what would wait for one waits until it gives up.
    connect.addResourceSubscription(
      device,
      "/3303/0/5700",
      (error: unknown, value: string) => {
        if (!error) values.push(value);
      },
      () => {},
    );
    try {
      await vi.waitFor(async () =>
        expect(await connect.getResourceSubscription(device, "/3303/0/5700")).toBe(true),
      );
      expect(await connect.listDeviceSubscriptions(device)).toBe("/3303/0/5700");
      await vi.waitFor(() => expect(new Set(values).size).toBeGreaterThan(2), 10_000);
      for (const value of values) expect(Number(value)).toBeTypeOf("number");
      await connect.deleteDeviceSubscriptions(device);
      expect(await connect.getResourceSubscription(device, "/3303/0/5700")).toBe(false);
    } finally {
      await connect.stopNotifications();
    }
  });

  it("gets values, responses and registrations through a callback", async () => {
    const webhook = await receiver();
    const connect = new sdk.ConnectApi({ ...(await connection("callback")), handleNotifications: true });
    try {
      await connect.updateWebhook(webhook.url, { Authorization: "of the application" });
      expect(await connect.getWebhook()).toMatchObject({
        url: webhook.url,
        headers: { Authorization: "of the application" },
      });
      webhook.onmessage = (message) => connect.notify(message);
      const values: string[] = [];
      connect.forceClear = true;
      connect.on("notification", ({ path, payload }: { path: string; payload: string }) => {
        if (path === "/3303/0/5700") values.push(payload);
      });
      await connect.updatePresubscriptions([{ deviceId: "*", resourcePaths: ["/3303/*"] }]);
      expect(await connect.listPresubscriptions()).toMatchObject([
        { deviceId: "*", resourcePaths: ["/3303/*"] },
      ]);
      running.devices[0]?.update();
      await vi.waitFor(() => expect(new Set(values).size).toBeGreaterThan(2), 10_000);
      await vi.waitFor(
        () => expect(webhook.messages.flatMap((one) => one["reg-updates"] ?? [])[0]?.ep).toBe(device),
        5000,
      );
      await connect.setResourceValue(device, "/3/0/14", "-03:00");
      expect(webhook.headers.authorization).toBe("of the application");
      await connect.deletePresubscriptions();
      expect(await connect.listPresubscriptions()).toEqual([]);
      await connect.deleteWebhook();
      expect(await connect.getWebhook()).toBe(null);
    } finally {
      await webhook.close();
    }
  });

  it("hears of a device that leaves and comes again", async () => {
    const connect = new sdk.ConnectApi({ ...(await connection("lifecycle")), autostartNotifications: true });
    const changes: string[] = [];
    connect.subscribe
      .deviceStateChanges()
      .addListener(({ id, event }: { id: string; event: string }) => changes.push(`${event} ${id}`));
    const values = new Set<string>();
    const wanted = await connect.subscribe.resourceValues({
      deviceId: "*",
      resourcePaths: ["/3303/0/5700"],
    });
    wanted.addListener(({ deviceId }: { deviceId: string }) => values.add(deviceId));
    const stateDir = mkdtempSync(join(tmpdir(), "gangway-sdk-"));
    const come = async () => {
      const run = await instance.run(identity, { tickMs: 100, stateDir });
      await run.registered;
      return { run, id: run.devices[0]?.deviceId ?? "" };
    };
    let visit = await come();
    try {
      const { id } = visit;
      await vi.waitFor(() => expect(changes).toContain(`registration ${id}`), 10_000);
      await vi.waitFor(() => expect(values).toContain(id), 10_000);
      await visit.run.stop();
      await vi.waitFor(() => expect(changes).toContain(`deregistration ${id}`), 10_000);
      values.clear();
      visit = await come();
      expect(visit.id).toBe(id);
      await vi.waitFor(
        () => expect(changes.filter((change) => change === `registration ${id}`)).toHaveLength(2),
        10_000,
      );
      // What was wanted of devices that register holds for every registration.
      await vi.waitFor(() => expect(values).toContain(id), 10_000);
    } finally {
      await connect.stopNotifications();
      await visit.run.stop();
      rmSync(stateDir, { recursive: true, force: true });
    }
  });
});

// biome-ignore lint/suspicious/noExplicitAny: as an application sees it
type Message = Record<string, any>;

/** What an application behind a callback is: it takes every message. */
async function receiver() {
  const messages: Message[] = [];
  const received = {
    url: "",
    messages,
    headers: {} as Record<string, unknown>,
    onmessage: (_: Message) => {},
    close: () => new Promise((done) => server.close(done)),
  };
  const server: Server = createServer(async (req, res) => {
    let text = "";
    for await (const chunk of req) text += chunk;
    const message = JSON.parse(text) as Message;
    Object.assign(received.headers, req.headers);
    messages.push(message);
    received.onmessage(message);
    res.writeHead(204, { Connection: "close" }).end();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  received.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`;
  return received;
}
