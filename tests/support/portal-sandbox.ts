/** A gateway that is none, and a directory full of devices: for looking at the portal. npx tsx tests/support/portal-sandbox.ts [full|empty] */
import { busPath, serveBus } from "@/server/bus";
import { systemClock } from "@/server/clock";
import { loadConfig } from "@/server/config";
import { migrate, openDatabase } from "@/server/db";
import { createLogger } from "@/server/log";
import { createApiKey } from "@/server/services/api-keys/create";
import { createDeveloperCertificate } from "@/server/services/certificates/create-developer";
import { takeBundle } from "@/server/services/certificates/take-bundle";
import { createContext } from "@/server/services/create-context";
import { eventMessage, eventRow } from "@/server/services/events/record";
import { newId } from "@/server/services/ids";
import { ensureInstance } from "@/server/services/instance/ensure";
import { ensureAdministrator } from "@/server/services/instance/setup";
import { serviceUris } from "@/server/services/instance/uris";

const config = loadConfig();
const log = createLogger("sandbox", "warn");
await migrate(config);
const db = await openDatabase(config);
const startedAt = Date.now();
const say = async (row: ReturnType<typeof eventRow>) => {
  await db.deviceEvent.create({ data: { ...row, at: new Date(row.at) } });
  bus.publish(eventMessage(row));
};
const bus = await serveBus({
  path: busPath(config),
  log,
  handlers: {
    ping: () => ({
      pid: process.pid,
      startedAt,
      registrations: 41,
      peers: 57,
      listeners: [
        { service: "bootstrap", uri: "coaps://[::]:5784" },
        { service: "bootstrap", uri: "coaps+tcp://[::]:5784" },
        { service: "lwm2m", uri: "coaps://[::]:5684" },
        { service: "lwm2m", uri: "coaps+tcp://[::]:5684" },
      ],
    }),
    "trust.reload": () => ({ trusted: 1 }),
    "device.read": async ({ accountId, deviceId, path }) => {
      await new Promise((r) => setTimeout(r, 300));
      if (path.endsWith("/13"))
        return {
          code: "4.05",
          ok: false,
          message: "The device does not allow reading this resource.",
          values: [],
        };
      const values = [
        {
          path: path.split("/").length > 3 ? path : `${path}/5700`,
          value: { type: "float" as const, value: 21.25 },
          at: Date.now(),
        },
      ];
      if (path.split("/").length > 3)
        bus.publish({ kind: "values", accountId, deviceId, source: "read", values });
      await say(
        eventRow("resource.read", {
          accountId,
          deviceId,
          data: { path, value: "21.25" },
          at: Date.now(),
          actor: "user:ada@example.com",
        }),
      );
      return { code: "2.05", ok: true, message: "", values };
    },
    "device.write": async ({ accountId, deviceId, path, value }) => {
      bus.publish({
        kind: "values",
        accountId,
        deviceId,
        source: "write",
        values: [{ path, value, at: Date.now() }],
      });
      return { code: "2.04", ok: true, message: "", values: [] };
    },
    "device.execute": async () => ({ code: "2.04", ok: true, message: "", values: [] }),
    "device.observe": async ({ accountId, deviceId, path }) => {
      await db.observation.upsert({
        where: { deviceId_path: { deviceId, path } },
        create: { deviceId, path },
        update: {},
      });
      bus.publish({ kind: "observations", accountId, deviceId, paths: [path] });
      return { code: "2.05", ok: true, message: "", values: [] };
    },
    "device.unobserve": async ({ accountId, deviceId, path }) => {
      await db.observation.deleteMany({ where: { deviceId, path } });
      bus.publish({ kind: "observations", accountId, deviceId, paths: [] });
      return { code: "2.05", ok: true, message: "", values: [] };
    },
    "device.rebootstrap": () => ({ way: "execute", message: "Executed /1/0/9 on the device." }),
    "device.removed": () => ({}),
  },
});
const ctx = createContext({ config, db, bus, clock: systemClock });
await ensureInstance(ctx, { publicHost: config.publicHost });
if (process.argv[2] !== "setup")
  await ensureAdministrator(ctx, { email: "ada@example.com", password: "correct horse battery" });
if (process.argv[2] === "full" && (await db.device.count()) === 0) {
  const user = await db.user.findFirstOrThrow();
  const mine = {
    ...ctx,
    actor: {
      kind: "user" as const,
      id: user.id,
      accountId: user.accountId,
      role: "administrator" as const,
      email: user.email,
    },
  };
  const a = await createDeveloperCertificate(mine, {
    name: "Bench boards",
    description: "The four NUCLEO boards on the bench by the window, and Rui's laptop.",
  });
  await takeBundle(mine, { id: a.id, uris: serviceUris(config) });
  const b = await createDeveloperCertificate(mine, { name: "field-trial-2026" });
  await createApiKey(mine, { name: "nightly-tests" });
  await createApiKey(mine, { name: "grafana-exporter" });
  const accountId = user.accountId;
  const states = [
    "registered",
    "registered",
    "registered",
    "registered",
    "bootstrapped",
    "cloud_enrolling",
    "deregistered",
  ];
  for (let i = 0; i < 57; i++) {
    const id = newId();
    const state = states[i % 7] ?? "registered";
    const now = Date.now();
    const seen = new Date(now - i * i * 41_000 - 1000);
    await db.device.create({
      data: {
        id,
        accountId,
        identity: `ep:device-${i}`,
        endpointName: i % 5 === 0 ? newId() : `sensor-node-${String(i).padStart(3, "0")}`,
        name:
          i % 3 === 0 ? ["Greenhouse 4", "Pump station", "Cold room 2", "Roof weather"][(i / 3) % 4]! : "",
        description: i === 0 ? "North corner, second shelf.\nBattery changed in October." : "",
        state,
        executionMode: 1,
        caId: i % 4 ? a.id : b.id,
        bootstrapFingerprint: "ab".repeat(32),
        deviceKey: state === "cloud_enrolling" ? null : "c7".repeat(32),
        connectorExpirationDate:
          state === "cloud_enrolling" ? null : new Date(now + (i === 3 ? 12 : i === 9 ? -2 : 365) * 86400e3),
        bootstrapExpirationDate: new Date(now + 3650 * 86400e3),
        bootstrappedAt: seen,
        registeredAt: state === "registered" ? seen : null,
        lastSeenAt: seen,
        address: i % 6 === 5 ? "[2001:db8:4f2:1::a3]:49152" : `10.20.${i}.14:${40000 + i * 37}`,
        transport: i % 2 ? "tls" : "dtls",
        customAttributes: i === 0 ? JSON.stringify({ site: "Lisbon", hardware: "rev C" }) : "{}",
      },
    });
    if (state === "registered")
      await db.registration.create({
        data: {
          id: newId(),
          deviceId: id,
          accountId,
          endpointName: `sensor-node-${i}`,
          lifetime: 3600,
          lwm2mVersion: "1.1",
          binding: "U",
          queueMode: i % 9 === 8,
          rootPath: "/",
          objectLinks: '</>;rt="oma.lwm2m";ct=11542,</1/0>,</3/0>,</3303/0>,</3303/1>,</5/0>,</33333/0>',
          address: "10.0.0.1:4000",
          transport: "dtls",
          registeredAt: seen,
          updatedAt: seen,
          expiresAt: new Date(i === 14 ? now - 4e5 : now + 3600e3 * 5),
        },
      });
    if (i === 0) {
      const v = (path: string, value: unknown) =>
        db.resourceValue.create({
          data: {
            deviceId: id,
            path,
            value: JSON.stringify(value),
            at: new Date(now - 90_000),
            source: "read",
          },
        });
      await v("/3/0/0", { type: "string", value: "Gangway Project" });
      await v("/3/0/1", { type: "string", value: "Reference device" });
      await v("/3/0/9", { type: "integer", value: "87" });
      await v("/3/0/13", { type: "time", value: "1795000000" });
      await v("/3/0/11/0", { type: "integer", value: "0" });
      await v("/3/0/6/0", { type: "integer", value: "1" });
      await v("/3/0/6/1", { type: "integer", value: "5" });
      await v("/3/0/7/0", { type: "integer", value: "3800" });
      await v("/1/0/1", { type: "integer", value: "3600" });
      await v("/1/0/7", { type: "string", value: "U" });
      await v("/3303/0/5700", { type: "float", value: 21.437 });
      await v("/3303/0/5701", { type: "string", value: "Cel" });
      await v("/3303/1/5700", { type: "float", value: 4.1 });
      await v("/33333/0/1", { type: "opaque", value: "3q2+7wECAwQ=" });
      await v("/33333/0/2", { type: "boolean", value: true });
      await db.observation.create({ data: { deviceId: id, path: "/3303/0/5700" } });
      const from = { address: "10.20.0.14:40000", transport: "dtls" };
      let t = now - 600_000;
      const ev = (row: ReturnType<typeof eventRow>) => say(row);
      const at = () => (t += 1300);
      await ev(
        eventRow("session.established", {
          accountId,
          deviceId: id,
          data: {
            ...from,
            service: "bootstrap",
            cipher: "ECDHE-ECDSA-AES128-CCM8",
            version: "DTLSv1.2",
            cid: true,
          },
          at: at(),
        }),
      );
      await ev(
        eventRow("bootstrap.requested", {
          accountId,
          deviceId: id,
          data: { ...from, endpointName: "sensor-node-000", certificate: "Bench boards" },
          at: at(),
        }),
      );
      await ev(
        eventRow("bootstrap.device-created", {
          accountId,
          deviceId: id,
          data: { endpointName: "sensor-node-000", certificate: "Bench boards" },
          at: at(),
        }),
      );
      await ev(
        eventRow("bootstrap.credentials-issued", {
          accountId,
          deviceId: id,
          data: {
            fingerprint: "c7".repeat(32),
            notAfter: "2027-11-22T00:00:00Z",
            serverUri: "coaps://gw.example.com:5684",
          },
          at: at(),
        }),
      );
      await ev(
        eventRow("bootstrap.written", {
          accountId,
          deviceId: id,
          data: { path: "/0/1", what: "the LwM2M account" },
          at: at(),
        }),
      );
      await ev(
        eventRow("bootstrap.finished", { accountId, deviceId: id, data: { durationMs: 412 }, at: at() }),
      );
      await ev(
        eventRow("registration.registered", {
          accountId,
          deviceId: id,
          data: {
            ...from,
            endpointName: "sensor-node-000",
            lifetime: 3600,
            lwm2mVersion: "1.1",
            binding: "U",
            objects: ["/1/0", "/3/0", "/3303/0"],
          },
          at: at(),
        }),
      );
      await ev(
        eventRow("registration.updated", {
          accountId,
          deviceId: id,
          data: { ...from, count: 14, firstAt: t, addressChanged: false },
          at: at(),
        }),
      );
      await ev(
        eventRow("resource.failed", {
          accountId,
          deviceId: id,
          data: {
            path: "/3/0/13",
            name: "Current Time",
            operation: "write",
            reason: "the device answered 4.05 Method Not Allowed",
            code: "4.05",
          },
          at: at(),
          actor: "user:ada@example.com",
        }),
      );
      setInterval(() => {
        const value = { type: "float" as const, value: Math.round((21 + Math.random()) * 1000) / 1000 };
        bus.publish({
          kind: "values",
          accountId,
          deviceId: id,
          source: "notify",
          values: [{ path: "/3303/0/5700", value, at: Date.now() }],
        });
      }, 3000);
    }
  }
  const knock = { accountId: null, deviceId: null } as const;
  await say(
    eventRow("handshake.failed", {
      ...knock,
      data: {
        address: "203.0.113.9:52110",
        transport: "dtls",
        service: "bootstrap",
        reason: "The certificate is not signed by anything this instance trusts",
        hint: "Is it a developer certificate of another instance, or of an account here that was deleted? Make a new one under Certificates.",
        alert: "unknown_ca (48)",
        subject: "CN=0f3e, OU=016e, O=ARM, L=Cambridge",
        issuer: "CN=0f3e, OU=016e, O=ARM, L=Cambridge",
        fingerprint: "9d".repeat(32),
        count: 12,
      },
      at: Date.now() - 4000_000,
    }),
  );
  await say(
    eventRow("handshake.failed", {
      ...knock,
      data: {
        address: "198.51.100.23:40021",
        transport: "tls",
        service: "lwm2m",
        reason: "The device and this server have no cipher suite in common",
        hint: "The device must offer ECDHE-ECDSA with AES-128-GCM, AES-128-CCM or AES-128-CCM-8.",
        alert: "handshake_failure (40)",
      },
      at: Date.now() - 400_000,
    }),
  );
  await say(
    eventRow("bootstrap.refused", {
      accountId,
      deviceId: null,
      data: {
        address: "10.20.3.14:40100",
        transport: "dtls",
        endpointName: "other-name",
        reason: "the endpoint name belongs to another device",
        hint: "Give each device its own endpoint name.",
        code: "4.03",
        certificate: "Bench boards",
      },
      at: Date.now() - 20_000,
    }),
  );
}
console.log("sandbox is up");
process.on("SIGTERM", () => process.exit(0));
