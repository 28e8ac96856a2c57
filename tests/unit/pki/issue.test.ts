import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { hostname } from "node:os";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { enrolmentAnswer } from "@/server/gateway/est";
import {
  createDeveloperCertificate,
  createRootAuthority,
  createServerCertificate,
  DeviceCertificateIssuer,
  fingerprint,
  parseCertificate,
} from "@/server/pki";
import { FakeClock } from "@/tests/support/fake-clock";

const clock = new FakeClock(Date.UTC(2026, 10, 22, 12));
const DAY = 24 * 60 * 60 * 1000;
const accountId = "a".repeat(32);
const deviceId = "d".repeat(32);
const pkcs8 = (key: Uint8Array) => createPrivateKey({ key: Buffer.from(key), format: "der", type: "pkcs8" });
const authority = createRootAuthority("Test CA", 20, clock);

describe("authorities and server certificates", () => {
  it("makes a CA that is valid from yesterday on, for 20 years", () => {
    const facts = parseCertificate(authority.certificate);
    expect(facts).toMatchObject({
      subjectText: "O=Gangway, CN=Test CA",
      isCa: true,
      pathLength: 0,
      selfSigned: true,
    });
    expect(facts.notBefore.getTime()).toBe(clock.now() - DAY);
    expect(facts.notAfter.toISOString()).toBe("2046-11-21T12:00:00.000Z");
    expect(new X509Certificate(authority.certificate).checkPrivateKey(pkcs8(authority.privateKey))).toBe(
      true,
    );
  });

  it("names every host by which a server may be reached, once", () => {
    const made = createServerCertificate(
      authority,
      { hosts: ["gateway.example", "192.0.2.7", "2001:DB8::7", "localhost", "not a host"], days: 90 },
      clock,
    );
    const read = new X509Certificate(made.certificate);
    const names = read.subjectAltName?.split(", ") ?? [];
    for (const name of ["DNS:gateway.example", "IP Address:192.0.2.7", "IP Address:2001:DB8:0:0:0:0:0:7"])
      expect(names).toContain(name);
    expect(names.filter((name) => name === "DNS:localhost")).toHaveLength(1);
    for (const host of ["127.0.0.1", "::1", "2001:db8::7"]) expect(read.checkIP(host)).toBe(host);
    expect(read.checkHost("gateway.example")).toBe("gateway.example");
    expect(names.some((name) => name.toLowerCase() === `dns:${hostname().toLowerCase()}`)).toBe(true);
    expect(read.subject).toBe("O=Gangway\nCN=gateway.example");
    expect(read.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    expect(read.checkPrivateKey(pkcs8(made.privateKey))).toBe(true);
    expect(made.notAfter.getTime()).toBe(clock.now() + 90 * DAY);
    expect(parseCertificate(made.certificate).isCa).toBe(false);
    expect(made.certificate.length).toBeLessThan(1024);
  });

  it("takes every IPv6 address", () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const made = createServerCertificate(authority, { hosts: [address], days: 1 }, clock);
        return new X509Certificate(made.certificate).checkIP(address) !== undefined;
      }),
      { numRuns: 50 },
    );
  });

  it("does not outlive its CA", () => {
    const short = createRootAuthority("Short", 1, clock);
    const made = createServerCertificate(short, { hosts: ["a.example"], days: 10_000 }, clock);
    expect(made.notAfter).toEqual(parseCertificate(short.certificate).notAfter);
  });
});

describe("createDeveloperCertificate", () => {
  it("follows Pelion's profile", () => {
    const endpointName = "e".repeat(32);
    const made = createDeveloperCertificate({ accountId, endpointName }, clock);
    const read = new X509Certificate(made.certificate);
    expect(read.subject.split("\n").map((part) => part.split("=")[0])).toEqual([
      "C",
      "ST",
      "L",
      "O",
      "OU",
      "CN",
    ]);
    expect(read.issuer).toBe(read.subject);
    expect(read.verify(read.publicKey)).toBe(true);
    expect(read.serialNumber).toHaveLength(32);
    expect(parseCertificate(made.certificate)).toMatchObject({
      subject: { ou: accountId, cn: endpointName },
      isCa: true,
      pathLength: 0,
      selfSigned: true,
    });
    // OID 1.3.6.1.4.1.4128.201 with INTEGER 0x400091, not critical.
    expect(Buffer.from(made.certificate).toString("hex")).toContain("06092b06010401a020814904050203400091");
    expect(made.certificate.length).toBeLessThan(1024);
    const { notBefore, notAfter } = parseCertificate(made.certificate);
    expect(notAfter.getUTCFullYear() - notBefore.getUTCFullYear()).toBe(10);
  });
});

describe("DeviceCertificateIssuer", () => {
  const issuer = new DeviceCertificateIssuer(authority, clock);
  const notAfter = new Date(clock.now() + 365 * DAY);

  it("issues what a device registers with", () => {
    const made = issuer.issue({ deviceId, accountId, endpointName: "größe 1", notAfter });
    const read = new X509Certificate(made.certificate);
    expect(read.subject.normalize()).toBe(`L=${deviceId}\nOU=${accountId}\nCN=größe 1`);
    expect(read.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    expect(read.checkIssued(new X509Certificate(authority.certificate))).toBe(true);
    expect(read.checkPrivateKey(pkcs8(made.privateKey as Uint8Array))).toBe(true);
    expect(read.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
    expect(made.fingerprint).toBe(fingerprint(made.certificate));
    expect(made.fingerprint).toBe(read.fingerprint256.replaceAll(":", "").toLowerCase());
    expect(made.notAfter).toEqual(notAfter);
    expect(made.certificate.length).toBeLessThan(1024);
  });

  it("issues to a name of 32 characters what fits one message of an enrolment", () => {
    const named = new DeviceCertificateIssuer(createRootAuthority("Gangway Device CA", 20, clock), clock);
    const made = Array.from({ length: 50 }, () =>
      named.issue({ deviceId, accountId, endpointName: "e".repeat(32), notAfter }),
    );
    for (const { certificate } of made)
      expect(enrolmentAnswer([certificate]).payload?.length).toBeLessThanOrEqual(512);
  });

  it("issues for a key that the device made", () => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const spki = publicKey.export({ format: "der", type: "spki" });
    const made = issuer.issue({ deviceId, accountId, endpointName: "e", notAfter, publicKey: spki });
    expect(made.privateKey).toBeNull();
    expect(Buffer.from(parseCertificate(made.certificate).publicKey)).toEqual(spki);
    const other = generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey.export({
      format: "der",
      type: "spki",
    });
    expect(() =>
      issuer.issue({ deviceId, accountId, endpointName: "e", notAfter, publicKey: other }),
    ).toThrow("P-256");
  });

  it("keeps the name of any endpoint, and refuses what a device could not hold", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 60, unit: "grapheme" }), (endpointName) => {
        const { certificate } = issuer.issue({ deviceId, accountId, endpointName, notAfter });
        const { subject } = parseCertificate(certificate);
        expect(subject).toMatchObject({ l: deviceId, ou: accountId, cn: endpointName });
      }),
    );
    expect(() => issuer.issue({ deviceId, accountId, endpointName: "x".repeat(600), notAfter })).toThrow(
      "too long",
    );
  });

  it("never gives two certificates one serial number or one key", () => {
    const made = Array.from({ length: 50 }, () =>
      issuer.issue({ deviceId, accountId, endpointName: "e", notAfter }),
    );
    expect(new Set(made.map(({ certificate }) => parseCertificate(certificate).serial)).size).toBe(50);
    const keys = made.map(
      ({ privateKey }) => createPublicKey(pkcs8(privateKey as Uint8Array)).export({ format: "jwk" }).x,
    );
    expect(new Set(keys).size).toBe(50);
  });

  it("writes keys as OpenSSL does, those that begin with zeros too", () => {
    for (let zeros = 0; zeros < 2; ) {
      const made = issuer.issue({ deviceId, accountId, endpointName: "e", notAfter });
      const der = Buffer.from(made.privateKey as Uint8Array);
      // Where the secret begins.
      if (der[36] !== 0) continue;
      zeros += 1;
      const key = pkcs8(der);
      expect(key.export({ format: "der", type: "pkcs8" })).toEqual(der);
      expect(new X509Certificate(made.certificate).checkPrivateKey(key)).toBe(true);
    }
  });

  it("writes years beyond 2049 as they must be written", () => {
    const long = new DeviceCertificateIssuer(createRootAuthority("Long", 100, clock), clock);
    const made = long.issue({
      deviceId,
      accountId,
      endpointName: "e",
      notAfter: new Date("2051-02-03T04:05:06Z"),
    });
    expect(parseCertificate(made.certificate).notAfter.toISOString()).toBe("2051-02-03T04:05:06.000Z");
    expect(new X509Certificate(made.certificate).validTo).toBe("Feb  3 04:05:06 2051 GMT");
  });
});
