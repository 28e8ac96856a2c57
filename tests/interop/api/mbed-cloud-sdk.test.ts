import { createRequire } from "node:module";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newId } from "@/server/services/ids";
import { type ApiBench, openApiBench } from "../../support/api-bench";

// Pelion's own SDK, as it is on npm.
const sdk = createRequire(import.meta.url)("mbed-cloud-sdk");

let bench: ApiBench;
let connection: { apiKey: string; host: string };
const ids: string[] = [];

beforeAll(async () => {
  bench = await openApiBench();
  connection = { apiKey: bench.a.admin, host: bench.url };
  for (let n = 0; n < 5; n++) {
    const id = newId();
    ids.push(id);
    await bench.db.device.create({
      data: {
        id,
        accountId: bench.a.id,
        identity: `ep:sdk-${n}`,
        endpointName: `sdk-${n}`,
        state: n < 3 ? "registered" : "bootstrapped",
        executionMode: 1,
        customAttributes: JSON.stringify({ colour: n % 2 ? "red" : "blue" }),
        bootstrappedAt: new Date(),
        connectorExpirationDate: new Date(Date.now() + 86_400_000),
      },
    });
    await bench.db.deviceEvent.create({
      data: {
        id: newId(),
        accountId: bench.a.id,
        deviceId: id,
        type: "bootstrap.device-created",
        category: "bootstrap",
        outcome: "SUCCESS",
        description: "Directory entry made.",
        stateChange: true,
        at: new Date(),
      },
    });
  }
});
afterAll(() => bench.close());

describe("mbed-cloud-sdk 2.6.10", () => {
  it("lists and filters devices", async () => {
    const directory = new sdk.DeviceDirectoryApi(connection);
    const all = await directory.listDevices({ include: ["totalCount"], limit: 2 });
    expect(all).toMatchObject({ totalCount: 5, hasMore: true });
    expect(all.data[0]).toMatchObject({
      id: ids[0],
      alias: "sdk-0",
      state: "registered",
      accountId: bench.a.id,
    });
    expect(all.data[0].createdAt).toBeInstanceOf(Date);
    expect(all.data[0].bootstrappedTimestamp).toBeInstanceOf(Date);
    const second = await directory.listDevices({ limit: 2, after: all.data[1].id });
    expect(second.data.map(({ id }: { id: string }) => id)).toEqual([ids[2], ids[3]]);
    const found = async (filter: object) =>
      (await directory.listDevices({ filter })).data.map(({ id }: { id: string }) => ids.indexOf(id));
    expect(await found({ state: { $eq: "registered" } })).toEqual([0, 1, 2]);
    expect(await found({ state: { $ne: "registered" } })).toEqual([3, 4]);
    expect(await found({ state: { $in: ["registered", "bootstrapped"] } })).toEqual([0, 1, 2, 3, 4]);
    expect(
      await found({ state: { $eq: "registered" }, customAttributes: { colour: { $eq: "red" } } }),
    ).toEqual([1]);
    expect(await found({ createdAt: { $lte: new Date(0) } })).toEqual([]);
  });

  it("adds, changes and deletes a device", async () => {
    const directory = new sdk.DeviceDirectoryApi(connection);
    const ca = (
      await bench.call(bench.a.admin, "POST", "/v3/developer-certificates", { name: "for a device" })
    ).body;
    const added = await directory.addDevice({
      certificateFingerprint: "ab".repeat(32),
      certificateIssuerId: ca.id,
      name: "Added",
      alias: "added",
      mechanism: "connector",
      customAttributes: { a: "b" },
    });
    expect(added).toMatchObject({ name: "Added", state: "unenrolled", certificateIssuerId: ca.id });
    const read = await directory.getDevice(added.id);
    read.name = "Changed";
    const changed = await directory.updateDevice(read);
    expect(changed).toMatchObject({ id: added.id, name: "Changed", customAttributes: { a: "b" } });
    await directory.deleteDevice(added.id);
    expect(await directory.getDevice(added.id)).toBeFalsy();
  });

  it("reads events", async () => {
    const directory = new sdk.DeviceDirectoryApi(connection);
    const events = await directory.listDeviceEvents({ filter: { deviceId: { $eq: ids[1] } } });
    expect(events.data).toHaveLength(1);
    expect(events.data[0]).toMatchObject({
      deviceId: ids[1],
      type: "update.device.device-created",
      stateChanged: true,
    });
    expect(events.data[0].eventDate).toBeInstanceOf(Date);
    expect((await directory.getDeviceEvent(events.data[0].id)).id).toBe(events.data[0].id);
  });

  it("makes, finds and deletes a developer certificate", async () => {
    const certificates = new sdk.CertificatesApi(connection);
    const made = await certificates.addDeveloperCertificate({ name: "from the SDK" });
    expect(made.headerFile).toContain("MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY");
    expect(made.developerPrivateKey).toContain("BEGIN PRIVATE KEY");
    const found = await certificates.getCertificate(made.id);
    expect(found).toMatchObject({ id: made.id, name: "from the SDK" });
    const developer = await certificates.listCertificates({ filter: { type: { $eq: "developer" } } });
    expect(developer.data.map(({ id }: { id: string }) => id)).toContain(made.id);
    await certificates.deleteCertificate(made.id);
    expect(await certificates.getCertificate(made.id)).toBeFalsy();
  });

  it("manages API keys, and reads account and users", async () => {
    const management = new sdk.AccountManagementApi(connection);
    const made = await management.addApiKey({ name: "SDK key" });
    expect(made).toMatchObject({ name: "SDK key", status: "ACTIVE" });
    expect((await management.getApiKey()).name).toBe("admin");
    const changed = await management.updateApiKey({ id: made.id, name: "Renamed", status: "INACTIVE" });
    expect(changed).toMatchObject({ name: "Renamed", status: "INACTIVE" });
    const keys = await management.listApiKeys({ include: ["totalCount"] });
    expect(keys.totalCount).toBe(3);
    await management.deleteApiKey(made.id);
    expect((await management.getAccount()).id).toBe(bench.a.id);
    expect((await management.listUsers()).data[0]).toMatchObject({ email: "alpha@example.com" });
    expect((await management.listGroups()).data.map(({ name }: { name: string }) => name)).toContain(
      "Administrators",
    );
  });

  it("saves queries", async () => {
    const directory = new sdk.DeviceDirectoryApi(connection);
    const added = await directory.addQuery({
      name: "red ones",
      filter: { state: { $eq: "registered" }, customAttributes: { colour: { $eq: "red" } } },
    });
    expect(added).toMatchObject({ name: "red ones", filter: { state: { $eq: "registered" } } });
    const read = await directory.getQuery(added.id);
    expect(read.filter.customAttributes.colour).toEqual({ $eq: "red" });
    read.name = "the red ones";
    expect(await directory.updateQuery(read)).toMatchObject({ id: added.id, name: "the red ones" });
    const listed = await directory.listQueries();
    expect(listed.data.map(({ name }: { name: string }) => name)).toEqual(["the red ones"]);
    // A saved query is what devices are listed by.
    expect((await directory.listDevices({ filter: read.filter })).data).toHaveLength(1);
    await directory.deleteQuery(added.id);
    expect(await directory.getQuery(added.id)).toBeFalsy();
  });

  it("claims devices", async () => {
    const enrollment = new sdk.EnrollmentApi(connection);
    const claimId = `A-${Array(32).fill("C4").join(":")}`;
    const claim = await enrollment.addEnrollmentClaim({ claimId });
    expect(claim).toMatchObject({ claimId, accountId: bench.a.id });
    expect(claim.createdAt).toBeInstanceOf(Date);
    expect(claim.expiresAt).toBeInstanceOf(Date);
    await expect(enrollment.addEnrollmentClaim({ claimId })).rejects.toMatchObject({ code: 409 });
    await expect(enrollment.addEnrollmentClaim({ claimId: "A-nothing" })).rejects.toMatchObject({
      code: 400,
    });
    const listed = await enrollment.listEnrollmentClaims();
    expect(listed.data.map(({ id }: { id: string }) => id)).toEqual([claim.id]);
    await claim.delete();
    expect(await enrollment.getEnrollmentClaim(claim.id)).toBeFalsy();
  });

  it("sees the resources of a registered device", async () => {
    const now = new Date();
    await bench.db.registration.create({
      data: {
        deviceId: ids[0] as string,
        id: "r",
        accountId: bench.a.id,
        endpointName: "sdk-0",
        lifetime: 60,
        lwm2mVersion: "1.1",
        binding: "U",
        objectLinks: "</3/0/0>;rt=maker,</3303/0/5700>;obs",
        address: "192.0.2.1:5683",
        transport: "dtls",
        registeredAt: now,
        updatedAt: now,
        expiresAt: new Date(now.getTime() + 60_000),
      },
    });
    const connect = new sdk.ConnectApi(connection);
    const resources = await connect.listResources(ids[0]);
    expect(
      resources.map(({ path, observable }: { path: string; observable: boolean }) => [path, observable]),
    ).toEqual([
      ["/3/0/0", false],
      ["/3303/0/5700", true],
    ]);
    const connected = await connect.listConnectedDevices();
    expect(connected.data).toHaveLength(3);
  });
});
