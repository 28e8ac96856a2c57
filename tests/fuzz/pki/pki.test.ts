import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BundleError,
  createDeveloperCertificate,
  createRootAuthority,
  createServerCertificate,
  DerError,
  DeviceCertificateIssuer,
  developerBundle,
  fingerprint,
  parseCertificate,
  readBundle,
  verifyChain,
} from "@/server/pki";
import * as der from "@/server/pki/der";

const ca = createRootAuthority("CA");
const samples = [
  ca.certificate,
  createServerCertificate(ca, { hosts: ["a.example"], days: 1 }).certificate,
  createDeveloperCertificate({ accountId: "a", endpointName: "b" }).certificate,
  new DeviceCertificateIssuer(ca).issue({
    deviceId: "d",
    accountId: "a",
    endpointName: "e",
    notAfter: new Date(Date.now() + 1e9),
  }).certificate,
].map((bytes) => Buffer.from(bytes));

/** A certificate with some bytes changed, cut out or put in. */
const damaged = fc
  .record({
    sample: fc.constantFrom(...samples),
    edits: fc.array(
      fc.record({ at: fc.nat(1000), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) }),
      { minLength: 1, maxLength: 4 },
    ),
  })
  .map(({ sample, edits }) =>
    edits.reduce((bytes, { at, remove, insert }) => {
      const start = at % bytes.length;
      return Buffer.concat([bytes.subarray(0, start), insert, bytes.subarray(start + remove)]);
    }, sample),
  );

describe("the DER reader", () => {
  it("throws nothing but DerError", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), damaged), (bytes) => {
        try {
          parseCertificate(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(DerError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("agrees with OpenSSL on every certificate that both can read", () => {
    fc.assert(
      fc.property(damaged, (bytes) => {
        let theirs: X509Certificate;
        let ours: ReturnType<typeof parseCertificate>;
        try {
          theirs = new X509Certificate(bytes);
          ours = parseCertificate(bytes);
        } catch {
          return;
        }
        // OpenSSL calls a CA with any broken extension none.
        if (theirs.ca) expect(ours.isCa).toBe(true);
        expect(ours.fingerprint).toBe(theirs.fingerprint256.replaceAll(":", "").toLowerCase());
        expect(ours.notAfter).toEqual(new Date(theirs.validTo));
        expect(ours.notBefore).toEqual(new Date(theirs.validFrom));
      }),
      { numRuns: 2000 },
    );
  });

  it("reads back what it wrote", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70_000 }), (bytes) => {
        const node = der.readElement(der.octetString(bytes));
        expect(node.content.equals(bytes)).toBe(true);
      }),
      { numRuns: 50 },
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 }), fc.nat(39), fc.array(fc.nat()), (first, second, rest) => {
        const text = [first, second, ...rest].join(".");
        return der.readOid(der.readElement(der.oid(text))) === text;
      }),
    );
    fc.assert(
      fc.property(
        fc.date({ min: new Date("1950-01-01"), max: new Date("9999-12-31"), noInvalidDate: true }),
        (date) => {
          const seconds = Math.floor(date.getTime() / 1000) * 1000;
          const node = der.readElement(der.time(new Date(seconds)));
          return der.readTime(node, "time").getTime() === seconds;
        },
      ),
    );
  });
});

describe("verifyChain", () => {
  it("answers any bytes with a verdict, and accepts no certificate that was changed", () => {
    const anchors = [{ certificate: ca.certificate, fingerprint: fingerprint(ca.certificate) }];
    const originals = new Set(samples.map(fingerprint));
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.uint8Array(), damaged), { maxLength: 3 }), (chain) => {
        const verdict = verifyChain(chain, anchors, new Date());
        if (verdict.ok) expect(originals.has(fingerprint(chain[0] as Uint8Array))).toBe(true);
        else expect(verdict.message).toMatch(/\.$/);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("the bundle reader", () => {
  const zip = Buffer.from(
    developerBundle({
      ...createDeveloperCertificate({ accountId: "a", endpointName: "b" }),
      accountId: "a",
      endpointName: "b",
      bootstrapUri: { udp: "coaps://a:1", tcp: "coaps+tcp://a:1" },
      serverCa: ca.certificate,
    }),
  );

  it("throws nothing but BundleError", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 500 }),
          fc
            .array(fc.tuple(fc.nat(zip.length - 1), fc.nat(255)), { minLength: 1, maxLength: 10 })
            .map((edits) => {
              const copy = Buffer.from(zip);
              for (const [at, value] of edits) copy[at] = value;
              return copy;
            }),
          fc.nat(zip.length).map((length) => zip.subarray(0, length)),
        ),
        (bytes) => {
          try {
            readBundle(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(BundleError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
