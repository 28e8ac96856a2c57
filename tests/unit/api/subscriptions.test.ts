import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { newId } from "@/server/services/ids";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
let device: string;
let stranger: string;

beforeAll(async () => {
  bench = await openApiBench();
  [device, stranger] = (await Promise.all(
    [bench.a, bench.b].map(async ({ id: accountId }) => {
      const id = newId();
      await bench.db.device.create({ data: { id, accountId, identity: `ep:${id}`, endpointName: id } });
      return id;
    }),
  )) as [string, string];
});
afterAll(() => bench.close());
beforeEach(() => {
  bench.asked.length = 0;
  for (const op of Object.keys(bench.answers)) delete bench.answers[op as keyof typeof bench.answers];
});

const call = (method: string, path: string, body?: unknown) =>
  bench.call(bench.a.developer, method, `/v2/subscriptions${path}`, body);
const inputs = (op: string) => bench.asked.filter((asked) => asked.op === op).map(({ input }) => input);
const audited = async () =>
  (
    await bench.db.auditEntry.findMany({
      where: { objectType: { in: ["subscription", "presubscriptions"] } },
      orderBy: { id: "asc" },
    })
  ).map(({ action, actor, objectId }) => [action, actor, objectId]);

describe("subscriptions", () => {
  it("begin at once or when the device has answered", async () => {
    bench.answers["subscription.put"] = () => ({ state: "pending", refused: null });
    const pending = await call("PUT", `/${device}//3200/0/5501`);
    expect(pending.status).toBe(202);
    const [asked] = inputs("subscription.put");
    expect(asked).toMatchObject({
      accountId: bench.a.id,
      deviceId: device,
      path: "/3200/0/5501",
      asyncId: pending.body["async-response-id"],
      actor: "key:developer",
    });
    bench.answers["subscription.put"] = () => ({ state: "active", refused: null });
    const active = await call("PUT", `/${device}/3200`, "");
    expect([active.status, active.text]).toEqual([200, ""]);
    expect(await audited()).toEqual([
      ["subscription.created", "key:developer", device],
      ["subscription.created", "key:developer", device],
    ]);
    for (const [refused, status] of [
      ["DEVICE_NOT_FOUND", 404],
      ["RESOURCE_NOT_FOUND", 404],
      ["QUEUE_IS_FULL", 429],
    ] as const) {
      bench.answers["subscription.put"] = () => ({ state: null, refused });
      const answer = await call("PUT", `/${device}/3200/0`);
      expect([answer.status, answer.text]).toEqual([status, refused]);
    }
    expect((await call("PUT", `/${device}/abc`)).status).toBe(404);
  });

  it("are listed a path per line", async () => {
    bench.answers["subscription.list"] = () => ({ paths: ["/3/0/0", "/3303"] });
    const listed = await call("GET", `/${device}`);
    expect(listed.headers.get("content-type")).toBe("text/uri-list");
    expect(listed.text).toBe("/3/0/0\n/3303");
    expect((await call("GET", `/${device}/3303`)).status).toBe(200);
    expect((await call("GET", `/${device}/3303/0`)).status).toBe(404);
    bench.answers["subscription.list"] = () => ({ paths: [] });
    expect((await call("GET", `/${device}`)).text).toBe("RESOURCE_NOT_FOUND");
  });

  it("end, and need not be there for that", async () => {
    let removed = 1;
    bench.answers["subscription.remove"] = () => ({ removed: removed-- });
    const before = (await audited()).length;
    expect((await call("DELETE", `/${device}/3/0/0`)).status).toBe(204);
    expect((await call("DELETE", `/${device}`, "")).status).toBe(204);
    expect((await call("DELETE", `/${device}/abc`)).status).toBe(204);
    expect(inputs("subscription.remove")).toMatchObject([
      { deviceId: device, path: "/3/0/0" },
      { deviceId: device, path: null },
    ]);
    expect((await audited()).slice(before)).toEqual([["subscription.deleted", "key:developer", device]]);
  });

  it("of devices of another account are not there", async () => {
    for (const [method, path] of [
      ["GET", ""],
      ["DELETE", ""],
      ["GET", "/3/0"],
      ["PUT", "/3/0"],
      ["DELETE", "/3/0"],
    ])
      for (const id of [stranger, newId(), "nobody"])
        expect((await call(method as string, `/${id}${path}`)).status, `${method} ${id}${path}`).toBe(404);
    expect(bench.asked).toEqual([]);
  });

  it("wait for the gateway", async () => {
    expect((await call("PUT", `/${device}/3/0`)).status).toBe(503);
    expect((await call("GET", `/${device}`)).status).toBe(503);
  });
});

describe("pre-subscriptions", () => {
  it("are replaced, told to the gateway, shown and deleted", async () => {
    expect((await call("GET", "")).body).toEqual([]);
    const entries = [
      { "endpoint-name": "*", "resource-path": [] },
      { "endpoint-type": "Light", "resource-path": ["3200*", "/3303//*", "/3303/*"] },
      { "endpoint-name": null, "resource-path": ["/3/0/13"] },
    ];
    expect((await call("PUT", "", entries)).status).toBe(204);
    expect((await call("GET", "/")).body).toEqual([
      { "endpoint-name": "*", "resource-path": [] },
      { "endpoint-type": "Light", "resource-path": ["/3200*", "/3303/*"] },
      { "resource-path": ["/3/0/13"] },
    ]);
    expect(inputs("owner.reload")).toHaveLength(1);
    expect((await bench.call(bench.a.admin, "GET", "/v2/subscriptions")).body).toEqual([]);
    expect((await bench.call(bench.b.admin, "GET", "/v2/subscriptions")).body).toEqual([]);
    await bench.call(bench.b.admin, "DELETE", "/v2/subscriptions");
    expect((await call("PUT", "", [{ "endpoint-name": "node*" }])).status).toBe(204);
    expect((await call("GET", "")).body).toEqual([{ "endpoint-name": "node*", "resource-path": [] }]);
    expect((await call("PUT", "", [])).status).toBe(204);
    expect((await call("GET", "")).body).toEqual([]);
    await call("PUT", "", [{}]);
    expect((await call("GET", "")).body).toEqual([{ "resource-path": [] }]);
    expect((await call("DELETE", "")).status).toBe(204);
    expect((await call("GET", "")).body).toEqual([]);
    expect((await audited()).filter(([action]) => action === "presubscriptions.updated")).toHaveLength(5);
  });

  it("have limits", async () => {
    const paths = (count: number) => Array.from({ length: count }, (_, n) => `/3303/${n}`);
    const good = [
      [{ "endpoint-name": "x".repeat(64), "endpoint-type": "y".repeat(64) }],
      [{ "resource-path": [`/${"1".repeat(127)}`] }],
      [{ "resource-path": paths(256) }, { "resource-path": paths(256) }],
      Array.from({ length: 1024 }, (_, n) => ({ "endpoint-name": `node-${n}` })),
    ];
    for (const entries of good) expect((await call("PUT", "", entries)).status).toBe(204);
    expect((await call("GET", "")).body).toHaveLength(1024);
    for (const wrong of [
      "",
      {},
      [1],
      "nothing",
      [{ "endpoint-name": "x".repeat(65) }],
      [{ "endpoint-name": "a*b" }],
      [{ "endpoint-type": "y".repeat(65) }],
      [{ "resource-path": "/3" }],
      [{ "resource-path": ["/3/*/0"] }],
      [{ "resource-path": [`/${"1".repeat(128)}`] }],
      [{ "resource-path": paths(257) }],
      Array.from({ length: 1025 }, () => ({})),
    ])
      expect((await call("PUT", "", wrong)).status, JSON.stringify(wrong).slice(0, 80)).toBe(400);
    expect((await call("GET", "")).body).toHaveLength(1024);
  });
});
