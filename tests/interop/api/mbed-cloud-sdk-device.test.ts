import { createPrivateKey, X509Certificate } from "node:crypto";
import { createRequire } from "node:module";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { RunningDevices } from "@/server/device";
import { parseCertificate } from "@/server/pki";
import { type Instance, startInstance } from "../../support/instance";

// Pelion's own SDK, as it is on npm, with a device that is really there.
const sdk = createRequire(import.meta.url)("mbed-cloud-sdk");

let instance: Instance;
let running: RunningDevices;
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
  const certificate = new X509Certificate(made.developerCertificate).raw;
  const privateKey = createPrivateKey(made.developerPrivateKey).export({ type: "pkcs8", format: "der" });
  const endpointName = parseCertificate(certificate).subject.cn ?? "";
  running = await instance.run({ certificate, privateKey, endpointName }, { tickMs: 100 });
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
    });
    const connect = new sdk.ConnectApi(to);
    const [connected] = (await connect.listConnectedDevices()).data;
    expect(connected.id).toBe(device);
    const resources = await connected.listResources();
    expect(resources.map(({ path }: { path: string }) => path)).toEqual(
      expect.arrayContaining(["/3/0/0", "/3303/0/5700"]),
    );
    expect((await connect.getResource(device, "3303/0/5700")).observable).toBe(true);
  });
});
