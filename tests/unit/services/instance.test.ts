import { X509Certificate } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { authorityRoles, getServerCa, loadAuthority } from "@/server/services/instance/authorities";
import { ensureInstance } from "@/server/services/instance/ensure";
import { deviceUris, serviceUris } from "@/server/services/instance/uris";
import { type Bench, failure, openBench } from "./support";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(() => bench.close());

const DAY = 86_400_000;
const load = async (role: (typeof authorityRoles)[number]) =>
  new X509Certificate((await loadAuthority(bench.system, role)).certificate);

describe("the instance's own certificates", () => {
  it("are made once, their keys sealed", async () => {
    await ensureInstance(bench.system, { publicHost: "gw.example.com" });
    const before = await bench.db.authority.findMany({ omit: { privateKey: false } });
    expect(before.map(({ role }) => role).sort()).toEqual([...authorityRoles].sort());
    for (const row of before)
      expect(Buffer.from(row.privateKey).toString("latin1")).toContain(`authority:${row.role}`);
    await ensureInstance(bench.system, { publicHost: "gw.example.com" });
    expect(await bench.db.authority.findMany({ omit: { privateKey: false } })).toEqual(before);
    const ca = await load("server-ca");
    for (const role of ["bootstrap-server", "lwm2m-server", "portal"] as const) {
      const server = await load(role);
      expect(server.verify(ca.publicKey)).toBe(true);
      expect(server.checkHost("gw.example.com")).toBe("gw.example.com");
      expect(server.checkHost("localhost")).toBe("localhost");
    }
    expect((await load("device-ca")).verify(ca.publicKey)).toBe(false);
    expect(JSON.stringify(await bench.db.authority.findMany())).not.toContain("privateKey");
  });

  it("are the same for two processes that start at once", async () => {
    await Promise.all([0, 1, 2].map(() => ensureInstance(bench.system, { publicHost: "gw.example.com" })));
    expect(await bench.db.authority.count()).toBe(5);
    const ca = await load("server-ca");
    for (const role of ["bootstrap-server", "lwm2m-server", "portal"] as const)
      expect((await load(role)).verify(ca.publicKey)).toBe(true);
  });

  it("are renewed before they run out, by the same CA", async () => {
    await ensureInstance(bench.system, { publicHost: "gw.example.com" });
    const [ca, server] = [await load("server-ca"), await load("portal")];
    await bench.clock.advance(366 * DAY);
    await ensureInstance(bench.system, { publicHost: "gw.example.com" });
    expect((await load("portal")).serialNumber).toBe(server.serialNumber);
    await bench.clock.advance(2 * DAY);
    await ensureInstance(bench.system, { publicHost: "gw.example.com", renew: false });
    expect((await load("portal")).serialNumber).toBe(server.serialNumber);
    await ensureInstance(bench.system, { publicHost: "gw.example.com" });
    const renewed = await load("portal");
    expect(renewed.serialNumber).not.toBe(server.serialNumber);
    expect(renewed.verify(ca.publicKey)).toBe(true);
    expect((await load("server-ca")).serialNumber).toBe(ca.serialNumber);
  });

  it("follow a new name, but not that of somebody who only asks", async () => {
    await ensureInstance(bench.system, { publicHost: "old.example.com" });
    await ensureInstance(bench.system, { publicHost: "laptop", renew: false });
    expect((await load("portal")).checkHost("old.example.com")).toBe("old.example.com");
    await ensureInstance(bench.system, { publicHost: "new.example.com" });
    expect((await load("portal")).checkHost("new.example.com")).toBe("new.example.com");
    expect((await load("portal")).checkHost("old.example.com")).toBeUndefined();
  });

  it("show their keys to the service only, the CA to everyone", async () => {
    expect(await failure(getServerCa(bench.a.user))).toBe("not_found");
    await ensureInstance(bench.system, { publicHost: "gw.example.com" });
    const ca = await getServerCa(bench.a.user);
    expect(new X509Certificate(ca.pem).raw.equals(ca.der)).toBe(true);
    expect(ca).toMatchObject({
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
      subject: expect.any(String),
    });
    expect(await failure(loadAuthority(bench.a.user, "server-ca"))).toBe("forbidden");
    expect(await failure(loadAuthority(bench.a.operator, "server-ca"))).toBe("forbidden");
    expect(await failure(ensureInstance(bench.a.user, { publicHost: "x" }))).toBe("forbidden");
  });
});

describe("the addresses that devices are told", () => {
  it("are of the host and its ports, with the account where wanted", () => {
    const addresses = { publicHost: "2001:db8::1", bootstrapPort: 5784, lwm2mPort: 5684 };
    expect(serviceUris(addresses)).toEqual({
      bootstrap: { udp: "coaps://[2001:db8::1]:5784", tcp: "coaps+tcp://[2001:db8::1]:5784" },
      lwm2m: { udp: "coaps://[2001:db8::1]:5684", tcp: "coaps+tcp://[2001:db8::1]:5684" },
    });
    expect(serviceUris({ ...addresses, publicHost: "gw" }, "a".repeat(32)).bootstrap.udp).toBe(
      `coaps://gw:5784?aid=${"a".repeat(32)}`,
    );
  });

  it("take the name of the certificates and the ports of the running gateway", async () => {
    await ensureInstance(bench.system, { publicHost: "gw.example.com" });
    const config = { publicHost: "laptop", bootstrapPort: 0, lwm2mPort: 5684 };
    expect(await failure(deviceUris(bench.system, config))).toBe("unavailable");
    bench.bus.answers = {
      ping: {
        pid: 1,
        startedAt: 0,
        storageTrouble: null,
        registrations: 0,
        peers: 0,
        listeners: [
          { service: "bootstrap", uri: "coap://0.0.0.0:1111" },
          { service: "bootstrap", uri: "coaps://0.0.0.0:40001" },
        ],
      },
    };
    expect(await deviceUris(bench.system, config)).toMatchObject({
      bootstrap: { udp: "coaps://gw.example.com:40001" },
      lwm2m: { tcp: "coaps+tcp://gw.example.com:5684" },
    });
  });
});
