import { createPrivateKey } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Anchor,
  createDeveloperCertificate,
  createRootAuthority,
  createServerCertificate,
  DeviceCertificateIssuer,
  fingerprint,
  parseCertificate,
  toPem,
  verifyChain,
} from "@/server/pki";
import { has, OpensslFolder } from "@/tests/support/pki";

const DAY = 24 * 60 * 60 * 1000;

describe.skipIf(!has("openssl"))("certificates that we make, read by openssl", () => {
  const folder = new OpensslFolder();
  const authority = createRootAuthority("Interop CA");
  afterAll(() => folder.remove());
  beforeAll(() => {
    folder.write("ca.pem", toPem(authority.certificate, "CERTIFICATE"));
  });

  it("verifies server and device certificates strictly", () => {
    const server = createServerCertificate(authority, { hosts: ["gateway.example"], days: 30 });
    const device = new DeviceCertificateIssuer(authority).issue({
      deviceId: "d".repeat(32),
      accountId: "a".repeat(32),
      endpointName: "device 1",
      notAfter: new Date(Date.now() + DAY),
    });
    folder.write("server.pem", toPem(server.certificate, "CERTIFICATE"));
    folder.write("device.pem", toPem(device.certificate, "CERTIFICATE"));
    folder.write("device.key", toPem(device.privateKey as Uint8Array, "PRIVATE KEY"));
    const verify = (...args: string[]) => folder.run("verify", "-x509_strict", "-CAfile", "ca.pem", ...args);
    expect(verify("-purpose", "sslserver", "-verify_hostname", "gateway.example", "server.pem")).toContain(
      "OK",
    );
    expect(verify("-purpose", "sslserver", "-verify_ip", "127.0.0.1", "server.pem")).toContain("OK");
    expect(verify("-purpose", "sslclient", "device.pem")).toContain("OK");
    const text = folder.run("x509", "-in", "device.pem", "-noout", "-text", "-nameopt", "RFC2253");
    expect(text).toContain(`Subject: CN=device 1,OU=${"a".repeat(32)},L=${"d".repeat(32)}`);
    expect(text).toMatch(/Extended Key Usage: \s+TLS Web Client Authentication\n/);
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    const publicKey = folder.run("x509", "-in", "device.pem", "-noout", "-pubkey");
    expect(folder.run("pkey", "-in", "device.key", "-pubout")).toBe(publicKey);
  });

  it("shows a developer certificate as Pelion's are", () => {
    const made = createDeveloperCertificate({ accountId: "a".repeat(32), endpointName: "e".repeat(32) });
    folder.write("dev.pem", toPem(made.certificate, "CERTIFICATE"));
    folder.write("dev.der", made.certificate);
    expect(folder.run("verify", "-CAfile", "dev.pem", "dev.pem")).toContain("OK");
    const text = folder.run("x509", "-in", "dev.pem", "-noout", "-text");
    expect(text).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(text).toMatch(/1\.3\.6\.1\.4\.1\.4128\.201: ?\n/);
    expect(folder.run("asn1parse", "-inform", "DER", "-in", "dev.der")).toContain("[HEX DUMP]:0203400091");
  });
});

describe.skipIf(!has("openssl"))("certificates that openssl makes, checked by us", () => {
  const folder = new OpensslFolder();
  afterAll(() => folder.remove());
  const CA = ["basicConstraints = critical,CA:TRUE", "keyUsage = critical,keyCertSign,cRLSign"];
  const now = new Date(Date.now() + 60_000);
  const certificates: Record<string, Buffer> = {};
  const anchor = (name: string): Anchor => ({
    certificate: certificates[name] as Buffer,
    fingerprint: fingerprint(certificates[name] as Buffer),
    name,
  });
  const chain = (...names: string[]) => names.map((name) => certificates[name] as Buffer);
  const make = (name: string, options: Parameters<OpensslFolder["certificate"]>[1]) => {
    certificates[name] = folder.certificate(name, options);
  };

  beforeAll(() => {
    make("root", { subject: "/C=SE/O=Müller & Co., Ltd/CN=Root", extensions: CA, days: 3 });
    make("middle", { subject: "/O=Müller/CN=Middle", issuer: "root", extensions: CA });
    make("leaf", { subject: "/O=x/CN=leaf", issuer: "middle", extensions: ["basicConstraints = CA:FALSE"] });
    make("rsa", { subject: "/CN=RSA root", extensions: CA, key: ["rsa:2048"] });
    make("rsa-leaf", { subject: "/CN=under-rsa", issuer: "rsa", digest: "sha512" });
    make("sha1-leaf", { subject: "/CN=old", issuer: "root", digest: "sha1" });
    make("server-leaf", {
      subject: "/CN=server",
      issuer: "root",
      extensions: ["extendedKeyUsage = serverAuth"],
    });
    make("client-leaf", {
      subject: "/CN=client",
      issuer: "root",
      extensions: ["extendedKeyUsage = clientAuth"],
    });
    make("critical-leaf", {
      subject: "/CN=odd",
      issuer: "root",
      extensions: ["1.2.3.4 = critical,DER:0500"],
    });
    make("narrow", { subject: "/CN=Narrow", extensions: ["basicConstraints = critical,CA:TRUE,pathlen:0"] });
    make("too-deep", { subject: "/CN=Too deep", issuer: "narrow", extensions: CA });
    make("deep-leaf", { subject: "/CN=deep", issuer: "too-deep" });
  }, 60_000);

  it("reads what openssl prints", () => {
    const facts = parseCertificate(certificates.root as Buffer);
    expect(facts).toMatchObject({
      subject: { c: "SE", o: "Müller & Co., Ltd", cn: "Root" },
      subjectText: "C=SE, O=Müller & Co.\\, Ltd, CN=Root",
      isCa: true,
      selfSigned: true,
      fingerprint: folder
        .run("x509", "-in", "root.pem", "-noout", "-fingerprint", "-sha256")
        .replace(/^.*=|[:\s]/g, "")
        .toLowerCase(),
    });
    expect(facts.serial.toUpperCase().replace(/^0+/, "")).toBe(
      folder
        .run("x509", "-in", "root.pem", "-noout", "-serial")
        .trim()
        .replace(/^serial=0*/, ""),
    );
    expect(parseCertificate(certificates.leaf as Buffer)).toMatchObject({ isCa: false, selfSigned: false });
  });

  it("follows intermediates in any order, and names the one that is missing", () => {
    for (const given of [
      chain("leaf", "middle"),
      chain("leaf", "root", "middle"),
      chain("leaf", "rsa", "middle", "root"),
    ])
      expect(verifyChain(given, [anchor("root")], now)).toMatchObject({ ok: true, anchor: { name: "root" } });
    expect(verifyChain(chain("leaf"), [anchor("root")], now)).toMatchObject({
      fault: "unknown_ca",
      message: "The certificate “O=x, CN=leaf” was issued by “O=Müller, CN=Middle”, which no account trusts.",
    });
    expect(verifyChain(chain("leaf", "middle"), [anchor("rsa")], now)).toMatchObject({
      fault: "unknown_ca",
      message: expect.stringContaining("(by way of “O=Müller, CN=Middle”) was issued by"),
    });
    expect(verifyChain(chain("leaf"), [anchor("middle")], now)).toMatchObject({ ok: true });
  });

  it("leaves a device to whoever trusted a CA above it first, and of theirs to the lowest", () => {
    const of = (owner: string | null, ...names: string[]) =>
      names.map((name) => ({ ...anchor(name), name: `${name} of ${owner}`, owner }));
    const verdict = (anchors: Anchor[], ...names: string[]) => {
      const found = verifyChain(chain(...names), anchors, now);
      return found.ok && found.anchor.name;
    };
    const both = ["leaf", "middle"];
    expect(verdict([...of("a", "root"), ...of("b", "middle")], ...both)).toBe("root of a");
    expect(verdict([...of("b", "middle"), ...of("a", "root")], ...both)).toBe("middle of b");
    expect(verdict([...of("a", "root"), ...of("b", "middle")], "leaf")).toBe("middle of b");
    expect(verdict([...of("a", "root", "middle"), ...of("b", "rsa")], ...both)).toBe("middle of a");
    expect(verdict([...of(null, "root", "middle")], ...both, "rsa")).toBe("root of null");
  });

  it("accepts RSA and longer digests", () => {
    expect(verifyChain(chain("rsa-leaf"), [anchor("rsa")], now)).toMatchObject({ ok: true });
  });

  it.each([
    ["sha1-leaf", ["root"], "signed with an algorithm that is not accepted"],
    ["server-leaf", ["root"], "not meant for clients"],
    ["critical-leaf", ["root"], "critical extension that is not known here (1.2.3.4)"],
  ])("refuses %s", (leaf, anchors, words) => {
    expect(verifyChain(chain(leaf), anchors.map(anchor), now)).toMatchObject({
      fault: "bad_certificate",
      message: expect.stringContaining(words),
    });
  });

  it("takes a certificate for clients", () => {
    expect(verifyChain(chain("client-leaf"), [anchor("root")], now)).toMatchObject({ ok: true });
  });

  it("holds to the limit on the number of CAs", () => {
    expect(verifyChain(chain("deep-leaf", "too-deep"), [anchor("narrow")], now)).toMatchObject({
      fault: "bad_certificate",
      message: expect.stringContaining("allows 0 CAs below it, not 1"),
    });
  });

  it("names an expired CA above a certificate that is valid", () => {
    const later = new Date(now.getTime() + 5 * DAY);
    expect(verifyChain(chain("leaf", "middle"), [anchor("root")], later)).toMatchObject({
      fault: "certificate_expired",
      message: expect.stringMatching(
        /^The CA certificate “C=SE, .*CN=Root”, which the device's rests on, expired on/,
      ),
    });
  });

  it("issues from an authority that openssl made", () => {
    const key = createPrivateKey(folder.read("root.key")).export({ format: "der", type: "pkcs8" });
    const issuer = new DeviceCertificateIssuer({ certificate: certificates.root as Buffer, privateKey: key });
    const made = issuer.issue({
      deviceId: "d",
      accountId: "a",
      endpointName: "e",
      notAfter: new Date(Date.now() + DAY),
    });
    folder.write("made.pem", toPem(made.certificate, "CERTIFICATE"));
    expect(folder.run("verify", "-CAfile", "root.pem", "made.pem")).toContain("OK");
    expect(verifyChain([made.certificate], [anchor("root")], now)).toMatchObject({ ok: true });
  });
});
