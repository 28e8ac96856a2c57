import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { runDevices } from "@/server/device";
import {
  createRootAuthority,
  DeviceCertificateIssuer,
  developerBundle,
  fingerprint,
  toPem,
} from "@/server/pki";
import { updateCertificate, uploadCertificate } from "@/server/services/certificates/upload";
import type { Context } from "@/server/services/context";
import { actAs } from "@/server/services/create-context";
import { findDevice, searchDevices } from "@/server/services/devices/search";
import { createEnrollment } from "@/server/services/enrollments/create";
import { searchDenials } from "@/server/services/enrollments/denials";
import { enrollmentIdentity } from "@/server/services/enrollments/identity";
import { removeEnrollment } from "@/server/services/enrollments/remove";
import { findEnrollment } from "@/server/services/enrollments/search";
import { newId } from "@/server/services/ids";
import { getServerCa } from "@/server/services/instance/authorities";
import { proofOf } from "../../support/pki";
import { startTestGateway, type TestGateway } from "../../support/test-gateway";

let gateway: TestGateway;
let a: Context;
let b: Context;
let accountOfB: string;
const folder = mkdtempSync(join(tmpdir(), "gangway-claim-"));
const factory = createRootAuthority("An OEM", 5);
const certificate = toPem(factory.certificate, "CERTIFICATE");
const log = { info: () => {}, warn: () => {} };

beforeAll(async () => {
  gateway = await startTestGateway();
  while (!gateway.bus.connected) await new Promise((resolve) => setTimeout(resolve, 5));
  const administrator = (accountId: string) =>
    actAs(gateway.context, { kind: "apiKey", id: newId(), accountId, name: "test", role: "administrator" });
  a = administrator(gateway.accountId);
  accountOfB = newId();
  await gateway.db.account.create({ data: { id: accountOfB, name: "Other" } });
  b = administrator(accountOfB);
});
afterAll(async () => {
  await gateway.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A device of a factory, whose bootstrap address names an account, or none. */
async function makeDevice(endpointName: string, ca = factory, accountId?: string) {
  const made = new DeviceCertificateIssuer(ca).issue({
    deviceId: "0".repeat(32),
    accountId: "0".repeat(32),
    endpointName,
    notAfter: new Date(Date.now() + 86_400_000),
  });
  const uri = (scheme: "coaps" | "coaps+tcp") =>
    `${scheme}://127.0.0.1:${gateway.port("bootstrap", scheme)}${accountId ? `?aid=${accountId}` : ""}`;
  const bundle = developerBundle({
    endpointName,
    accountId: accountId ?? "0".repeat(32),
    bootstrapUri: { udp: uri("coaps"), tcp: uri("coaps+tcp") },
    certificate: made.certificate,
    privateKey: made.privateKey as Uint8Array,
    serverCa: (await getServerCa(a)).der,
  });
  let runs = 0;
  return {
    enrollmentIdentity: enrollmentIdentity(fingerprint(made.certificate)),
    /** Switches it on as it left the factory. */
    run: () => runDevices({ bundle, stateDir: join(folder, `${endpointName}-${runs++}`), log }),
  };
}

const devicesOf = async (ctx: Context) => (await searchDevices(ctx)).rows;
const knocks = async () => (await gateway.events(null)).map(({ text }) => text);
const refusal = (text: string) => vi.waitFor(async () => expect((await knocks()).join("\n")).toContain(text));

it("a device belongs to the account that claims it, and to nobody before", async () => {
  const { id: caId } = await uploadCertificate(a, {
    name: "oem",
    service: "bootstrap",
    certificate,
    enrollmentMode: true,
  });
  const one = await makeDevice("oem-1");

  // The only account that trusts the CA learns of a device that nobody has claimed.
  const early = await one.run();
  await refusal(`its enrollment identity is ${one.enrollmentIdentity}`);
  await early.stop();
  const denials = await searchDenials(a, {
    filters: [{ field: "trusted_certificate_id", operator: "eq", value: caId }],
  });
  expect(denials.rows).toMatchObject([{ endpointName: "oem-1", trustedCertificateId: caId }]);
  expect(await devicesOf(a)).toEqual([]);

  const { id: caOfB } = await uploadCertificate(b, {
    name: "oem",
    service: "bootstrap",
    certificate,
    enrollmentMode: true,
  });
  const claim = await createEnrollment(b, one);
  const first = await one.run();
  await first.registered;
  await first.stop();
  const [device] = await devicesOf(b);
  expect(device).toMatchObject({ endpointName: "oem-1", caId: caOfB, executionMode: 5, groups: [] });
  expect(device?.claimedAt).not.toBeNull();
  expect(await findEnrollment(b, claim)).toMatchObject({
    deviceId: device?.id,
    claimedAt: device?.claimedAt,
  });
  await vi.waitFor(async () =>
    expect((await gateway.events(device?.id)).map(({ type }) => type)).toContain("device.claimed"),
  );
  expect(await devicesOf(a)).toEqual([]);

  // It moves: the claim is given up, another account makes its own, and the device is reset.
  await expect(createEnrollment(a, one)).rejects.toMatchObject({ code: "conflict" });
  await removeEnrollment(b, claim);
  await createEnrollment(a, one);
  const moved = await one.run();
  await moved.registered;
  await moved.stop();
  const [mine] = await devicesOf(a);
  expect(mine).toMatchObject({ endpointName: "oem-1", caId });
  expect(mine?.id).not.toBe(device?.id);

  // An account that has claimed a device but switched its CA off does not get it.
  const two = await makeDevice("oem-2");
  await createEnrollment(b, two);
  await updateCertificate(b, { id: caOfB, status: "INACTIVE" });
  const late = await two.run();
  await refusal("switched off the CA");
  await late.stop();
});

it("a CA is its proven holders', and otherwise shared by those who leave its devices to claims", async () => {
  const own = createRootAuthority("A factory of one account", 5);
  const upload = (ctx: Context, more: { enrollmentMode?: boolean; signature?: string }) =>
    uploadCertificate(ctx, {
      name: "own",
      service: "bootstrap",
      certificate: toPem(own.certificate, "CERTIFICATE"),
      ...more,
    });
  const proof = proofOf(gateway.accountId, own.privateKey);
  await expect(upload(b, {})).rejects.toMatchObject({ code: "validation_error" });
  await upload(b, { enrollmentMode: true });
  // Whoever came first without a proof does not keep its owner out.
  const { id } = await upload(a, { signature: proof });
  await updateCertificate(a, { id, enrollmentMode: true });
  await updateCertificate(a, { id, enrollmentMode: false });
  await expect(updateCertificate(a, { id, enrollmentMode: true, service: "lwm2m" })).rejects.toMatchObject({
    code: "validation_error",
  });
});

it("a device of a CA that several accounts hold names its own, or is claimed", async () => {
  const maker = createRootAuthority("A maker with two accounts", 5);
  const accounts = [gateway.accountId, accountOfB];
  for (const [ctx, accountId] of [
    [a, accounts[0]],
    [b, accounts[1]],
  ] as const)
    await uploadCertificate(ctx, {
      name: "maker",
      service: "bootstrap",
      certificate: toPem(maker.certificate, "CERTIFICATE"),
      signature: proofOf(accountId as string, maker.privateKey),
    });
  const unnamed = await makeDevice("maker-0", maker);
  const nobodys = await unnamed.run();
  await refusal("Several accounts hold the CA of its certificate");
  await nobodys.stop();
  await createEnrollment(a, unnamed);
  const claimed = await unnamed.run();
  await claimed.registered;
  await claimed.stop();

  const named = await makeDevice("maker-1", maker, accountOfB);
  const running = await named.run();
  await running.registered;
  await running.stop();
  const names = async (ctx: Context) => (await devicesOf(ctx)).map(({ endpointName }) => endpointName);
  expect(await names(a)).toContain("maker-0");
  expect(await names(b)).toContain("maker-1");
});

it("a device of a CA of one account is claimed when it comes, and known when its certificate is refused", async () => {
  const plain = createRootAuthority("Another OEM", 5);
  const { id: caId } = await uploadCertificate(a, {
    name: "plain",
    service: "bootstrap",
    certificate: toPem(plain.certificate, "CERTIFICATE"),
    signature: proofOf(gateway.accountId, plain.privateKey),
  });
  const made = new DeviceCertificateIssuer(plain).issue({
    deviceId: "0".repeat(32),
    accountId: "0".repeat(32),
    endpointName: "plain-1",
    notAfter: new Date(Date.now() + 86_400_000),
  });
  const uri = (scheme: "coaps" | "coaps+tcp") => `${scheme}://127.0.0.1:${gateway.port("bootstrap", scheme)}`;
  const bundle = developerBundle({
    endpointName: "plain-1",
    accountId: gateway.accountId,
    bootstrapUri: { udp: uri("coaps"), tcp: uri("coaps+tcp") },
    certificate: made.certificate,
    privateKey: made.privateKey as Uint8Array,
    serverCa: (await getServerCa(a)).der,
  });
  const claim = await createEnrollment(a, {
    enrollmentIdentity: enrollmentIdentity(fingerprint(made.certificate)),
  });
  const running = await runDevices({ bundle, stateDir: join(folder, "plain"), log });
  await running.registered;
  await running.stop();
  const { deviceId } = await findEnrollment(a, claim);
  expect((await findDevice(a, { id: deviceId ?? "" })).claimedAt).not.toBeNull();

  await updateCertificate(a, { id: caId, status: "INACTIVE" });
  const refused = await runDevices({ bundle, stateDir: join(folder, "plain-again"), log });
  await vi.waitFor(async () => {
    gateway.clock.jump(250);
    const { rows } = await searchDenials(a, {
      filters: [{ field: "trusted_certificate_id", operator: "eq", value: caId }],
    });
    expect(rows).toMatchObject([{ endpointName: "plain-1" }]);
  });
  await refused.stop();
});
