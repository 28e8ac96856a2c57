import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newId } from "@/server/services/ids";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
let device: string;
let other: string;
const T0 = Date.UTC(2026, 0, 31, 12);
const at = (seconds: number) => new Date(T0 + seconds * 1000);
const base64 = (text: string) => Buffer.from(text).toString("base64");

beforeAll(async () => {
  bench = await openApiBench();
  [device, other] = (await Promise.all(
    [bench.a, bench.b].map(async ({ id: accountId }) => {
      const id = newId();
      await bench.db.device.create({
        data: { id, accountId, identity: "ep:one", endpointName: "one", createdAt: at(0) },
      });
      for (const [n, outcome] of ["SUCCESS", "FAIL", "SKIPPED", "INFO"].entries())
        await bench.db.deviceEvent.create({
          data: {
            id: newId(T0 + n * 1000),
            accountId,
            deviceId: id,
            type: n % 2 ? "resource.failed" : "resource.read",
            category: "resource",
            outcome,
            description: `Line ${n}.`,
            at: at(n),
          },
        });
      return id;
    }),
  )) as [string, string];
  await bench.db.deviceEvent.create({
    data: {
      id: newId(),
      accountId: bench.a.id,
      type: "handshake.failed",
      category: "connection",
      outcome: "FAIL",
      description: "A knock.",
      at: at(9),
    },
  });
});
afterAll(() => bench.close());

describe("the echo of a device", () => {
  it("shows reported and wanted values", async () => {
    const empty = await bench.call(bench.a.developer, "GET", `/v3/devices/${device}/echo`);
    expect(empty.body).toEqual({
      object: "device-echo",
      device_id: device,
      endpoint_name: "one",
      created_at: at(0).toISOString(),
      updated_at: at(0).toISOString(),
      last_reported_at: null,
      last_desired_at: null,
      resources: [],
    });
    await bench.db.resourceValue.createMany({
      data: [
        { path: "/3303/0/5700", value: { type: "float", value: 21.5 }, at: at(5) },
        { path: "/5/0/0", value: { type: "opaque", value: base64("bytes") }, at: at(4) },
        { path: "/3/0/6/0", value: { type: "integer", value: "1" }, at: at(3) },
      ].map(({ value, ...row }) => ({
        ...row,
        deviceId: device,
        value: JSON.stringify(value),
        source: "notify",
      })),
    });
    await bench.db.desiredValue.createMany({
      data: [
        { path: "/3303/0/5700", status: "ok", desiredAt: at(6), statusUpdatedAt: at(7) },
        { path: "/3/0/14", status: "pending", desiredAt: at(8), statusUpdatedAt: at(8) },
      ].map((row) => ({ ...row, deviceId: device, value: Buffer.from("20") })),
    });
    bench.answers["subscription.list"] = () => ({ paths: ["/3303/0", "/3340/0/5850"] });
    const { body } = await bench.call(bench.a.developer, "GET", `/v3/devices/${device}/echo`);
    expect(body).toMatchObject({
      updated_at: at(8).toISOString(),
      last_reported_at: at(5).toISOString(),
      last_desired_at: at(8).toISOString(),
    });
    expect(body.resources).toEqual([
      {
        resource_path: "/3/0/6/0",
        subscribed: false,
        reported: {
          value: base64("1"),
          content_type: "text/plain",
          reported_at: at(3).toISOString(),
          expires_at: at(63).toISOString(),
        },
      },
      {
        resource_path: "/3/0/14",
        subscribed: false,
        desired: {
          value: base64("20"),
          status: 0,
          desired_at: at(8).toISOString(),
          status_updated_at: at(8).toISOString(),
        },
      },
      {
        resource_path: "/5/0/0",
        subscribed: false,
        reported: expect.objectContaining({
          value: base64("bytes"),
          content_type: "application/octet-stream",
        }),
      },
      {
        resource_path: "/3303/0/5700",
        subscribed: true,
        reported: expect.objectContaining({ value: base64("21.5") }),
        desired: expect.objectContaining({ value: base64("20"), status: 1 }),
      },
      { resource_path: "/3340/0/5850", subscribed: true },
    ]);
  });

  it("forgets what was wanted", async () => {
    expect((await bench.call(bench.a.developer, "DELETE", `/v3/devices/${device}/echo`)).status).toBe(204);
    const { body } = await bench.call(bench.a.developer, "GET", `/v3/devices/${device}/echo`);
    expect(body.last_desired_at).toBe(null);
    expect(body.resources.some((one: object) => "desired" in one)).toBe(false);
    expect(await bench.db.auditEntry.count({ where: { action: "device.echo-cleared" } })).toBe(1);
    for (const method of ["GET", "DELETE"])
      for (const id of [other, newId(), "x"])
        expect((await bench.call(bench.a.developer, method, `/v3/devices/${id}/echo`)).status).toBe(404);
  });
});

describe("device logs", () => {
  const lines = async (path: string) =>
    (await bench.call(bench.a.developer, "GET", path)).body.data.map(
      ({ message, level }: { message: string; level: string }) => `${level} ${message}`,
    );

  it("are the timeline, the newest first", async () => {
    expect(await lines("/v3/device-logs")).toEqual([
      "INFO Line 3.",
      "WARNING Line 2.",
      "ERROR Line 1.",
      "INFO Line 0.",
    ]);
    expect(await lines(`/v3/devices/${device}/logs/?order=ASC&limit=2`)).toEqual([
      "INFO Line 0.",
      "ERROR Line 1.",
    ]);
    const { body } = await bench.call(bench.a.developer, "GET", "/v3/device-logs?include=total_count");
    expect(body).toMatchObject({ limit: 100, order: "DESC", has_more: false, total_count: 4 });
    const [first] = body.data;
    expect(first).toMatchObject({ app_name: "gangway", device_id: device, type: "resource.failed" });
    expect((await bench.call(bench.a.developer, "GET", `/v3/device-logs/${first.id}`)).body).toEqual(first);
  });

  it("are filtered", async () => {
    expect(await lines("/v3/device-logs?level__eq=ERROR")).toEqual(["ERROR Line 1."]);
    expect(await lines("/v3/device-logs?level__in=ERROR,WARNING")).toHaveLength(2);
    expect(await lines("/v3/device-logs?app_name__neq=gangway")).toEqual([]);
    expect(await lines("/v3/device-logs?app_name__eq=gangway&type__eq=resource.read")).toHaveLength(2);
    expect(await lines(`/v3/device-logs?device_id__eq=${other}`)).toEqual([]);
    const [from, to] = [at(1).toISOString(), at(2).toISOString()];
    expect(await lines(`/v3/device-logs?timestamp__gte=${from}&timestamp__lte=${to}`)).toHaveLength(2);
    expect(await lines(`/v3/devices/${device}/logs?filter=level%3DERROR`)).toEqual(["ERROR Line 1."]);
  });

  it("of another account are not there", async () => {
    const [line] = (await bench.call(bench.b.admin, "GET", "/v3/device-logs")).body.data;
    for (const path of [
      `/v3/device-logs/${line.id}`,
      `/v3/devices/${other}/logs`,
      `/v3/devices/${newId()}/logs`,
    ])
      expect((await bench.call(bench.a.developer, "GET", path)).status).toBe(404);
  });
});
