import { createPrivateKey, X509Certificate } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readBundle } from "@/server/pki";
import { createDeveloperCertificate } from "@/server/services/certificates/create-developer";
import { getCertificate } from "@/server/services/certificates/get";
import { listCertificates } from "@/server/services/certificates/list";
import { removeCertificate } from "@/server/services/certificates/remove";
import { takeBundle } from "@/server/services/certificates/take-bundle";
import { loadTrust } from "@/server/services/certificates/trust";
import { getDevice } from "@/server/services/devices/get";
import { ensureInstance } from "@/server/services/instance/ensure";
import { serviceUris } from "@/server/services/instance/uris";
import { addCertificate, addDevice, type Bench, eventTypes, failure, openBench } from "./support";

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
  await ensureInstance(bench.system, { publicHost: "gw.example.com" });
});
afterAll(() => bench.close());
beforeEach(async () => {
  await bench.db.trustedCertificate.deleteMany();
  await bench.db.deviceEvent.deleteMany();
  bench.bus.answers = { "trust.reload": { trusted: 1 } };
  bench.bus.requests.length = 0;
});

const uris = serviceUris({ publicHost: "gw.example.com", bootstrapPort: 5784, lwm2mPort: 5684 });

describe("developer certificates", () => {
  it("are made for the account, their key sealed", async () => {
    const made = await createDeveloperCertificate(bench.a.user, { name: "Lab", description: "on the bench" });
    expect(made.endpointName).toMatch(/^[0-9a-f]{32}$/);
    const row = await bench.db.trustedCertificate.findUniqueOrThrow({
      where: { id: made.id },
      omit: { privateKey: false },
    });
    const certificate = new X509Certificate(row.certificate);
    expect(certificate.subject).toContain(`CN=${made.endpointName}`);
    expect(certificate.subject).toContain(`OU=${bench.a.id}`);
    expect(certificate.fingerprint256.replaceAll(":", "").toLowerCase()).toBe(made.fingerprint);
    const kept = Buffer.from(row.privateKey ?? []);
    expect(() => createPrivateKey({ key: kept, format: "der", type: "pkcs8" })).toThrow();
    expect(await eventTypes(bench, bench.a.id)).toEqual(["certificate.created"]);
    expect(bench.bus.requests).toEqual([{ op: "trust.reload", input: {} }]);
    expect(await listCertificates(bench.a.key)).toEqual([
      expect.objectContaining({
        name: "Lab",
        devicesUsed: 0,
        deviceLimit: 100,
        downloadable: true,
        developer: true,
      }),
    ]);
  });

  it("need a name of their own, up to fifty of them", async () => {
    await createDeveloperCertificate(bench.a.user, { name: "Lab" });
    expect(await failure(createDeveloperCertificate(bench.a.user, { name: " Lab " }))).toBe("conflict");
    await createDeveloperCertificate(bench.b.user, { name: "Lab" });
    expect(await failure(createDeveloperCertificate(bench.a.user, { name: "" }))).toBe("validation_error");
    expect(await failure(createDeveloperCertificate(bench.a.user, { name: "x".repeat(101) }))).toBe(
      "validation_error",
    );
    expect(await failure(createDeveloperCertificate(bench.a.device, { name: "x" }))).toBe("forbidden");
    expect(await failure(createDeveloperCertificate(bench.system, { name: "x" }))).toBe("forbidden");
    for (let n = 1; n < 50; n++) await addCertificate(bench, bench.a.id, `n${n}`);
    expect(await failure(createDeveloperCertificate(bench.a.user, { name: "one more" }))).toBe(
      "limit_exceeded",
    );
    expect(await bench.db.trustedCertificate.count({ where: { accountId: bench.a.id } })).toBe(50);
  });

  it("are seen by their account, and with all others by the gateway, without keys", async () => {
    const { id } = await createDeveloperCertificate(bench.a.user, { name: "Lab" });
    await createDeveloperCertificate(bench.b.user, { name: "Theirs" });
    expect(await getCertificate(bench.a.developer, { id })).toMatchObject({
      id,
      certificate: expect.any(Uint8Array),
    });
    expect(await failure(getCertificate(bench.b.user, { id }))).toBe("not_found");
    expect(await failure(getCertificate(bench.a.device, { id }))).toBe("forbidden");
    expect(await failure(getCertificate(bench.a.user, { id: "x" }))).toBe("validation_error");
    expect((await listCertificates(bench.b.user)).map(({ name }) => name)).toEqual(["Theirs"]);
    expect(await failure(listCertificates(bench.a.device))).toBe("forbidden");
    const anchors = await loadTrust(bench.system);
    expect(anchors.map(({ accountId }) => accountId).sort()).toEqual([bench.a.id, bench.b.id].sort());
    expect(Object.keys(anchors[0] ?? {})).not.toContain("privateKey");
    expect(await failure(loadTrust(bench.a.user))).toBe("forbidden");
  });

  it("are made also while the gateway is down", async () => {
    bench.bus.answers = {};
    await createDeveloperCertificate(bench.a.user, { name: "Lab" });
    expect(await listCertificates(bench.a.user)).toHaveLength(1);
  });
});

describe("bundles", () => {
  it("are handed out once, with the key that belongs to the certificate", async () => {
    const { id, endpointName } = await createDeveloperCertificate(bench.a.user, { name: "Lab / Süd" });
    const { fileName, zip } = await takeBundle(bench.a.user, { id, uris });
    expect(fileName).toMatch(/^[a-z0-9-]+\.zip$/);
    expect(readBundle(zip)).toMatchObject({
      endpointName,
      accountId: bench.a.id,
      bootstrapUri: { udp: "coaps://gw.example.com:5784", tcp: "coaps+tcp://gw.example.com:5784" },
    });
    expect(await failure(takeBundle(bench.a.user, { id, uris }))).toBe("conflict");
    expect((await listCertificates(bench.a.user))[0]).toMatchObject({ downloadable: false });
    const row = await bench.db.trustedCertificate.findUniqueOrThrow({
      where: { id },
      omit: { privateKey: false },
    });
    expect(row.privateKey).toBeNull();
    expect(row.downloadedAt?.getTime()).toBe(bench.clock.now());
    expect(await eventTypes(bench, bench.a.id)).toEqual(["certificate.created", "certificate.downloaded"]);
  });

  it("go to one of several who ask at once", async () => {
    const { id } = await createDeveloperCertificate(bench.a.user, { name: "Lab" });
    const codes = await Promise.all([0, 1, 2, 3].map(() => failure(takeBundle(bench.a.user, { id, uris }))));
    expect(codes.sort()).toEqual(["conflict", "conflict", "conflict", "nothing"]);
    expect(await eventTypes(bench, bench.a.id)).toEqual(["certificate.created", "certificate.downloaded"]);
  });

  it("do not go to others, and keep the key when that is refused", async () => {
    const { id } = await createDeveloperCertificate(bench.a.user, { name: "Lab" });
    expect(await failure(takeBundle(bench.b.user, { id, uris }))).toBe("not_found");
    expect(await failure(takeBundle(bench.a.device, { id, uris }))).toBe("forbidden");
    expect(await failure(takeBundle(bench.a.user, { id: "x", uris }))).toBe("validation_error");
    const ca = await addCertificate(bench, bench.a.id, "ca", { developer: false, endpointName: null });
    expect(await failure(takeBundle(bench.a.user, { id: ca, uris }))).toBe("not_found");
    expect((await listCertificates(bench.a.user)).find((one) => one.id === id)?.downloadable).toBe(true);
  });
});

describe("removing a certificate", () => {
  it("keeps its devices in the directory and has the gateway end their sessions", async () => {
    const { id } = await createDeveloperCertificate(bench.a.user, { name: "Lab" });
    const deviceId = await addDevice(bench, bench.a.id, { caId: id });
    expect((await listCertificates(bench.a.user))[0]?.devicesUsed).toBe(1);
    expect(await failure(removeCertificate(bench.b.user, { id }))).toBe("not_found");
    expect(await failure(removeCertificate(bench.a.device, { id }))).toBe("forbidden");
    expect(await failure(removeCertificate(bench.a.user, { id: "x" }))).toBe("validation_error");
    bench.bus.requests.length = 0;
    bench.bus.published.length = 0;
    bench.bus.before = async () => expect(await bench.db.trustedCertificate.count()).toBe(0);
    expect(await removeCertificate(bench.a.developer, { id })).toEqual({ devices: 1 });
    bench.bus.before = async () => {};
    expect(bench.bus.requests).toEqual([{ op: "trust.reload", input: {} }]);
    expect(bench.bus.published).toContainEqual({
      kind: "device",
      accountId: bench.a.id,
      deviceId,
      change: "updated",
    });
    expect(await getDevice(bench.a.user, { id: deviceId })).toMatchObject({ ca: null });
    expect(await failure(removeCertificate(bench.a.user, { id }))).toBe("not_found");
  });
});
