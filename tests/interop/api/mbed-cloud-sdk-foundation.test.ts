import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newId } from "@/server/services/ids";
import { type Instance, startInstance } from "../../support/instance";

/**
 * The newer classes of Pelion's SDK speak https only, and trust what Node was told when it started; so they run in a
 * process of their own that is given the CA of the instance.
 */
const CLIENT = `
const { SDK } = require("mbed-cloud-sdk");
const sdk = new SDK({ apiKey: process.env.KEY, host: process.env.HOST });
require("node:readline").createInterface({ input: process.stdin }).on("line", async (line) => {
  const { n, repository, method, args } = JSON.parse(line);
  try {
    const plain = args.map((arg) => (arg && arg.bytes ? Buffer.from(arg.bytes) : arg));
    let result = sdk.foundation()[repository + "Repository"]()[method](...plain);
    result = result && typeof result.all === "function" ? await result.all() : await result;
    if (Buffer.isBuffer(result)) result = result.toString();
    console.log(JSON.stringify({ n, result }, (key, value) => (key.startsWith("_") ? undefined : value)));
  } catch (error) {
    console.log(JSON.stringify({ n, error: error.message, code: error.code }));
  }
});`;

let instance: Instance;
let client: ChildProcess;
let device: string;
const waiting = new Map<number, (answer: { result?: unknown; error?: string }) => void>();

// biome-ignore lint/suspicious/noExplicitAny: as an application sees it
type Loose = any;

/** Calls a method of one of the SDK's repositories. */
async function call(repository: string, method: string, ...args: unknown[]): Promise<Loose> {
  const n = waiting.size;
  const answer = await new Promise<{ result?: unknown; error?: string }>((resolve) => {
    waiting.set(n, resolve);
    client.stdin?.write(`${JSON.stringify({ n, repository, method, args })}\n`);
  });
  if (answer.error) throw new Error(`${repository}.${method}: ${answer.error}`);
  return answer.result;
}

beforeAll(async () => {
  instance = await startInstance();
  client = spawn(process.execPath, ["-e", CLIENT], {
    cwd: process.cwd(),
    env: {
      NODE_ENV: "test",
      PATH: process.env.PATH ?? "",
      NODE_EXTRA_CA_CERTS: instance.caFile,
      KEY: instance.key,
      HOST: instance.secureUrl,
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  createInterface({ input: client.stdout as NodeJS.ReadableStream }).on("line", (line) => {
    const { n, ...answer } = JSON.parse(line);
    waiting.get(n)?.(answer);
  });
  device = newId();
  await instance.gateway.db.device.create({
    data: {
      id: device,
      accountId: instance.gateway.accountId,
      identity: "ep:foundation",
      endpointName: "foundation",
      state: "bootstrapped",
      executionMode: 1,
    },
  });
});
afterAll(async () => {
  client?.kill();
  await instance?.close();
});

const names = (rows: Loose[]) => rows.map(({ name }) => name);

describe("the newer classes of mbed-cloud-sdk 2.6.10, over https", () => {
  it("find, change and read devices and their events", async () => {
    const [found] = await call("device", "list", { filter: { endpointName: { eq: "foundation" } } });
    expect(found).toMatchObject({ id: device, state: "bootstrapped", deployedState: "development" });
    expect(await call("device", "list", { filter: { state: { in: ["registered"] } } })).toEqual([]);
    await call("device", "update", { name: "Named", customAttributes: { colour: "red" } }, device);
    expect(await call("device", "read", device)).toMatchObject({
      name: "Named",
      customAttributes: { colour: "red" },
    });
    const events = await call("deviceEvents", "list", { filter: { deviceId: { eq: device } } });
    expect(events).toMatchObject([{ deviceId: device, eventType: "update.device.device-updated" }]);
    expect((await call("deviceEvents", "read", events[0].id)).id).toBe(events[0].id);
  });

  it("make certificates", async () => {
    const made = await call("developerCertificate", "create", { name: "foundation" });
    expect(made.developerPrivateKey).toContain("BEGIN PRIVATE KEY");
    expect(await call("developerCertificate", "getTrustedCertificateInfo", made.id)).toMatchObject({
      id: made.id,
      isDeveloperCertificate: true,
    });
    const trusted = await call("trustedCertificate", "list", {
      filter: { deviceExecutionMode: { eq: 1 } },
    });
    expect(names(trusted)).toContain("foundation");
    await call("developerCertificate", "delete", made.id);
    expect(await call("trustedCertificate", "list")).toEqual([]);
  });

  it("group devices", async () => {
    const made = await call("deviceGroup", "create", {
      name: "Lamps",
      description: "All of them",
      customAttributes: { floor: "2" },
    });
    expect(made).toMatchObject({ name: "Lamps", devicesCount: 0, customAttributes: { floor: "2" } });
    await call("deviceGroup", "addDevice", { deviceId: device }, made.id);
    const members = await call("deviceGroup", "devices", made.id);
    expect(members.map(({ id }: Loose) => id)).toEqual([device]);
    expect((await call("device", "read", device)).groups).toEqual([made.id]);
    await call("device", "removeFromGroup", { deviceId: device }, made.id);
    await call("device", "addToGroup", { deviceId: device }, made.id);
    await call("deviceGroup", "update", { name: "Lights" }, made.id);
    expect(await call("deviceGroup", "list")).toMatchObject([{ name: "Lights", devicesCount: 1 }]);
    await call("deviceGroup", "removeDevice", { deviceId: device }, made.id);
    await call("deviceGroup", "delete", made.id);
    expect(await call("deviceGroup", "list")).toEqual([]);
  });

  it("claim devices one by one and by list", async () => {
    const identity = (byte: string) => `A-${Array(32).fill(byte).join(":")}`;
    const one = await call("deviceEnrollment", "create", { enrollmentIdentity: identity("AB") });
    expect(one).toMatchObject({ enrollmentIdentity: identity("AB"), accountId: instance.gateway.accountId });
    expect(await call("deviceEnrollment", "read", one.id)).toMatchObject({ id: one.id });
    const bytes = [...Buffer.from(`identity\n${identity("CD")}\n${identity("AB")}\n`)];
    const job = await call("deviceEnrollmentBulkCreate", "create", { bytes });
    await expect
      .poll(async () => (await call("deviceEnrollmentBulkCreate", "read", job.id)).status, {
        timeout: 10_000,
      })
      .toBe("completed");
    expect(await call("deviceEnrollmentBulkCreate", "read", job.id)).toMatchObject({
      totalCount: 2,
      processedCount: 2,
      errorsCount: 1,
    });
    expect(await call("deviceEnrollment", "list")).toHaveLength(2);
    await call("deviceEnrollment", "delete", one.id);
    expect(await call("deviceEnrollment", "list")).toHaveLength(1);
  });

  it("read where devices go, and who issues certificates", async () => {
    const bootstrap = await call("serverCredentials", "getBootstrap");
    expect(bootstrap.serverUri).toMatch(/^coaps:\/\/127\.0\.0\.1:\d+/);
    expect(bootstrap.serverCertificate).toContain("BEGIN CERTIFICATE");
    expect((await call("serverCredentials", "getLwm2m")).serverUri).not.toBe(bootstrap.serverUri);
    expect(await call("certificateIssuerConfig", "getDefault")).toMatchObject({
      reference: "LWM2M",
    });
  });

  it("manage keys, groups and users", async () => {
    const [administrators] = await call("policyGroup", "list", {
      filter: { name: { eq: "Administrators" } },
    });
    const made = await call("apiKey", "create", { name: "from foundation" });
    expect(made.key).toMatch(/^ak_1/);
    expect(names(await call("apiKey", "list"))).toEqual(["instance", "from foundation"]);
    expect(await call("apiKey", "update", { name: "renamed", status: "INACTIVE" }, made.id)).toMatchObject({
      name: "renamed",
      status: "INACTIVE",
    });
    await call("apiKey", "delete", made.id);
    expect(await call("apiKey", "me")).toMatchObject({ name: "instance" });
    expect(administrators).toMatchObject({ name: "Administrators" });
    expect((await call("account", "me")).id).toBe(instance.gateway.accountId);
    const user = await call("user", "create", { email: "new@example.com", fullName: "New" });
    expect(user).toMatchObject({ email: "new@example.com" });
    expect(await call("user", "list", { filter: { email: { eq: "new@example.com" } } })).toHaveLength(1);
    await call("user", "delete", user.id);
    expect(await call("user", "list")).toHaveLength(1);
  });
});
