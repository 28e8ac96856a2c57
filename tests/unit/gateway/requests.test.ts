import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { BusEvent, DeviceRequestInput } from "@/server/bus/messages";
import { type CoapEndpoint, CoapFailure, type CoapRequest, type CoapResponse } from "@/server/coap";
import { GroupCommit, openTestDatabase, type TestDatabase } from "@/server/db";
import { type DeviceFacts, Directory, type LiveRegistration } from "@/server/gateway/directory";
import { DeviceExchange } from "@/server/gateway/exchange";
import { Notifier } from "@/server/gateway/notifier";
import { AWAKE_MS, Presence } from "@/server/gateway/presence";
import { DeviceRequests } from "@/server/gateway/requests";
import { Timeline } from "@/server/gateway/timeline";
import { newId } from "@/server/services/ids";
import type { NotificationBodies } from "@/server/services/notifications/types";
import { FakePeer } from "@/tests/support/coap-peers";
import { FakeClock } from "@/tests/support/fake-clock";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** What a device got, and how the test has it answer. */
interface Exchange extends CoapRequest {
  answer(code: string, more?: Partial<CoapResponse> | string): void;
  fail(kind: CoapFailure["kind"]): void;
}

let database: TestDatabase;
let clock: FakeClock;
let accountId: string;
let owner: string;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database?.close());
beforeEach(async () => {
  clock = new FakeClock();
  accountId = newId();
  owner = newId();
  await database.db.account.create({ data: { id: accountId, name: "" } });
});

/** The queue of a gateway with one device; `again` is the same after a restart. */
async function gateway(
  options: { queueMode?: 0 | 1; transport?: "udp" | "tls"; registered?: boolean; suspended?: boolean } = {},
  deviceId = newId(),
) {
  const { db } = database;
  await db.device.upsert({
    where: { id: deviceId },
    create: { id: deviceId, accountId, identity: `ep:${deviceId}`, endpointName: "pump" },
    update: {},
  });
  const directory = new Directory();
  const device = {
    id: deviceId,
    accountId,
    identity: `ep:${deviceId}`,
    endpointName: "pump",
    endpointType: "",
    caId: null,
    secured: false,
    suspended: options.suspended ?? false,
    rebootstrapPending: false,
  } satisfies DeviceFacts;
  directory.addDevice(device);
  const connect = () => new FakePeer(options.transport ?? "udp", clock);
  const registration: LiveRegistration = {
    id: newId(),
    deviceId,
    accountId,
    endpointName: "pump",
    lifetime: 864_000,
    lwm2mVersion: "1.1",
    binding: "U",
    queueMode: options.queueMode ?? 0,
    rootPath: "/",
    objectLinks: "</1/0>,</3/0>,</5/0>,</3303/0/5700>",
    profile: "standard",
    address: "192.0.2.1:5683",
    transport: options.transport ?? "udp",
    registeredAt: clock.now(),
    updatedAt: clock.now(),
    expiresAt: clock.now() + 10 * DAY,
    peer: connect(),
    keepAlive: null,
    presubscribed: null,
  };
  if (options.registered !== false) {
    directory.putRegistration(registration);
    await db.registration.upsert({
      where: { deviceId },
      create: {
        deviceId,
        id: registration.id,
        accountId,
        endpointName: "pump",
        lifetime: registration.lifetime,
        lwm2mVersion: "1.1",
        binding: "U",
        objectLinks: registration.objectLinks,
        address: registration.address,
        transport: registration.transport,
        registeredAt: new Date(),
        updatedAt: new Date(),
        expiresAt: new Date(),
      },
      update: {},
    });
  }

  const sent: Exchange[] = [];
  const told: CoapRequest[] = [];
  const coap = {
    request: (_peer: unknown, request: CoapRequest) =>
      new Promise<CoapResponse>((resolve, reject) =>
        sent.push({
          ...request,
          answer: (code, more = {}) =>
            resolve({
              code: code as CoapResponse["code"],
              contentFormat: typeof more === "string" ? 0 : null,
              payload: typeof more === "string" ? Buffer.from(more) : new Uint8Array(),
              locationPath: [],
              observe: null,
              maxAge: null,
              ...(typeof more === "object" && more),
            }),
          fail: (kind) => reject(new CoapFailure(kind, `it is ${kind}`)),
        }),
      ),
    tell: (_peer: unknown, request: CoapRequest) => void told.push(request),
  } as unknown as CoapEndpoint;
  const errors: unknown[] = [];
  const events: BusEvent[] = [];
  const publish = (event: BusEvent) => void events.push(event);
  const commit = new GroupCommit(db, clock, { onerror: (error) => errors.push(error) });
  const presence = new Presence(clock);
  const exchange = new DeviceExchange({
    clock,
    coap,
    commit,
    presence,
    listeners: { watched: () => true, publish },
  });
  const notifier = new Notifier({ db, clock, commit, publish });
  const timeline = new Timeline(commit, { watched: () => true, publish }, clock);
  const requests = new DeviceRequests({
    db,
    clock,
    commit,
    directory,
    presence,
    exchange,
    notifier,
    timeline,
    mayHave: (_, path) => /^\/(1|3|5|3303)(\/0|$)/.test(path),
    onerror: (error) => errors.push(error),
  });
  presence.oncontact = (one) => requests.heard(one);

  let asked = 0;
  const input = (more: Partial<DeviceRequestInput> = {}): DeviceRequestInput => ({
    accountId,
    deviceId,
    ownerId: owner,
    asyncId: `request-${++asked}`,
    actor: "key:test",
    method: "GET",
    uri: "/3/0/0",
    accept: null,
    contentType: null,
    payload: "",
    retry: null,
    expirySeconds: null,
    noResponse: false,
    ...more,
  });
  /** Waits, on a clock that goes on, for what the database does. */
  const done = async <T>(promise: Promise<T>): Promise<T> => {
    let settled = false;
    const finish = () => (settled = true);
    promise.then(finish, finish);
    while (!settled) await clock.advance(1);
    return promise;
  };
  return {
    deviceId,
    device,
    directory,
    registration,
    presence,
    requests,
    sent,
    told,
    errors,
    events,
    connect,
    done,
    commit,
    enqueue: (more?: Partial<DeviceRequestInput>) => done(requests.enqueue(input(more))),
    /** An Update, as far as it matters here. */
    update: async () => {
      registration.updatedAt = clock.now();
      presence.heard(registration);
      await done(commit.flush());
      await clock.advance(5);
    },
    /** Writes what waits and lets the next request go. */
    settle: async () => {
      for (let round = 0; round < 3; round++) {
        await clock.advance(5);
        await done(commit.flush());
      }
    },
    responses: async (ownerId = owner) => {
      await done(commit.flush());
      const rows = await db.notification.findMany({ where: { ownerId }, orderBy: { seq: "asc" } });
      return rows.map(({ kind, body }) => {
        expect(kind).toBe("async-responses");
        const response = JSON.parse(body) as NotificationBodies["async-responses"];
        return { ...response, payload: Buffer.from(response.payload, "base64").toString() };
      });
    },
    rows: () => db.deviceRequest.findMany({ where: { deviceId }, orderBy: { id: "asc" } }),
    desired: () => db.desiredValue.findMany({ where: { deviceId } }),
    /** The process dies, or is stopped: in the database it is the same. */
    again: async (more: typeof options = {}) => {
      requests.stop();
      await done(commit.flush());
      const next = await gateway({ ...options, ...more }, deviceId);
      next.registration.updatedAt = registration.updatedAt;
      await done(next.requests.load());
      next.requests.resume();
      await next.settle();
      return next;
    },
  };
}

describe("a request to a device that is there", () => {
  it("is on disk when it is taken, sent, and its answer takes its place", async () => {
    const { enqueue, sent, responses, rows, settle, events, errors, deviceId } = await gateway();
    expect(await enqueue({ asyncId: "one", uri: "/3/0/0" })).toEqual({ refused: null });
    expect(await rows()).toMatchObject([{ asyncId: "one", ownerId: owner, sent: false }]);
    await settle();
    expect(sent).toMatchObject([{ method: "GET", path: ["3", "0", "0"] }]);
    sent[0]?.answer("2.05", "Pinecone");
    await settle();
    expect(await responses()).toEqual([
      { id: "one", status: 200, payload: "Pinecone", ct: "text/plain", "max-age": 60 },
    ]);
    expect(await rows()).toEqual([]);
    expect(events).toContainEqual({ kind: "notifications", accountId, deviceId: null, ownerId: owner });
    const value = { type: "string", value: "Pinecone" };
    expect(events).toContainEqual({
      kind: "values",
      accountId,
      deviceId,
      source: "read",
      values: [{ path: "/3/0/0", value, at: expect.any(Number) }],
    });
    const kept = await database.db.resourceValue.findMany({ where: { deviceId } });
    expect(kept).toMatchObject([{ path: "/3/0/0", value: JSON.stringify(value), source: "read" }]);
    const timeline = await database.db.deviceEvent.findMany({ where: { deviceId } });
    expect(timeline).toMatchObject([{ type: "resource.read", actor: "key:test" }]);
    expect(errors).toEqual([]);
  });

  it("costs two commits, also where it must not be run twice", async () => {
    for (const method of ["GET", "PUT", "POST", "DELETE"] as const) {
      const { enqueue, sent, settle, commit } = await gateway();
      let units = 0;
      const { addAll } = commit;
      commit.addAll = (entries) => {
        units += 1;
        return addAll.call(commit, entries);
      };
      await enqueue({ method, uri: "/3/0/14" });
      await settle();
      sent[0]?.answer("2.04");
      await settle();
      expect(units, method).toBe(2);
    }
  });

  it("goes one after the other, in order", async () => {
    const { enqueue, sent, settle, responses } = await gateway();
    for (const path of ["/3/0/0", "/3/0/1", "/3/0/2"])
      await enqueue({ uri: path, asyncId: `r${path.at(-1)}` });
    await settle();
    expect(sent.map(({ path }) => path.join("/"))).toEqual(["3/0/0"]);
    sent[0]?.answer("2.05", "a");
    await settle();
    expect(sent.map(({ path }) => path.join("/"))).toEqual(["3/0/0", "3/0/1"]);
    sent[1]?.answer("4.04");
    await settle();
    sent[2]?.answer("2.05", "c");
    await settle();
    expect((await responses()).map(({ id, status }) => [id, status])).toEqual([
      ["r0", 200],
      ["r1", 404],
      ["r2", 200],
    ]);
  });

  it("tells each owner its own", async () => {
    const other = newId();
    const { enqueue, sent, settle, responses } = await gateway();
    await enqueue({ asyncId: "mine" });
    await enqueue({ asyncId: "theirs", ownerId: other });
    await settle();
    sent[0]?.answer("2.05", "1");
    await settle();
    sent[1]?.answer("2.05", "2");
    await settle();
    expect((await responses()).map(({ id }) => id)).toEqual(["mine"]);
    expect((await responses(other)).map(({ id }) => id)).toEqual(["theirs"]);
  });

  it("is sent as what it is", async () => {
    const { enqueue, sent, settle, responses, deviceId } = await gateway();
    const ask = async (more: Partial<DeviceRequestInput>, code: string, answer?: string) => {
      await enqueue(more);
      await settle();
      sent.at(-1)?.answer(code, answer);
      await settle();
      return { ...sent.at(-1), payload: Buffer.from(sent.at(-1)?.payload ?? []).toString() };
    };
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    expect(await ask({ method: "PUT", uri: "/3/0/14", payload: base64("+02") }, "2.04")).toMatchObject({
      method: "PUT",
      contentFormat: 0,
      payload: "+02",
    });
    expect(await ask({ method: "PUT", uri: "/5/0/1?pmax=120" }, "2.04")).toMatchObject({
      method: "PUT",
      query: ["pmax=120"],
      payload: "",
    });
    expect(await ask({ method: "POST", uri: "/3/0/4", payload: base64("0='1'") }, "2.04")).toMatchObject({
      method: "POST",
      contentFormat: 0,
      payload: "0='1'",
    });
    expect(await ask({ method: "POST", uri: "/3303", payload: base64("tlv") }, "2.01")).toMatchObject({
      contentFormat: 11542,
    });
    expect(await ask({ method: "DELETE", uri: "/3303/0" }, "2.02")).toMatchObject({ method: "DELETE" });
    expect((await responses()).map(({ status, payload }) => [status, payload])).toEqual(
      Array.from({ length: 5 }, () => [200, ""]),
    );
    const timeline = await database.db.deviceEvent.findMany({ where: { deviceId }, orderBy: { id: "asc" } });
    expect(timeline.map(({ type }) => type)).toEqual([
      "resource.written",
      "resource.configured",
      "resource.executed",
      "resource.created",
      "resource.deleted",
    ]);
  });

  it("lets the device choose when it has not the format that only the server asked for", async () => {
    const { enqueue, sent, settle, responses } = await gateway();
    await enqueue({ uri: "/3/0", asyncId: "chosen" });
    await settle();
    expect(sent[0]).toMatchObject({ accept: 11542 });
    sent[0]?.answer("4.06");
    await settle();
    expect(sent[1]).not.toHaveProperty("accept");
    sent[1]?.answer("2.05", { contentFormat: 110, payload: Buffer.from("[]") });
    await settle();
    await enqueue({ uri: "/3/0", accept: "application/vnd.oma.lwm2m+tlv", asyncId: "asked" });
    await settle();
    sent[2]?.answer("4.06");
    await settle();
    expect(await responses()).toMatchObject([
      { id: "chosen", status: 200, ct: "application/senml+json", payload: "[]" },
      { id: "asked", status: 406, payload: "" },
    ]);
  });

  it("turns a value into text, unless the application asked for a format", async () => {
    const { enqueue, sent, settle, responses } = await gateway();
    const json = JSON.stringify([{ n: "/3/0/9", v: 87 }]);
    await enqueue({ uri: "/3/0/9" });
    await settle();
    sent[0]?.answer("2.05", { contentFormat: 110, payload: Buffer.from(json), maxAge: 5 });
    await settle();
    await enqueue({ uri: "/3/0/9", accept: "application/senml+json" });
    await settle();
    expect(sent[1]).toMatchObject({ accept: 110 });
    sent[1]?.answer("2.05", { contentFormat: 110, payload: Buffer.from(json), maxAge: 0 });
    await settle();
    expect(await responses()).toMatchObject([
      { ct: "text/plain", payload: "87", "max-age": 5 },
      { ct: "application/senml+json", payload: json, "max-age": 0 },
    ]);
  });

  it("ends at once with a media type that nobody knows", async () => {
    const { enqueue, sent, settle, responses, rows } = await gateway();
    await enqueue({ method: "PUT", uri: "/3/0/14", contentType: "image/png", asyncId: "png" });
    await settle();
    expect(sent).toEqual([]);
    expect(await responses()).toMatchObject([{ id: "png", status: 415, payload: "" }]);
    expect(await rows()).toEqual([]);
  });

  it("is taken once when the same is asked again", async () => {
    const { enqueue, rows } = await gateway({ queueMode: 1 });
    await clock.advance(AWAKE_MS);
    await enqueue({ asyncId: "same" });
    await enqueue({ asyncId: "same" });
    expect(await rows()).toHaveLength(1);
    await enqueue({ asyncId: "same", uri: "/3/0/1" });
    await enqueue({ asyncId: "same", ownerId: newId() });
    expect(await rows()).toHaveLength(3);
  });

  it("keeps what was desired, and what came of it", async () => {
    const { enqueue, sent, settle, desired } = await gateway();
    const write = (text: string) =>
      enqueue({ method: "PUT", uri: "/3/0/14", payload: Buffer.from(text).toString("base64") });
    await write("+02");
    expect(await desired()).toMatchObject([{ path: "/3/0/14", status: "pending" }]);
    await settle();
    sent[0]?.answer("2.04");
    await settle();
    expect(await desired()).toMatchObject([{ status: "ok", value: new Uint8Array(Buffer.from("+02")) }]);
    await write("nonsense");
    await settle();
    sent[1]?.answer("4.00");
    await settle();
    expect(await desired()).toMatchObject([{ status: "failed" }]);
    // The end of an older request says nothing of a newer one.
    await write("+03");
    await clock.advance(5);
    await write("+04");
    await settle();
    sent[2]?.answer("4.00");
    await settle();
    expect(await desired()).toMatchObject([{ status: "pending", value: new Uint8Array(Buffer.from("+04")) }]);
    await enqueue({ method: "PUT", uri: "/5/0/1?pmax=5" });
    expect(await desired()).toHaveLength(1);
  });
});

describe("refusals", () => {
  it("say why", async () => {
    const { enqueue, registration, device, directory } = await gateway();
    expect(await enqueue({ accountId: newId() })).toEqual({ refused: "DEVICE_NOT_FOUND" });
    expect(await enqueue({ deviceId: newId() })).toEqual({ refused: "DEVICE_NOT_FOUND" });
    for (const uri of ["/8888/0/0", "/", "", "/3/x"])
      expect(await enqueue({ uri }), uri).toEqual({ refused: "RESOURCE_NOT_FOUND" });
    device.suspended = true;
    expect(await enqueue()).toEqual({ refused: "DEVICE_BLOCKED" });
    device.suspended = false;
    await clock.advance(10 * DAY);
    expect(await enqueue()).toEqual({ refused: "DEVICE_NOT_FOUND" });
    directory.removeRegistration(registration);
    expect(await enqueue()).toEqual({ refused: "DEVICE_NOT_FOUND" });
  });

  it("come where the payloads of an account would take too much memory, also after a restart", async () => {
    const before = await gateway({ queueMode: 1 });
    await clock.advance(AWAKE_MS);
    const payload = Buffer.alloc(6 << 20).toString("base64");
    const put = (count: number) => ({ asyncId: `r${count}`, method: "PUT", uri: "/5/0/0", payload }) as const;
    for (let count = 0; count < 10; count++)
      expect(await before.enqueue(put(count))).toEqual({ refused: null });
    expect(await before.enqueue(put(10))).toEqual({ refused: "QUEUE_IS_FULL" });
    expect(await before.enqueue({ asyncId: "small" })).toEqual({ refused: null });
    const after = await before.again();
    expect(await after.enqueue(put(10))).toEqual({ refused: "QUEUE_IS_FULL" });
    await after.requests.reloadOwner(owner);
    expect(await after.enqueue(put(10))).toEqual({ refused: "QUEUE_IS_FULL" });
    await database.db.deviceRequest.deleteMany({ where: { asyncId: "r0" } });
    await after.requests.reloadOwner(owner);
    expect(await after.enqueue(put(10))).toEqual({ refused: null });
  });

  it("come from the twenty-first request on", async () => {
    const { enqueue, sent, settle, rows } = await gateway();
    for (let count = 0; count < 20; count++) expect(await enqueue()).toEqual({ refused: null });
    expect(await enqueue()).toEqual({ refused: "QUEUE_IS_FULL" });
    await settle();
    sent[0]?.answer("2.05", "x");
    await settle();
    expect(await enqueue()).toEqual({ refused: null });
    expect(await rows()).toHaveLength(20);
  });

  it("come of a device that is deleted while its request is written", async () => {
    const { requests, deviceId, directory, done, rows, settle, sent, commit } = await gateway();
    const taken = requests.enqueue({
      ...({ accountId, deviceId, ownerId: owner, asyncId: "a", actor: "key", accept: null } as const),
      ...({ method: "GET", uri: "/3/0/0", contentType: null, payload: "", retry: null } as const),
      ...({ expirySeconds: null, noResponse: false } as const),
    });
    await database.db.device.delete({ where: { id: deviceId } });
    directory.removeDevice(deviceId);
    requests.left(deviceId);
    await done(taken);
    await settle();
    await done(commit.flush());
    expect(await rows()).toEqual([]);
    expect(sent).toEqual([]);
  });
});

describe("a request without an answer", () => {
  it("is sent once and nothing is told of it", async () => {
    const { enqueue, told, sent, rows, responses } = await gateway();
    const payload = Buffer.from("1").toString("base64");
    expect(await enqueue({ method: "PUT", uri: "/3/0/14", payload, noResponse: true })).toEqual({
      refused: null,
    });
    expect(told).toMatchObject([{ method: "PUT", path: ["3", "0", "14"], contentFormat: 0 }]);
    expect(sent).toEqual([]);
    expect(await rows()).toEqual([]);
    expect(await responses()).toEqual([]);
  });

  it("is not for devices in queue mode, streams, or who is not there", async () => {
    const refused = async (options: Parameters<typeof gateway>[0], leave = false) => {
      const { enqueue, registration } = await gateway(options);
      if (leave) registration.peer?.close();
      return (await enqueue({ noResponse: true })).refused;
    };
    expect(await refused({ queueMode: 1 })).toBe("NO_RESPONSE_NOT_SUPPORTED");
    expect(await refused({ transport: "tls" })).toBe("NO_RESPONSE_NOT_SUPPORTED");
    expect(await refused({}, true)).toBe("DEVICE_NOT_CONNECTED");
  });
});

describe("a device in queue mode", () => {
  it("is asked nothing while it sleeps, and everything when it is back [QUE-04, QUE-09, QUE-11]", async () => {
    const { enqueue, sent, settle, update, responses } = await gateway({ queueMode: 1 });
    await clock.advance(AWAKE_MS);
    await enqueue({ asyncId: "a" });
    await enqueue({ asyncId: "b", method: "POST", uri: "/3/0/4" });
    await clock.advance(HOUR);
    expect(sent).toEqual([]);
    await update();
    await settle();
    expect(sent).toHaveLength(1);
    sent[0]?.answer("2.05", "x");
    await settle();
    expect(sent).toHaveLength(2);
    sent[1]?.answer("2.04");
    await settle();
    expect((await responses()).map(({ id, status }) => [id, status])).toEqual([
      ["a", 200],
      ["b", 200],
    ]);
  });

  it("sleeps when it does not answer; the request waits for it twice more and ends then [QUE-03]", async () => {
    const { enqueue, sent, settle, update, responses, rows } = await gateway({ queueMode: 1 });
    await enqueue({ asyncId: "a", method: "POST", uri: "/3/0/4" });
    await settle();
    for (let attempt = 1; attempt <= 3; attempt++) {
      expect(await rows()).toMatchObject([{ sent: true, retriesLeft: 3 - attempt }]);
      sent[attempt - 1]?.fail("timeout");
      await settle();
      await clock.advance(10_000);
      expect(sent).toHaveLength(attempt);
      if (attempt < 3) {
        expect(await rows()).toMatchObject([{ sent: false, retriesLeft: 2 - attempt }]);
        await update();
        await settle();
      }
    }
    expect(await responses()).toEqual([{ id: "a", status: 504, payload: "", error: "TIMEOUT" }]);
    expect(await rows()).toEqual([]);
  });

  it("has three days to come", async () => {
    const { enqueue, sent, update, responses, settle } = await gateway({ queueMode: 1 });
    await clock.advance(AWAKE_MS);
    await enqueue({ asyncId: "late" });
    await clock.advance(3 * DAY - 10_000);
    expect(await responses()).toEqual([]);
    await clock.advance(20_000);
    expect(await responses()).toEqual([{ id: "late", status: 429, payload: "", error: "REQUEST_EXPIRED" }]);
    await update();
    await settle();
    expect(sent).toEqual([]);
  });
});

describe("a device that does not answer", () => {
  it("is not asked again, unless the application wants it", async () => {
    const { enqueue, sent, settle, responses } = await gateway();
    await enqueue({ asyncId: "a" });
    await enqueue({ asyncId: "b" });
    await settle();
    sent[0]?.fail("timeout");
    await settle();
    expect(await responses()).toMatchObject([{ id: "a", status: 504, error: "TIMEOUT" }]);
    expect(sent).toHaveLength(2);
  });

  it("is asked once more at once, and then when it is heard again", async () => {
    const { enqueue, sent, settle, update, responses } = await gateway();
    await enqueue({ asyncId: "a", retry: 3 });
    await enqueue({ asyncId: "b" });
    await settle();
    sent[0]?.fail("timeout");
    await settle();
    expect(sent).toHaveLength(2);
    sent[1]?.fail("timeout");
    await settle();
    await clock.advance(HOUR);
    expect(sent).toHaveLength(2);
    await update();
    await settle();
    sent[2]?.fail("timeout");
    await settle();
    sent[3]?.answer("2.05", "x");
    await settle();
    expect(await responses()).toMatchObject([{ id: "a", status: 200 }]);
    expect(sent).toHaveLength(5);
  });

  it("has what was behind it asked when the request expires", async () => {
    const { enqueue, sent, settle, responses } = await gateway();
    await enqueue({ asyncId: "a", retry: 10, expirySeconds: 600 });
    await enqueue({ asyncId: "b" });
    await settle();
    sent[0]?.fail("timeout");
    await settle();
    sent[1]?.fail("timeout");
    await settle();
    await clock.advance(600_000);
    await settle();
    expect(await responses()).toMatchObject([{ id: "a", status: 429, error: "REQUEST_EXPIRED" }]);
    expect(sent).toHaveLength(3);
  });

  it("is heard out when the time is over in the middle of it", async () => {
    const { enqueue, sent, settle, responses } = await gateway();
    await enqueue({ asyncId: "slow", expirySeconds: 60, retry: 5 });
    await enqueue({ asyncId: "lost", expirySeconds: 60, retry: 5 });
    await settle();
    await clock.advance(61_000);
    sent[0]?.answer("2.05", "x");
    await settle();
    expect(await responses()).toMatchObject([
      { id: "lost", status: 429 },
      { id: "slow", status: 200 },
    ]);
    await enqueue({ asyncId: "twice", expirySeconds: 60, retry: 5 });
    await settle();
    await clock.advance(61_000);
    sent[1]?.fail("timeout");
    await settle();
    expect((await responses()).at(-1)).toMatchObject({ id: "twice", error: "REQUEST_EXPIRED" });
  });
});

describe("a connection that is lost", () => {
  it("ends the request that was under way", async () => {
    for (const [transport, status, error] of [
      ["udp", 503, "NOT_CONNECTED"],
      ["tls", 502, "CONNECTION_FAILED"],
    ] as const) {
      owner = newId();
      const { enqueue, sent, settle, responses, registration } = await gateway({ transport });
      await enqueue();
      await enqueue();
      await settle();
      registration.peer?.close();
      sent[0]?.fail("closed");
      await settle();
      expect(await responses()).toMatchObject([{ status, error, payload: "" }]);
      // The next one waits for the device.
      expect(sent).toHaveLength(1);
    }
  });

  it("is forgiven once when the device goes on in another one", async () => {
    const { enqueue, sent, settle, update, responses, registration, connect } = await gateway();
    await enqueue({ asyncId: "get" });
    await settle();
    for (const [attempt, status] of [
      [0, null],
      [1, 503],
    ] as const) {
      registration.peer = connect();
      sent[attempt]?.fail(attempt === 0 ? "closed" : "cancelled");
      await update();
      await settle();
      expect((await responses())[0]?.status ?? null).toBe(status);
    }
    await enqueue({ asyncId: "late", expirySeconds: 60 });
    await settle();
    await clock.advance(61_000);
    registration.peer = connect();
    sent[2]?.fail("cancelled");
    await settle();
    expect((await responses())[1]).toMatchObject({ id: "late", error: "REQUEST_EXPIRED" });
    await enqueue({ asyncId: "post", method: "POST", uri: "/3/0/4" });
    await settle();
    registration.peer = connect();
    sent[3]?.fail("closed");
    await settle();
    expect(await responses()).toMatchObject([{ id: "get" }, { id: "late" }, { id: "post", status: 503 }]);
    expect(sent).toHaveLength(4);
  });
});

describe("the end of a registration", () => {
  it("ends what waits and what is under way", async () => {
    const { enqueue, sent, settle, requests, registration, directory, deviceId, responses, rows, errors } =
      await gateway();
    await enqueue({ asyncId: "a" });
    await enqueue({ asyncId: "b", method: "PUT", uri: "/3/0/14" });
    await settle();
    directory.removeRegistration(registration);
    requests.left(deviceId);
    sent[0]?.fail("cancelled");
    await settle();
    const error = "DEVICE_REMOVED_REGISTRATION";
    expect(await responses()).toMatchObject([
      { id: "a", status: 429, error, payload: "" },
      { id: "b", status: 429, error, payload: "" },
    ]);
    expect(await rows()).toEqual([]);
    expect(errors).toEqual([]);
  });

  it("is told to owners when the device is deleted", async () => {
    const { enqueue, settle, requests, directory, deviceId, responses, errors } = await gateway();
    await enqueue({ asyncId: "a" });
    await database.db.device.delete({ where: { id: deviceId } });
    directory.removeDevice(deviceId);
    requests.left(deviceId);
    await settle();
    expect(await responses()).toMatchObject([{ id: "a", error: "DEVICE_REMOVED_REGISTRATION" }]);
    expect(errors).toEqual([]);
  });

  it("has another name when the device is suspended", async () => {
    const { enqueue, settle, requests, device, deviceId, responses } = await gateway();
    await enqueue({ asyncId: "a" });
    device.suspended = true;
    requests.left(deviceId);
    await settle();
    expect(await responses()).toMatchObject([{ id: "a", status: 429, error: "DEVICE_BLOCKED" }]);
  });
});

it("forgets the requests of an owner that is gone", async () => {
  const { enqueue, sent, settle, requests, responses, done } = await gateway();
  const gone = newId();
  await enqueue({ ownerId: gone, asyncId: "under way" });
  await enqueue({ ownerId: gone, asyncId: "waiting" });
  await enqueue({ asyncId: "mine" });
  await settle();
  await done(requests.reloadOwner(gone));
  expect(sent).toHaveLength(1);
  await database.db.deviceRequest.deleteMany({ where: { ownerId: gone } });
  await done(requests.reloadOwner(gone));
  sent[0]?.answer("2.05", "x");
  await settle();
  sent.at(-1)?.answer("2.05", "y");
  await settle();
  expect(await responses(gone)).toEqual([]);
  expect(await responses()).toMatchObject([{ id: "mine", payload: "y" }]);
});

describe("a restart", () => {
  it("asks again what may be asked twice, and answers for the rest", async () => {
    for (const method of ["GET", "PUT", "POST", "DELETE"] as const) {
      owner = newId();
      const before = await gateway();
      await before.enqueue({ method, uri: "/3/0/14", asyncId: "under-way" });
      await before.enqueue({ method, uri: "/3/0/15", asyncId: "waiting" });
      await before.settle();
      expect(before.sent).toHaveLength(1);
      const after = await before.again();
      const twice = method === "GET" || method === "PUT";
      expect(await after.responses(), method).toEqual(
        twice ? [] : [{ id: "under-way", status: 504, payload: "", error: "TIMEOUT" }],
      );
      expect(after.sent.map(({ path }) => path.at(-1))).toEqual([twice ? "14" : "15"]);
      // What the old process hears now is nobody's business.
      before.sent[0]?.answer("2.04");
      await before.settle();
      after.sent[0]?.answer("2.04");
      await after.settle();
      if (twice) after.sent[1]?.answer("2.04");
      await after.settle();
      expect((await after.responses()).map(({ id }) => id)).toEqual(["under-way", "waiting"]);
      expect(await after.rows()).toEqual([]);
    }
  });

  it("sends a request that waited for its device's next contact", async () => {
    const before = await gateway({ queueMode: 1 });
    await before.enqueue({ method: "POST", uri: "/3/0/4", asyncId: "again" });
    await before.settle();
    before.sent[0]?.fail("timeout");
    await before.settle();
    await clock.advance(AWAKE_MS);
    const after = await before.again();
    expect(await after.responses()).toEqual([]);
    expect(after.sent).toEqual([]);
    await after.update();
    await after.settle();
    after.sent[0]?.answer("2.04");
    await after.settle();
    expect(await after.responses()).toMatchObject([{ id: "again", status: 200 }]);
  });

  it("sends what was marked, but not sent because its device had just gone", async () => {
    const before = await gateway();
    const taken = before.enqueue({ method: "POST", uri: "/3/0/4", asyncId: "just" });
    before.registration.peer?.close();
    await taken;
    await before.settle();
    expect(before.sent).toEqual([]);
    expect(await before.rows()).toMatchObject([{ sent: false }]);
    const after = await before.again();
    expect(after.sent).toMatchObject([{ method: "POST" }]);
    expect(await after.responses()).toEqual([]);
  });

  it("ends what expired, or whose device left or was suspended, in the meantime", async () => {
    for (const [error, more] of [
      ["REQUEST_EXPIRED", {}],
      ["DEVICE_REMOVED_REGISTRATION", { registered: false }],
      ["DEVICE_BLOCKED", { suspended: true }],
    ] as const) {
      owner = newId();
      const before = await gateway({ queueMode: 1 });
      await clock.advance(AWAKE_MS);
      await before.enqueue({ asyncId: "a", expirySeconds: 60 });
      before.requests.stop();
      if (error === "REQUEST_EXPIRED") await clock.advance(60_000);
      const after = await before.again(more);
      expect(await after.responses()).toMatchObject([{ id: "a", status: 429, error }]);
      expect(await after.rows()).toEqual([]);
      expect(after.sent).toEqual([]);
    }
  });

  it("keeps the order of many", async () => {
    const before = await gateway({ queueMode: 1 });
    await clock.advance(AWAKE_MS);
    for (let count = 0; count < 20; count++) await before.enqueue({ asyncId: `r${count}` });
    const after = await before.again();
    expect(await after.enqueue()).toEqual({ refused: "QUEUE_IS_FULL" });
    await after.update();
    for (let count = 0; count < 20; count++) {
      await after.settle();
      after.sent[count]?.answer("2.05", "x");
    }
    await after.settle();
    expect((await after.responses()).map(({ id }) => id)).toEqual(
      Array.from({ length: 20 }, (_, count) => `r${count}`),
    );
  });
});
