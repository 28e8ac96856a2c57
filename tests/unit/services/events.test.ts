import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { busEvent } from "@/server/bus/messages";
import { GroupCommit } from "@/server/db";
import { listEvents } from "@/server/services/events/list";
import { eventMessage, eventRow, eventStatement } from "@/server/services/events/record";
import { type EventType, eventCategories, eventTypes } from "@/server/services/events/types";
import { newId } from "@/server/services/ids";
import { getOverview } from "@/server/services/overview/get";
import { addCertificate, addDevice, type Bench, failure, openBench, register } from "./support";

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());
beforeEach(async () => {
  await bench.db.deviceEvent.deleteMany();
  await bench.db.device.deleteMany();
});

/** Writes rows as the gateway does. */
async function write(...rows: ReturnType<typeof eventRow>[]): Promise<void> {
  const commit = new GroupCommit(bench.db, bench.clock);
  const written = Promise.all(rows.map((row) => commit.add(eventStatement, row)));
  await commit.close();
  await written;
}

const at = () => bench.clock.now();

describe("the list of events", () => {
  it("says of every one its class, outcome and a sentence", () => {
    for (const [type, definition] of Object.entries(eventTypes)) {
      expect(eventCategories, type).toContain(definition.category);
      const known: object = samples[type as EventType] ?? {};
      const data = new Proxy(known, {
        get: (_, name) =>
          Reflect.has(known, name) ? Reflect.get(known, name) : name === "count" ? 1 : String(name),
      });
      const text = (definition.describe as (data: unknown) => string)(data);
      expect(text, type).toMatch(/^\S.*[.!?]$/);
      expect(text, type).not.toMatch(/undefined|null|NaN|\[object/);
    }
  });

  it("words what happened", () => {
    const words = <T extends EventType>(type: T, data: Parameters<(typeof eventTypes)[T]["describe"]>[0]) =>
      eventRow(type, { accountId: null, deviceId: null, at: 0, data } as never).description;
    expect(words("registration.updated", { count: 12 })).toBe("Registration updated 12 times.");
    expect(words("registration.updated", { lifetime: 3600, added: ["/3303/0"] })).toBe(
      "Registration updated: lifetime 1 hour and added /3303/0.",
    );
    expect(
      words("registration.registered", {
        endpointName: "pump",
        lifetime: 90,
        lwm2mVersion: "1.1",
        address: "192.0.2.1:5",
        transport: "dtls",
      }),
    ).toBe("Registered for 90 seconds with LwM2M 1.1 from 192.0.2.1:5 over DTLS.");
    expect(
      words("handshake.failed", { address: "192.0.2.1:5", reason: "the certificate has expired", count: 3 }),
    ).toBe("Handshake from 192.0.2.1:5 failed (3 times): the certificate has expired.");
    expect(words("resource.written", { path: "/3/0/14", name: "UTC Offset", value: "+01:00" })).toBe(
      "Wrote +01:00 to UTC Offset (/3/0/14).",
    );
  });

  it("writes many at once, and one id twice as one row", async () => {
    const deviceId = newId();
    const fields = { accountId: bench.a.id, deviceId };
    const first = eventRow("registration.updated", {
      ...fields,
      at: at(),
      data: { count: 1, firstAt: at() },
    });
    await write(
      first,
      eventRow("registration.registered", {
        ...fields,
        at: at(),
        data: { endpointName: "pump's “ep”", lifetime: 60, lwm2mVersion: "1.1" },
      }),
    );
    await bench.clock.advance(5000);
    await write(
      eventRow("registration.updated", {
        ...fields,
        id: first.id,
        at: at(),
        data: { count: 2, firstAt: at() },
      }),
    );
    const { rows } = await listEvents(bench.a.user, { deviceId });
    expect(rows).toHaveLength(2);
    expect(rows.find(({ id }) => id === first.id)).toMatchObject({
      at: at(),
      description: "Registration updated 2 times.",
      data: { count: 2 },
      stateChange: false,
      actor: "device",
      outcome: "SUCCESS",
      category: "registration",
    });
    expect(rows.find(({ type }) => type === "registration.registered")).toMatchObject({
      stateChange: true,
      data: { endpointName: "pump's “ep”" },
    });
  });

  it("makes messages that the bus lets through", () => {
    const row = eventRow("session.moved", {
      accountId: bench.a.id,
      deviceId: newId(),
      at: at(),
      data: { from: "192.0.2.1:1", to: "192.0.2.1:2" },
    });
    expect(busEvent.parse(eventMessage(row))).toMatchObject({
      kind: "event",
      event: { data: { to: "192.0.2.1:2" } },
    });
  });
});

const samples: Partial<Record<EventType, object>> = {
  "bootstrap.credentials-issued": { fingerprint: "00", notAfter: "2027-01-01T00:00:00.000Z" },
  "registration.updated": { lifetime: 60, added: ["/3"], removed: [] },
  "registration.held": { requests: 11, windowSeconds: 10, holdSeconds: 60 },
  "registration.registered": { lifetime: 60, lwm2mVersion: "1.1" },
  "registration.expired": { lifetime: 60 },
  "device.updated": { fields: ["name"] },
  "certificate.deleted": { name: "x", devices: 2 },
  "certificate.updated": { name: "x", fields: ["the name", "the status"], status: undefined },
  "key.updated": { name: "x", fields: ["the name"] },
};

describe("timelines", () => {
  const knock = (accountId: string | null, reason = "unknown CA") =>
    eventRow("handshake.failed", {
      accountId,
      deviceId: null,
      at: at(),
      data: { address: "192.0.2.9:1", reason },
    });
  const session = (accountId: string, deviceId: string) =>
    eventRow("session.established", { accountId, deviceId, at: at(), data: {} });

  it("are per account and device, the newest first, in pages both ways", async () => {
    const deviceId = newId();
    const rows = Array.from({ length: 5 }, () => session(bench.a.id, deviceId));
    await write(...rows, session(bench.a.id, newId()), session(bench.b.id, newId()));
    const ids = rows.map(({ id }) => id);
    const first = await listEvents(bench.a.user, { deviceId, limit: 2 });
    expect(first.rows.map(({ id }) => id)).toEqual([ids[4], ids[3]]);
    expect(first.more).toBe(true);
    const second = await listEvents(bench.a.user, { deviceId, limit: 3, before: ids[3] });
    expect(second.rows.map(({ id }) => id)).toEqual([ids[2], ids[1], ids[0]]);
    expect(second.more).toBe(false);
    const newer = await listEvents(bench.a.user, { deviceId, limit: 2, after: ids[0] });
    expect(newer.rows.map(({ id }) => id)).toEqual([ids[2], ids[1]]);
    expect(newer.more).toBe(true);
    expect((await listEvents(bench.a.key)).rows).toHaveLength(6);
    expect((await listEvents(bench.b.user, { deviceId })).rows).toEqual([]);
  });

  it("filter by class and outcome", async () => {
    const deviceId = newId();
    await write(
      session(bench.a.id, deviceId),
      eventRow("bootstrap.failed", { accountId: bench.a.id, deviceId, at: at(), data: { reason: "x" } }),
    );
    expect((await listEvents(bench.a.user, { category: "bootstrap" })).rows.map(({ type }) => type)).toEqual([
      "bootstrap.failed",
    ]);
    expect((await listEvents(bench.a.user, { outcome: "SUCCESS" })).rows).toHaveLength(1);
  });

  it("show nobody's knocks to the first account's administrators only", async () => {
    await write(knock(null), knock(bench.a.id), knock(bench.b.id), session(bench.a.id, newId()));
    const count = async (ctx: typeof bench.system) => (await listEvents(ctx, { knocks: true })).rows.length;
    expect(await count(bench.a.user)).toBe(2);
    expect(await count(bench.a.operator)).toBe(2);
    expect(await count(bench.a.developer)).toBe(1);
    expect(await count(bench.a.key)).toBe(1);
    expect(await count(bench.b.user)).toBe(1);
    expect((await listEvents(bench.a.user, { knocks: true, category: "device" })).rows).toEqual([]);
    expect((await listEvents(bench.a.user, { knocks: true, category: "connection" })).rows).toHaveLength(2);
  });

  it("refuse devices and bad input", async () => {
    expect(await failure(listEvents(bench.a.device))).toBe("forbidden");
    expect(await failure(listEvents(bench.a.user, { limit: 0 }))).toBe("validation_error");
    expect(await failure(listEvents(bench.a.user, { before: "x" }))).toBe("validation_error");
  });
});

describe("the overview", () => {
  it("counts devices, knocks of a day and what runs out soon", async () => {
    const soon = new Date(at() + 10 * 86_400_000);
    const online = await addDevice(bench, bench.a.id, { connectorExpirationDate: soon });
    await register(bench, bench.a.id, online, { lifetime: 600 });
    const stale = await addDevice(bench, bench.a.id);
    await register(bench, bench.a.id, stale, { lifetime: 1 });
    await addDevice(bench, bench.b.id);
    await addCertificate(bench, bench.a.id, "long");
    await addCertificate(bench, bench.a.id, "short", { notAfter: soon });
    const failed = (accountId: string | null) =>
      eventRow("handshake.failed", { accountId, deviceId: null, at: at(), data: { reason: "x" } });
    await write(failed(bench.a.id), failed(null));
    await bench.clock.advance(2000);
    const gateway = { pid: 1, startedAt: 0, registrations: 1, peers: 1, listeners: [], storageTrouble: null };
    bench.bus.answers = { ping: gateway };
    expect(await getOverview(bench.a.user)).toMatchObject({
      counts: { registered: 2, bootstrapped: 0 },
      total: 2,
      online: 1,
      knocks24h: 2,
      certificates: 2,
      expiringCertificates: [{ name: "short" }],
      expiringDevices: 1,
      gateway,
    });
    expect(await getOverview(bench.b.user)).toMatchObject({
      total: 1,
      online: 0,
      knocks24h: 0,
      certificates: 0,
    });
    bench.bus.answers = {};
    expect((await getOverview(bench.a.developer)).gateway).toBeNull();
    expect((await getOverview(bench.a.developer)).knocks24h).toBe(1);
    await bench.clock.advance(86_400_000);
    expect((await getOverview(bench.a.user)).knocks24h).toBe(0);
    expect(await failure(getOverview(bench.a.device))).toBe("forbidden");
  });

  it("does not wait for a gateway that hangs", async () => {
    bench.bus.answers = { ping: {} };
    bench.bus.before = () => new Promise(() => {});
    const overview = getOverview(bench.a.user);
    for (let n = 0; n < 50 && bench.clock.pending === 0; n++) await bench.clock.advance(0);
    await bench.clock.advance(2000);
    expect((await overview).gateway).toBeNull();
    bench.bus.before = async () => {};
  });
});
