import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { runDevices } from "@/server/device";
import { createRootAuthority, DeviceCertificateIssuer, developerBundle, toPem } from "@/server/pki";
import { updateCertificate, uploadCertificate } from "@/server/services/certificates/upload";
import { actAs } from "@/server/services/create-context";
import { createDevice } from "@/server/services/devices/create";
import { listEndpointResources } from "@/server/services/devices/endpoints";
import { findDevice, searchDevices } from "@/server/services/devices/search";
import { getServerCa } from "@/server/services/instance/authorities";
import { proofOf } from "../../support/pki";
import { startTestGateway, type TestGateway } from "../../support/test-gateway";

let gateway: TestGateway;
const folder = mkdtempSync(join(tmpdir(), "gangway-early-"));
beforeAll(async () => {
  gateway = await startTestGateway();
  while (!gateway.bus.connected) await new Promise((resolve) => setTimeout(resolve, 5));
});
afterAll(async () => {
  await gateway.close();
  rmSync(folder, { recursive: true, force: true });
});

it("a device finds the entry that was made for it, and its certificate can be switched off", async () => {
  const { context, accountId } = gateway;
  const ctx = actAs(context, {
    kind: "apiKey",
    id: "0".repeat(32),
    accountId,
    name: "test",
    role: "administrator",
  });
  const factory = createRootAuthority("A factory", 5);
  const ca = await uploadCertificate(ctx, {
    name: "factory",
    service: "bootstrap",
    certificate: toPem(factory.certificate, "CERTIFICATE"),
    signature: proofOf(accountId, factory.privateKey),
  });
  const endpointName = "factory-0001";
  const made = new DeviceCertificateIssuer(factory).issue({
    deviceId: "0".repeat(32),
    accountId,
    endpointName,
    notAfter: new Date(Date.now() + 86_400_000),
  });
  const { id } = await createDevice(ctx, { endpointName, name: "Early" });
  const uri = (scheme: "coaps" | "coaps+tcp") => `${scheme}://127.0.0.1:${gateway.port("bootstrap", scheme)}`;
  const zip = developerBundle({
    endpointName,
    accountId,
    bootstrapUri: { udp: uri("coaps"), tcp: uri("coaps+tcp") },
    certificate: made.certificate,
    privateKey: made.privateKey as Uint8Array,
    serverCa: (await getServerCa(ctx)).der,
  });
  const log = { info: () => {}, warn: () => {} };
  const running = await runDevices({ bundle: zip, stateDir: folder, log });
  try {
    await running.registered;
    const device = await findDevice(ctx, { id });
    expect(device).toMatchObject({
      state: "registered",
      name: "Early",
      caId: ca.id,
      executionMode: 5,
    });
    expect((await searchDevices(ctx, { count: true })).total).toBe(1);
    const uris = (await listEndpointResources(ctx, { id })).map(({ path }) => path);
    expect(uris).toContain("/3/0/0");
    // Its session ends with the certificate.
    await updateCertificate(ctx, { id: ca.id, status: "INACTIVE" });
    await vi.waitFor(
      async () => expect((await gateway.events(id)).map(({ type }) => type)).toContain("session.closed"),
      5000,
    );
  } finally {
    await running.stop();
  }
});
