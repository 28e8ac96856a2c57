import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseTime } from "@/server/services/filter";
import { newId } from "@/server/services/ids";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
const T0 = Date.UTC(2026, 0, 31, 12);
const ids: string[] = [];

beforeAll(async () => {
  bench = await openApiBench();
  const states = ["unenrolled", "bootstrapped", "registered", "registered", "deregistered"];
  for (const [n, state] of states.entries()) {
    const id = newId(T0 + n);
    ids.push(id);
    const at = new Date(T0 + n * 1000);
    await bench.db.device.create({
      data: {
        id,
        accountId: bench.b.id,
        identity: `ep:device-${n}`,
        endpointName: `device-${n}`,
        name: `Device ${n}`,
        endpointType: n < 2 ? "lamp" : 'it\'s, "odd"',
        state,
        executionMode: n === 4 ? 5 : 1,
        deviceKey: String(n).repeat(64),
        customAttributes: JSON.stringify({ colour: n % 2 ? "red" : "blue", 'q"uote.$': "x" }),
        connectorExpirationDate: n === 0 ? null : new Date(T0 + n * 86_400_000),
        bootstrappedAt: n === 0 ? null : at,
        createdAt: at,
        updatedAt: at,
      },
    });
  }
});
afterAll(() => bench.close());

const numbers = async (query: string) => {
  const { body } = await bench.call(bench.b.developer, "GET", `/v3/devices?${query}`);
  return (body.data as { id: string }[]).map(({ id }) => ids.indexOf(id));
};

describe("the directory", () => {
  it("shows a device with every field of the contract", async () => {
    const { body } = await bench.call(bench.b.developer, "GET", `/v3/devices/${ids[1]}/`);
    expect(body).toMatchObject({
      object: "device",
      account_id: bench.b.id,
      endpoint_name: "device-1",
      state: "bootstrapped",
      deployed_state: "development",
      device_key: Array(32).fill("11").join(":"),
      connector_expiration_date: "2026-02-01",
      bootstrap_expiration_date: null,
      bootstrapped_timestamp: "2026-01-31T12:00:01.000Z",
      etag: "2026-01-31T12:00:01.000Z",
      custom_attributes: { colour: "red", 'q"uote.$': "x" },
    });
  });

  it("is read page by page in both directions", async () => {
    expect(await numbers("limit=2")).toEqual([0, 1]);
    expect(await numbers(`limit=2&after=${ids[1]}`)).toEqual([2, 3]);
    expect(await numbers(`limit=3&after=${ids[3]}&order=DESC`)).toEqual([2, 1, 0]);
    const { body } = await bench.call(bench.b.developer, "GET", "/v3/devices?limit=1&include=total_count");
    expect(body).toMatchObject({
      object: "list",
      limit: 2,
      has_more: true,
      total_count: 5,
      order: "ASC",
      after: null,
    });
    expect((await bench.call(bench.b.developer, "GET", "/v3/devices?limit=5000")).body).toMatchObject({
      limit: 1000,
    });
    expect((await bench.call(bench.b.developer, "GET", "/v3/devices")).body).not.toHaveProperty(
      "total_count",
    );
    for (const bad of ["limit=x", "after=x", "order=UP"])
      expect((await bench.call(bench.b.developer, "GET", `/v3/devices?${bad}`)).body.type).toBe(
        "validation_error",
      );
  });

  it("is filtered in both syntaxes", async () => {
    const cases: [string, number[]][] = [
      ["state__eq=registered", [2, 3]],
      ["state=registered", [2, 3]],
      ["state__neq=registered", [0, 1, 4]],
      ["state__in=registered,bootstrapped", [1, 2, 3]],
      ["state__nin=registered,bootstrapped", [0, 4]],
      ["name__eq=Device 3", [3]],
      ['endpoint_type__eq=it\'s, "odd"', [2, 3, 4]],
      ["device_execution_mode__eq=5", [4]],
      ["device_execution_mode__in=1,5", [0, 1, 2, 3, 4]],
      ["deployed_state__eq=production", [4]],
      [`id__in=${ids[0]},${ids[4]}`, [0, 4]],
      [`device_key__eq=${Array(32).fill("22").join(":")}`, [2]],
      [`device_key__eq=${"2".repeat(64)}`, [2]],
      ["created_at__gte=2026-01-31T12:00:03Z", [3, 4]],
      ["created_at__lte=20260131T120001Z", [0, 1]],
      ["created_at__lte=2026-01-31T13:00:01.000+01:00", [0, 1]],
      ["etag__eq=2026-01-31T12:00:02.000Z", [2]],
      ["connector_expiration_date__gte=2026-02-03", [3, 4]],
      ["bootstrapped_timestamp__neq=2026-01-31T12:00:01.000Z", [0, 2, 3, 4]],
      ["ca_id__neq=x", [0, 1, 2, 3, 4]],
      ["auto_update__eq=True", []],
      ["operator_suspended__eq=false", [0, 1, 2, 3, 4]],
      ["lifecycle_status__eq=enabled", [0, 1, 2, 3, 4]],
      ["firmware_checksum__eq=x", []],
      ["custom_attributes__colour=red", [1, 3]],
      ["custom_attributes__colour__eq=blue", [0, 2, 4]],
      ['custom_attributes__q"uote.$=x', [0, 1, 2, 3, 4]],
      ["custom_attributes__colour=red&state=registered", [3]],
      ["name__eq=' OR 1=1 --", []],
    ];
    for (const [condition, expected] of cases) {
      const direct = condition
        .split("&")
        .map((part) => {
          const [name = "", ...value] = part.split("=");
          return `${encodeURIComponent(name)}=${encodeURIComponent(value.join("="))}`;
        })
        .join("&");
      expect(await numbers(direct), condition).toEqual(expected);
      expect(await numbers(`filter=${encodeURIComponent(condition)}`), `filter ${condition}`).toEqual(
        expected,
      );
      // The values encoded once more.
      expect(await numbers(`filter=${encodeURIComponent(direct)}`), `encoded ${condition}`).toEqual(expected);
    }
    expect(await numbers("filter=")).toEqual([0, 1, 2, 3, 4]);
  });

  it("says which condition it does not understand", async () => {
    for (const bad of [
      "stat__eq=registered",
      "stat=registered",
      "endpointname=x",
      "filter=&whatever=1",
      "state__gte=registered",
      "state__foo=registered",
      "auto_update__in=true",
      "auto_update__eq=maybe",
      "created_at__gte=yesterday",
      "device_execution_mode__eq=one",
      "custom_attributes__colour__neq=red",
      "custom_attributes__=red",
      "filter=nothing",
      "filter=stat%3Dregistered",
      "name__like=x",
    ]) {
      const { status, body } = await bench.call(bench.b.developer, "GET", `/v3/devices?${bad}`);
      expect([status, body.type], bad).toEqual([400, "validation_error"]);
    }
  });
});

describe("a directory entry", () => {
  it("is made before its device comes, and the gateway is told", async () => {
    const made = await bench.call(bench.a.developer, "POST", "/v3/devices", {
      endpoint_name: "early",
      name: "Early",
      vendor_id: "v",
      serial_number: "s",
      mechanism: "connector",
      state: "unenrolled",
      host_gateway: null,
      bootstrap_expiration_date: "2027-01-01",
      custom_attributes: { place: "hall" },
    });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      state: "unenrolled",
      endpoint_name: "early",
      vendor_id: "v",
      serial_number: "s",
      mechanism: "connector",
      bootstrap_expiration_date: "2027-01-01",
      custom_attributes: { place: "hall" },
    });
    expect(bench.asked.at(-1)).toEqual({
      op: "device.added",
      input: { accountId: bench.a.id, deviceId: made.body.id },
    });
    const again = await bench.call(bench.a.developer, "POST", "/v3/devices", { endpoint_name: "early" });
    expect([again.status, again.body.type]).toEqual([409, "duplicate"]);
    // A name belongs to one account only.
    expect(
      (await bench.call(bench.b.developer, "POST", "/v3/devices", { endpoint_name: "early" })).status,
    ).toBe(201);
    for (const bad of [
      { endpoint_name: "a\nb" },
      { endpoint_name: "x".repeat(129) },
      { ca_id: "x" },
      { ca_id: newId() },
      { device_key: "a".repeat(64) },
      { mechanism: "magic" },
      { custom_attributes: { "1x": "y" } },
      { custom_attributes: Object.fromEntries([..."abcdef"].map((name) => [name, "x"])) },
      { description: "x".repeat(2001) },
    ])
      expect(
        (await bench.call(bench.a.developer, "POST", "/v3/devices", bad)).status,
        JSON.stringify(bad),
      ).toBe(400);
    const event = (await bench.call(bench.a.developer, "GET", `/v3/device-events?device_id=${made.body.id}`))
      .body.data[0];
    expect(event).toMatchObject({ event_type: "device.created", event_type_description: "SUCCESS" });
  });

  it("is changed in what people say of it, and in nothing else", async () => {
    const { id } = (await bench.call(bench.a.developer, "POST", "/v3/devices", { endpoint_name: "change" }))
      .body;
    const path = `/v3/devices/${id}`;
    const read = (await bench.call(bench.a.developer, "GET", path)).body;
    // As the SDKs do it: everything that was read is sent back.
    const changed = await bench.call(bench.a.developer, "PUT", `${path}/`, {
      ...read,
      name: "New",
      custom_attributes: { a: "b" },
      auto_update: true,
    });
    expect(changed.body).toMatchObject({ name: "New", custom_attributes: { a: "b" }, auto_update: true });
    expect(Date.parse(changed.body.etag)).toBeGreaterThanOrEqual(Date.parse(read.etag));
    const cleared = await bench.call(bench.a.developer, "PUT", path, { custom_attributes: {}, name: null });
    expect(cleared.body).toMatchObject({ name: "New", custom_attributes: {} });
    for (const bad of [
      { endpoint_name: "other" },
      { ca_id: newId() },
      { device_key: "x" },
      { name: "x".repeat(129) },
    ])
      expect((await bench.call(bench.a.developer, "PUT", path, bad)).status, JSON.stringify(bad)).toBe(400);
    expect((await bench.call(bench.a.developer, "DELETE", path)).status).toBe(204);
    expect((await bench.call(bench.a.developer, "GET", path)).status).toBe(404);
  });

  it("of a production device stays", async () => {
    const { status, body } = await bench.call(bench.b.developer, "DELETE", `/v3/devices/${ids[4]}`);
    expect([status, body.type]).toEqual([400, "bad_request"]);
    expect((await bench.call(bench.b.developer, "DELETE", `/v3/devices/${ids[0]}`)).status).toBe(204);
  });
});

describe("events", () => {
  it("are listed, filtered and read under both names", async () => {
    const deviceId = ids[2] as string;
    const made: string[] = [];
    for (const [n, type] of [
      "bootstrap.device-created",
      "registration.registered",
      "device.updated",
    ].entries()) {
      const id = newId(T0 + 1000 * n);
      made.push(id);
      await bench.db.deviceEvent.create({
        data: {
          id,
          accountId: bench.b.id,
          deviceId,
          type,
          category: type.split(".")[0] ?? "",
          outcome: "SUCCESS",
          description: `Number ${n}.`,
          data: JSON.stringify({ text: "x", number: n, list: [1] }),
          stateChange: n < 2,
          at: new Date(T0 + 1000 * n),
        },
      });
    }
    const found = async (query: string, path = "/v3/device-events") =>
      (
        (await bench.call(bench.b.developer, "GET", `${path}/?device_id=${deviceId}&${query}`)).body.data as {
          id: string;
        }[]
      ).map(({ id }) => made.indexOf(id));
    expect(await found("")).toEqual([0, 1, 2]);
    expect(await found("order=DESC", "/v3/devicelog")).toEqual([2, 1, 0]);
    expect(await found("event_type=update.device.device-created")).toEqual([0]);
    expect(await found("event_type__in=update.device.device-updated,registration.registered")).toEqual([
      1, 2,
    ]);
    expect(await found("state_change__eq=True")).toEqual([0, 1]);
    expect(await found("date_time__gte=2026-01-31T12:00:01.000Z")).toEqual([1, 2]);
    expect(await found("description__eq=Number 1.")).toEqual([1]);
    for (const path of ["/v3/device-events", "/v3/devicelog"]) {
      const { body } = await bench.call(bench.b.developer, "GET", `${path}/${made[0]}/`);
      expect(body).toMatchObject({
        object: "device-event",
        device_id: deviceId,
        date_time: "2026-01-31T12:00:00.000Z",
        event_type: "update.device.device-created",
        event_type_category: "bootstrap",
        event_type_description: "SUCCESS",
        state_change: true,
        data: { text: "x", number: "0", list: "[1]" },
      });
    }
  });
});

describe("endpoints", () => {
  const register = async (deviceId: string, objectLinks: string, expiresAt = Date.now() + 60_000) => {
    const now = new Date();
    await bench.db.registration.create({
      data: {
        deviceId,
        id: deviceId,
        accountId: bench.b.id,
        endpointName: "x",
        lifetime: 60,
        lwm2mVersion: "1.1",
        binding: "UQ",
        queueMode: true,
        objectLinks,
        address: "192.0.2.1:5683",
        transport: "dtls",
        registeredAt: now,
        updatedAt: now,
        expiresAt: new Date(expiresAt),
      },
    });
  };

  it("tell the structure of a registration", async () => {
    const [, gone = "", pelion = "", standard = ""] = ids;
    await register(pelion, '</3/0/0>;rt="maker";ct=0,</3303/0/5700>;obs;ct=11542;v="1"');
    await register(standard, "</1/0>,</3/0>,</3303>;ver=1.1,</3303/0>");
    await bench.db.resourceValue.create({
      data: { deviceId: standard, path: "/3/0/9", value: "{}", at: new Date(), source: "read" },
    });
    await register(gone, "</3/0>", Date.now() - 1000);
    const { body: list } = await bench.call(bench.b.developer, "GET", "/v2/endpoints");
    expect(list).toEqual([
      { name: pelion, type: 'it\'s, "odd"', status: "ACTIVE", q: true },
      { name: standard, type: 'it\'s, "odd"', status: "ACTIVE", q: true },
    ]);
    expect((await bench.call(bench.b.developer, "GET", "/v2/endpoints?type=lamp")).body).toEqual([]);
    expect((await bench.call(bench.b.developer, "GET", `/v2/endpoints/${pelion}`)).body).toEqual([
      { uri: "/3/0/0", rt: "maker", obs: false, type: "text/plain" },
      { uri: "/3303/0/5700", rt: "", obs: true, type: "application/vnd.oma.lwm2m+tlv" },
    ]);
    const { body } = await bench.call(bench.b.developer, "GET", `/v2/endpoints//${standard}/`);
    const uris = (body as { uri: string }[]).map(({ uri }) => uri);
    expect(uris).toEqual(
      expect.arrayContaining(["/1/0", "/1/0/1", "/3/0", "/3/0/9", "/3/0/11", "/3303/0/5700"]),
    );
    expect(uris).not.toContain("/3303");
    expect(uris).not.toContain("/3/0/0");
    const none = await bench.call(bench.b.developer, "GET", `/v2/endpoints/${gone}`);
    expect([none.status, none.text]).toEqual([404, "RESOURCE_NOT_FOUND"]);
    expect(none.headers.get("content-type")).toContain("text/plain");
  });
});

describe("times in filters", () => {
  it("are read in every form that clients send", () => {
    expect(parseTime("2016-11-30T16:25:12.000Z")).toBe(Date.UTC(2016, 10, 30, 16, 25, 12));
    expect(parseTime("20161130T162512Z")).toBe(Date.UTC(2016, 10, 30, 16, 25, 12));
    expect(parseTime("2016-11-30T16:25:12.1234567Z")).toBe(Date.UTC(2016, 10, 30, 16, 25, 12, 123));
    expect(parseTime("2016-11-30T18:25:12+02:00")).toBe(Date.UTC(2016, 10, 30, 16, 25, 12));
    expect(parseTime("2016-11-30")).toBe(Date.UTC(2016, 10, 30));
    for (const bad of ["", "2016", "2016-02-30", "2016-13-01", "2016-11-30T25:00:00Z", "x"])
      expect(parseTime(bad), bad).toBeNull();
  });
});
