import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError, loadConfig, parseHost, uriHost } from "@/server/config";
import { defaultBindHost, defaultPublicHost } from "@/server/config/host";

describe("loadConfig", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "gangway-config-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const load = (env: Record<string, string> = {}) => loadConfig({ GANGWAY_DATA: folder, ...env });

  it("has defaults for everything", () => {
    expect(load()).toMatchObject({
      dataDir: folder,
      databaseUrl: `file:${join(folder, "gangway.db")}`,
      secret: null,
      portalPort: 3000,
      httpsPort: 3443,
      tls: null,
      bootstrapPort: 5784,
      lwm2mPort: 5684,
      coapBootstrapPort: 5783,
      coapLwm2mPort: 5683,
      insecureCoap: false,
      admin: null,
      trustProxy: false,
      callbackAllow: [],
      logLevel: "info",
    });
  });

  it("takes host names, addresses and networks that callbacks may go to", () => {
    const { callbackAllow } = load({
      GANGWAY_CALLBACK_ALLOW: " Hooks.Internal, 10.1.0.0/16,[::1] ,fd00::/8,",
    });
    expect(callbackAllow).toEqual(["hooks.internal", "10.1.0.0/16", "::1", "fd00::/8"]);
  });

  it("takes port 0 and an empty variable as not set", () => {
    const config = load({
      PORT: "0",
      GANGWAY_LWM2M_PORT: "0",
      GANGWAY_BOOTSTRAP_PORT: "",
      GANGWAY_INSECURE_COAP: "1",
    });
    expect(config).toMatchObject({ portalPort: 0, lwm2mPort: 0, bootstrapPort: 5784, insecureCoap: true });
  });

  it.each([
    ["PORT", "abc", 'PORT must be a port number from 0 to 65535, but is "abc".'],
    ["GANGWAY_LWM2M_PORT", "65536", "GANGWAY_LWM2M_PORT must be a port number"],
    ["GANGWAY_LWM2M_PORT", "-1", "GANGWAY_LWM2M_PORT must be a port number"],
    ["GANGWAY_PUBLIC_HOST", "https://example.com", "without scheme and port"],
    ["GANGWAY_PUBLIC_HOST", "example.com:5684", "without scheme and port"],
    ["GANGWAY_PUBLIC_HOST", "1.2.3", "must be a host name"],
    ["GANGWAY_INSECURE_COAP", "maybe", "must be 1 or 0"],
    ["GANGWAY_LOG_LEVEL", "loud", "must be one of silent"],
    ["GANGWAY_CALLBACK_ALLOW", "10.0.0.0/33", "must be host names, addresses and networks"],
    ["GANGWAY_CALLBACK_ALLOW", "https://example.com", "must be host names, addresses and networks"],
    ["GANGWAY_CALLBACK_ALLOW", "example.com/8", "must be host names, addresses and networks"],
    ["GANGWAY_SECRET", "short", "must have at least 16 characters."],
    ["GANGWAY_TLS_CERT", "/nowhere", "GANGWAY_TLS_KEY is missing"],
    ["GANGWAY_ADMIN_EMAIL", "a@example.com", "GANGWAY_ADMIN_PASSWORD is missing"],
    ["GANGWAY_ADMIN_PASSWORD", "x", "GANGWAY_ADMIN_EMAIL is missing"],
    ["DATABASE_URL", "postgresql://user:pass@host/db", "not supported by this build yet"],
    ["DATABASE_URL", "mysql://user:pass@host/db", "must be file:"],
  ])("refuses %s=%s in words", (name, value, words) => {
    let error: unknown;
    try {
      load({ [name]: value });
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message).toContain(words);
    expect((error as ConfigError).message).toContain((error as ConfigError).variable);
    expect((error as ConfigError).message).not.toContain("user:pass");
  });

  it("takes pairs", () => {
    const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    writeFileSync(certFile, "");
    writeFileSync(keyFile, "");
    const config = load({
      GANGWAY_TLS_CERT: certFile,
      GANGWAY_TLS_KEY: keyFile,
      GANGWAY_ADMIN_EMAIL: "a@example.com",
      GANGWAY_ADMIN_PASSWORD: " with spaces ",
    });
    expect(config.tls).toEqual({ certFile, keyFile });
    expect(config.admin).toEqual({ email: "a@example.com", password: " with spaces " });
  });

  it("makes the data folder for its owner only", () => {
    const { dataDir } = load({ GANGWAY_DATA: join(folder, "deep", "data") });
    expect(existsSync(dataDir)).toBe(true);
    if (process.platform !== "win32") expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  });

  it("says when the data folder cannot be made", () => {
    writeFileSync(join(folder, "file"), "");
    expect(() => load({ GANGWAY_DATA: join(folder, "file") })).toThrow("GANGWAY_DATA must be a folder");
  });

  it("knows which hosts only this machine can reach", () => {
    for (const host of ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "LOCALHOST"])
      expect(load({ GANGWAY_PUBLIC_HOST: host }).publicHostIsLocal).toBe(true);
    for (const host of ["gateway.example", "192.0.2.1", "2001:db8::1"])
      expect(load({ GANGWAY_PUBLIC_HOST: host }).publicHostIsLocal).toBe(false);
  });

  it("takes the database elsewhere", () => {
    expect(load({ DATABASE_URL: `file:${folder}/x.db` }).databaseUrl).toBe(`file:${folder}/x.db`);
    expect(load({ DATABASE_URL: `file://${folder}/x.db?a=b` }).databaseUrl).toBe(`file:${folder}/x.db`);
  });
});

describe("hosts", () => {
  const entry = (address: string, family: "IPv4" | "IPv6", internal = false) =>
    ({ address, family, internal, netmask: "", mac: "", cidr: null, scopeid: 0 }) as never;

  it("tells devices the first address of the network, bridges last", () => {
    const lo = [entry("127.0.0.1", "IPv4", true), entry("::1", "IPv6", true)];
    expect(defaultPublicHost({ lo })).toBe("localhost");
    expect(
      defaultPublicHost({ lo, docker0: [entry("172.17.0.1", "IPv4")], eth0: [entry("192.0.2.7", "IPv4")] }),
    ).toBe("192.0.2.7");
    expect(defaultPublicHost({ lo, eth0: [entry("169.254.3.4", "IPv4"), entry("fe80::1", "IPv6")] })).toBe(
      "localhost",
    );
  });

  it("listens on both families where there are both", () => {
    expect(defaultBindHost({ lo: [entry("127.0.0.1", "IPv4", true)] })).toBe("0.0.0.0");
    expect(defaultBindHost({ lo: [entry("::1", "IPv6", true)] })).toBe("::");
  });

  it("writes IPv6 in brackets where a URI is made", () => {
    expect(uriHost("2001:db8::1")).toBe("[2001:db8::1]");
    expect(uriHost("gw.example.com")).toBe("gw.example.com");
  });

  it("takes as host only what fits into a URI", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const host = parseHost(text);
        if (host === null || host.includes(":")) return;
        expect(host).toMatch(/^[a-z0-9_.-]+$/);
      }),
    );
    fc.assert(fc.property(fc.ipV4(), (ip) => parseHost(ip) === ip));
    fc.assert(fc.property(fc.domain(), (name) => parseHost(name) === name.toLowerCase()));
  });
});
