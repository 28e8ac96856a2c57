import { describe, expect, it } from "vitest";
import {
  type Anchor,
  createDeveloperCertificate,
  createRootAuthority,
  DeviceCertificateIssuer,
  fingerprint,
  verifyChain,
} from "@/server/pki";
import { FakeClock } from "@/tests/support/fake-clock";

const now = Date.UTC(2026, 10, 22, 12);
const clock = new FakeClock(now);
const at = new Date(now);
const DAY = 24 * 60 * 60 * 1000;
const names = { deviceId: "d".repeat(32), accountId: "a".repeat(32), endpointName: "device-1" };

const ca = createRootAuthority("Factory", 5, clock);
const otherCa = createRootAuthority("Other", 5, clock);
const impostor = createRootAuthority("Factory", 5, clock);
const developer = createDeveloperCertificate({ accountId: names.accountId, endpointName: "dev" }, clock);
const anchor = (certificate: Uint8Array, more: Partial<Anchor> = {}): Anchor => ({
  certificate,
  fingerprint: fingerprint(certificate),
  ...more,
});
const issue = (by: typeof ca, notAfter = new Date(now + 30 * DAY), notBefore?: Date) =>
  new DeviceCertificateIssuer(by, clock).issue({ ...names, notAfter, notBefore }).certificate;
const anchors = [
  anchor(ca.certificate, { name: "factory" }),
  anchor(developer.certificate, { developer: true }),
];

describe("verifyChain", () => {
  it("accepts a certificate of a trusted CA, with or without the CA in the chain", () => {
    const leaf = issue(ca);
    for (const chain of [[leaf], [leaf, ca.certificate], [leaf, otherCa.certificate, ca.certificate]])
      expect(verifyChain(chain, [...anchors], at)).toMatchObject({ ok: true, anchor: { name: "factory" } });
    expect(verifyChain([leaf], anchors, at)).toMatchObject({
      ok: true,
      leaf: { subject: { cn: "device-1" } },
    });
  });

  it("accepts a developer certificate as it is, and nothing that its key signed", () => {
    expect(verifyChain([developer.certificate], anchors, at)).toMatchObject({
      ok: true,
      anchor: { developer: true },
    });
    expect(verifyChain([issue(developer), developer.certificate], anchors, at)).toMatchObject({
      ok: false,
      fault: "unknown_ca",
    });
  });

  it("names the CA that is missing", () => {
    expect(verifyChain([issue(otherCa)], anchors, at)).toEqual({
      ok: false,
      fault: "unknown_ca",
      message: `The certificate “L=${names.deviceId}, OU=${names.accountId}, CN=device-1” was issued by “O=Gangway, CN=Other”, which no account trusts.`,
    });
    expect(verifyChain([issue(otherCa), otherCa.certificate], anchors, at)).toMatchObject({
      fault: "unknown_ca",
      message: expect.stringMatching(
        /rests on “O=Gangway, CN=Other”, which no account trusts \(SHA-256 [0-9a-f]{64}\)/,
      ),
    });
    const stranger = createDeveloperCertificate({ accountId: names.accountId, endpointName: "x" }, clock);
    expect(verifyChain([stranger.certificate], anchors, at)).toMatchObject({
      fault: "unknown_ca",
      message: expect.stringContaining("is self-signed and not among the trusted certificates"),
    });
  });

  it("does not take a CA's name for the CA", () => {
    expect(verifyChain([issue(impostor)], anchors, at)).toMatchObject({
      fault: "unknown_ca",
      message: expect.stringContaining("was not signed by the trusted certificate of that name"),
    });
    const changed = Buffer.from(issue(ca));
    changed[changed.length - 1] = (changed[changed.length - 1] as number) ^ 1;
    expect(verifyChain([changed], anchors, at)).toMatchObject({ ok: false, fault: "unknown_ca" });
  });

  it("chooses among CAs of one name by their key", () => {
    const both = [
      anchor(impostor.certificate, { name: "impostor" }),
      anchor(ca.certificate, { name: "factory" }),
    ];
    expect(verifyChain([issue(ca)], both, at)).toMatchObject({ ok: true, anchor: { name: "factory" } });
  });

  it("checks the dates every time, also of a chain that it knows", () => {
    const leaf = issue(ca, new Date(now + 10 * DAY), new Date(now - DAY));
    expect(verifyChain([leaf], anchors, at).ok).toBe(true);
    expect(verifyChain([leaf], anchors, new Date(now + 11 * DAY))).toMatchObject({
      fault: "certificate_expired",
      message: expect.stringContaining("CN=device-1” expired on 2026-12-02 12:00 UTC."),
    });
    expect(verifyChain([leaf], anchors, new Date(now - 2 * DAY))).toMatchObject({
      fault: "certificate_not_yet_valid",
      message: expect.stringContaining(
        "not valid before 2026-11-21 12:00 UTC; it is 2026-11-20 12:00 UTC now.",
      ),
    });
    expect(verifyChain([leaf], anchors, at).ok).toBe(true);
  });

  it("does not take a CA's certificate for a device's", () => {
    expect(verifyChain([ca.certificate], anchors, at)).toMatchObject({
      fault: "bad_certificate",
      message: expect.stringContaining("not meant for signatures (key usage)"),
    });
  });

  it("refuses what rests on a certificate that was switched off", () => {
    const off = [anchor(ca.certificate, { status: "INACTIVE", name: "factory 2" })];
    expect(verifyChain([issue(ca)], off, at)).toEqual({
      ok: false,
      fault: "access_denied",
      message: "The trusted certificate “factory 2” is switched off.",
    });
  });

  it("forgets what it knew when the anchors are others", () => {
    const leaf = issue(ca);
    expect(verifyChain([leaf], anchors, at).ok).toBe(true);
    expect(verifyChain([leaf], [anchor(otherCa.certificate)], at)).toMatchObject({
      ok: false,
      fault: "unknown_ca",
    });
  });

  it("answers anything at all with a verdict", () => {
    expect(verifyChain([], anchors, at)).toMatchObject({
      fault: "bad_certificate",
      message: "The device presented no certificate.",
    });
    expect(verifyChain([Buffer.from("hello")], anchors, at)).toMatchObject({ fault: "bad_certificate" });
    const leaf = issue(otherCa);
    expect(verifyChain(Array(9).fill(leaf), anchors, at)).toMatchObject({ fault: "bad_certificate" });
    // An issuer that is no CA: a device's certificate cannot make others.
    const device = new DeviceCertificateIssuer(ca, clock).issue({ ...names, notAfter: new Date(now + DAY) });
    const forged = issue({ certificate: device.certificate, privateKey: device.privateKey as Uint8Array });
    expect(verifyChain([forged, device.certificate], anchors, at)).toMatchObject({
      fault: "bad_certificate",
      message: expect.stringContaining("may not issue certificates"),
    });
  });
});
