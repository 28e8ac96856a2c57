import { createPrivateKey, X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRootAuthority, toPem } from "@/server/pki";
import { createDeveloperCertificate } from "@/server/services/certificates/create-developer";
import { takeBundle } from "@/server/services/certificates/take-bundle";
import { OpensslFolder, proofOf } from "@/tests/support/pki";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
beforeAll(async () => {
  bench = await openApiBench();
});
afterAll(() => bench.close());

const reloads = () => bench.asked.filter(({ op }) => op === "trust.reload").length;

describe("developer certificates", () => {
  it("are made with their key, and keep it", async () => {
    const before = reloads();
    const made = await bench.call(bench.a.developer, "POST", "/v3/developer-certificates", {
      name: "bench",
      description: null,
    });
    expect(reloads()).toBe(before + 1);
    const { id, developer_certificate, developer_private_key, security_file_content } = made.body;
    const certificate = new X509Certificate(developer_certificate);
    expect(certificate.checkPrivateKey(createPrivateKey(developer_private_key))).toBe(true);
    expect(developer_private_key).toContain("BEGIN PRIVATE KEY");
    expect(security_file_content).toContain(`coaps://localhost:25784?aid=${bench.a.id}`);
    const again = await bench.call(bench.a.developer, "GET", `/v3/developer-certificates/${id}`);
    expect(again.body).toEqual(made.body);
    // The portal's download leaves the key alone, however often.
    const uris = { bootstrap: { udp: "coaps://h:1", tcp: "coaps+tcp://h:1" } };
    for (let turn = 0; turn < 2; turn++) await takeBundle(bench.a.ctx, { id, uris });
    expect((await bench.call(bench.a.developer, "GET", `/v3/developer-certificates/${id}`)).body).toEqual(
      made.body,
    );
    const trusted = await bench.call(bench.a.developer, "GET", `/v3/trusted-certificates/${id}`);
    expect(trusted.body).toMatchObject({ id, device_execution_mode: 1, service: "bootstrap", valid: true });
    expect(trusted.text).not.toContain("PRIVATE KEY");
    const stored = await bench.db.trustedCertificate.findUniqueOrThrow({
      where: { id },
      omit: { privateKey: false },
    });
    const der = createPrivateKey(developer_private_key).export({ type: "pkcs8", format: "der" });
    expect(Buffer.from(stored.privateKey ?? []).includes(der)).toBe(false);
  });

  it("of the portal keep their key to themselves", async () => {
    const { id } = await createDeveloperCertificate(bench.a.ctx, { name: "portal" });
    const { body } = await bench.call(bench.a.admin, "GET", `/v3/developer-certificates/${id}`);
    expect(body.developer_certificate).toContain("BEGIN CERTIFICATE");
    expect(body).not.toHaveProperty("developer_private_key");
    expect(body).not.toHaveProperty("security_file_content");
  });

  it("need a name of their own", async () => {
    const make = (body: unknown) => bench.call(bench.a.developer, "POST", "/v3/developer-certificates", body);
    await make({ name: "twice" });
    const again = await make({ name: "twice" });
    expect([again.status, again.body.type]).toEqual([409, "duplicate"]);
    for (const body of [
      {},
      { name: " " },
      { name: "x".repeat(101) },
      { name: "x", description: "y".repeat(501) },
    ])
      expect((await make(body)).body.type).toBe("validation_error");
  });
});

describe("trusted certificates", () => {
  const authority = () => createRootAuthority(`Factory ${Math.random()}`, 5);
  const body = (pem: string, more = {}) => ({
    name: `ca ${Math.random()}`,
    service: "bootstrap",
    certificate: pem,
    ...more,
  });

  it("are uploaded by administrators, and taken up by the gateway", async () => {
    const { certificate, privateKey } = authority();
    const pem = toPem(certificate, "CERTIFICATE");
    const before = reloads();
    const refused = await bench.call(bench.a.developer, "POST", "/v3/trusted-certificates", body(pem));
    expect(refused.status).toBe(403);
    const unproven = await bench.call(bench.a.admin, "POST", "/v3/trusted-certificates", body(pem));
    expect(unproven.body).toMatchObject({ type: "validation_error", fields: [{ name: "signature" }] });
    expect(unproven.body.fields[0].message).toContain(`printf %s ${bench.a.id} | openssl dgst`);
    const signature = proofOf(bench.a.id, privateKey);
    const wrong = await bench.call(
      bench.a.admin,
      "POST",
      "/v3/trusted-certificates",
      body(pem, { signature: "AAAA" }),
    );
    expect(wrong.body.fields[0].name).toBe("signature");
    const made = await bench.call(
      bench.a.admin,
      "POST",
      "/v3/trusted-certificates",
      body(pem, { signature }),
    );
    expect(made.body).toMatchObject({ status: "ACTIVE", device_execution_mode: 0, certificate: pem });
    expect(reloads()).toBe(before + 1);
    // A signature of another account's id shows nothing.
    const copied = await bench.call(
      bench.b.admin,
      "POST",
      "/v3/trusted-certificates",
      body(pem, { signature }),
    );
    expect(copied.body.fields[0].name).toBe("signature");
    const claiming = body(pem, { enrollment_mode: true });
    expect((await bench.call(bench.b.admin, "POST", "/v3/trusted-certificates", claiming)).status).toBe(409);
    const both = body(pem, { signature: proofOf(bench.b.id, privateKey) });
    expect((await bench.call(bench.b.admin, "POST", "/v3/trusted-certificates", both)).status).toBe(201);
    await bench.db.trustedCertificate.deleteMany({ where: { accountId: bench.b.id, developer: false } });
    const path = `/v3/trusted-certificates/${made.body.id}`;
    expect((await bench.call(bench.a.developer, "PUT", path, { status: "INACTIVE" })).status).toBe(403);
    const off = await bench.call(bench.a.admin, "PUT", path, { status: "INACTIVE", description: null });
    expect(off.body.status).toBe("INACTIVE");
    expect(off.body.etag).not.toBe(made.body.etag);
    expect(reloads()).toBe(before + 3);
    const next = authority();
    const other = toPem(next.certificate, "CERTIFICATE");
    const renew = (more: object) =>
      bench.call(bench.a.admin, "PUT", path, { certificate: other, name: "renewed", ...more });
    expect((await renew({})).body.fields[0].name).toBe("signature");
    const replaced = await renew({ signature: proofOf(bench.a.id, next.privateKey) });
    expect(replaced.body).toMatchObject({ certificate: other, name: "renewed", status: "INACTIVE" });
    expect((await bench.call(bench.a.admin, "DELETE", path)).status).toBe(204);
    expect(reloads()).toBe(before + 5);
    expect((await bench.call(bench.a.admin, "GET", path)).status).toBe(404);
  });

  it("are one account's, whatever else is written around the name and the key of the CA", async () => {
    const { certificate, privateKey } = authority();
    const forged = Uint8Array.from(certificate);
    forged.set([(forged.at(-1) ?? 0) ^ 1], forged.length - 1);
    const upload = (key: string, der: Uint8Array, more = {}) =>
      bench.call(key, "POST", "/v3/trusted-certificates", body(toPem(der, "CERTIFICATE"), more));
    const shared = { enrollment_mode: true };
    const first = await upload(bench.a.admin, certificate, shared);
    expect(first.status).toBe(201);
    expect((await upload(bench.b.admin, forged)).status).toBe(400);
    const second = await upload(bench.b.admin, forged, shared);
    expect(second.status).toBe(201);
    for (const [key, { id }] of [
      [bench.a.admin, first.body],
      [bench.b.admin, second.body],
    ]) {
      const alone = await bench.call(key, "PUT", `/v3/trusted-certificates/${id}`, {
        enrollment_mode: false,
      });
      expect(alone.status).toBe(400);
    }
    // Who was there first without a proof is not in the way of the one that has it.
    const proven = await bench.call(bench.a.admin, "PUT", `/v3/trusted-certificates/${first.body.id}`, {
      enrollment_mode: false,
      signature: proofOf(bench.a.id, privateKey),
    });
    expect(proven.status).toBe(200);
    // What takes the place of another is trusted from then on only.
    const own = await upload(bench.b.admin, authority().certificate, shared);
    const replaced = await bench.call(bench.b.admin, "PUT", `/v3/trusted-certificates/${own.body.id}`, {
      certificate: toPem(authority().certificate, "CERTIFICATE"),
    });
    expect(replaced.body.created_at > own.body.created_at).toBe(true);
    await bench.db.trustedCertificate.deleteMany({ where: { developer: false } });
  });

  it("are proven by openssl's signature, or by a certificate that was issued for the account", async () => {
    const openssl = new OpensslFolder();
    try {
      const extensions = ["basicConstraints=critical,CA:true", "keyUsage=keyCertSign,digitalSignature"];
      openssl.certificate("ca", { subject: "/CN=OpenSSL works", extensions });
      openssl.write("account", bench.a.id);
      openssl.run("dgst", "-sha256", "-sign", "ca.key", "-out", "proof", "account");
      const pem = openssl.read("ca.pem").toString();
      const upload = (certificate: string, more = {}) =>
        bench.call(bench.a.admin, "POST", "/v3/trusted-certificates", body(certificate, more));
      const signed = await upload(pem, { signature: openssl.read("proof").toString("base64") });
      expect(signed.status).toBe(201);
      await bench.call(bench.a.admin, "DELETE", `/v3/trusted-certificates/${signed.body.id}`);

      openssl.certificate("mine", { subject: `/CN=${bench.a.id}`, issuer: "ca" });
      openssl.certificate("theirs", { subject: `/CN=${bench.b.id}`, issuer: "ca" });
      openssl.certificate("forged", { subject: `/CN=${bench.a.id}` });
      for (const [leaf, status] of [
        ["theirs", 400],
        ["forged", 400],
        ["mine", 201],
      ] as const)
        expect([leaf, (await upload(`${pem}${openssl.read(`${leaf}.pem`)}`)).status]).toEqual([leaf, status]);
    } finally {
      openssl.remove();
    }
  });

  it("are checked", async () => {
    const pem = toPem(authority().certificate, "CERTIFICATE");
    const portal = await bench.db.authority.findUniqueOrThrow({ where: { role: "portal" } });
    for (const bad of [
      { name: "x", service: "bootstrap" },
      body("nothing"),
      body("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
      body(toPem(portal.certificate, "CERTIFICATE")),
      body(`${pem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----`),
      body(`${pem}${pem.slice(0, pem.length / 2)}\n-----END CERTIFICATE-----`),
      body(pem, { service: "other" }),
      body(pem, { status: "ON" }),
    ])
      expect((await bench.call(bench.a.admin, "POST", "/v3/trusted-certificates", bad)).body.type).toBe(
        "validation_error",
      );
    const developer = await createDeveloperCertificate(bench.a.ctx, { name: "fixed" });
    const path = `/v3/trusted-certificates/${developer.id}`;
    expect((await bench.call(bench.a.admin, "PUT", path, { service: "lwm2m" })).status).toBe(400);
    expect((await bench.call(bench.a.admin, "PUT", path, { certificate: pem })).status).toBe(400);
    expect((await bench.call(bench.a.developer, "PUT", path, { status: "INACTIVE" })).body.status).toBe(
      "INACTIVE",
    );
  });

  it("are filtered", async () => {
    const { certificate, privateKey } = createRootAuthority("Filter Works", 2);
    const pem = toPem(certificate, "CERTIFICATE");
    const made = (
      await bench.call(bench.b.admin, "POST", "/v3/trusted-certificates", {
        name: "works",
        service: "lwm2m",
        certificate: pem,
        signature: proofOf(bench.b.id, privateKey),
      })
    ).body;
    await createDeveloperCertificate(bench.b.ctx, { name: "dev" });
    const names = async (query: string) =>
      (await bench.call(bench.b.admin, "GET", `/v3/trusted-certificates?${query}`)).body.data.map(
        ({ name }: { name: string }) => name,
      );
    expect(await names("")).toEqual(["works", "dev"]);
    expect(await names("order=DESC")).toEqual(["dev", "works"]);
    expect(await names("device_execution_mode__neq=1")).toEqual(["works"]);
    expect(await names("device_execution_mode__eq=1")).toEqual(["dev"]);
    expect(await names("service__eq=lwm2m")).toEqual(["works"]);
    expect(await names("subject__like=FILTER")).toEqual(["works"]);
    expect(await names("issuer__like=%25")).toEqual([]);
    expect(await names("valid__eq=true&status__eq=ACTIVE")).toEqual(["works", "dev"]);
    expect(await names("valid__eq=false")).toEqual([]);
    expect(await names(`certificate_fingerprint__eq=${made.certificate_fingerprint}`)).toEqual(["works"]);
    expect(await names("name__eq=dev")).toEqual(["dev"]);
    expect(await names(`owner__eq=${bench.b.id}&enrollment_mode__eq=false`)).toEqual(["works", "dev"]);
    const days = Math.floor((Date.parse(made.validity) - Date.now()) / 86_400_000);
    expect(await names(`expire__eq=${days}`)).toEqual(["works"]);
  });
});
