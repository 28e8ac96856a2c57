import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { DerError, parseCertificateRequest } from "@/server/pki";

const P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

async function request(algorithm = P256): Promise<{ bytes: Buffer; spki: Buffer }> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const csr = await x509.Pkcs10CertificateRequestGenerator.create(
    { name: "L=device, OU=account, CN=endpoint", keys, signingAlgorithm: algorithm },
    webcrypto as Crypto,
  );
  return {
    bytes: Buffer.from(csr.rawData),
    spki: Buffer.from(await webcrypto.subtle.exportKey("spki", keys.publicKey)),
  };
}

describe("certificate requests of devices", () => {
  let good: { bytes: Buffer; spki: Buffer };
  beforeAll(async () => {
    good = await request();
  });

  it("tell the name and the key", () => {
    const { subject, publicKey } = parseCertificateRequest(good.bytes);
    expect(subject).toMatchObject({ l: "device", ou: "account", cn: "endpoint" });
    expect(Buffer.from(publicKey)).toEqual(good.spki);
  });

  it("have to be signed with the key that they ask a certificate for", async () => {
    const other = await request();
    const forged = Buffer.from(good.bytes);
    // The other key in the place of this one: both have the same length.
    other.spki.copy(forged, forged.indexOf(good.spki));
    expect(() => parseCertificateRequest(forged)).toThrow(/not signed with the key/);
  });

  it("have to be signed with ECDSA and SHA-256", async () => {
    const { bytes } = await request({ ...P256, hash: "SHA-384" });
    expect(() => parseCertificateRequest(bytes)).toThrow(/ECDSA and SHA-256/);
  });

  it("are refused in words when they are cut or damaged, and never taken for good", () => {
    fc.assert(
      fc.property(fc.nat(good.bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Buffer.from(good.bytes);
        damaged[at] = (damaged[at] as number) ^ flip;
        expect(() => parseCertificateRequest(damaged)).toThrow(DerError);
        expect(() => parseCertificateRequest(good.bytes.subarray(0, at))).toThrow(DerError);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(() => parseCertificateRequest(bytes)).toThrow(DerError);
      }),
    );
  });
});
