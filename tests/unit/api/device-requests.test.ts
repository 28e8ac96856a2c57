import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { DeviceRequestInput } from "@/server/bus/messages";
import { ServiceError } from "@/server/services/errors";
import { newId } from "@/server/services/ids";
import { requestUri } from "@/server/services/requests/send";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
let device: string;
let stranger: string;

async function addDevice(accountId: string): Promise<string> {
  const id = newId();
  const now = new Date();
  await bench.db.device.create({
    data: { id, accountId, identity: `ep:${id}`, endpointName: id, state: "registered" },
  });
  await bench.db.registration.create({
    data: {
      deviceId: id,
      id,
      accountId,
      endpointName: id,
      lifetime: 600,
      lwm2mVersion: "1.1",
      binding: "U",
      objectLinks: "</3/0>,</3303/0>",
      address: "192.0.2.1:5683",
      transport: "dtls",
      registeredAt: now,
      updatedAt: now,
      expiresAt: new Date(now.getTime() + 600_000),
    },
  });
  return id;
}

beforeAll(async () => {
  bench = await openApiBench();
  device = await addDevice(bench.a.id);
  stranger = await addDevice(bench.b.id);
});
afterAll(() => bench.close());
beforeEach(() => {
  bench.asked.length = 0;
  bench.answers["device.request"] = () => ({ refused: null });
});

const requests = () =>
  bench.asked.filter(({ op }) => op === "device.request").map(({ input }) => input as DeviceRequestInput);
const send = (query: string, body: unknown, id = device) =>
  bench.call(bench.a.developer, "POST", `/v2/device-requests/${id}${query}`, body);

describe("device requests", () => {
  it("are handed to the gateway and answered with nothing", async () => {
    const answer = await send("?async-id=A_b-1&retry=2&expiry-seconds=60", {
      method: "put",
      uri: "3303//0/5700?pmin=1",
      "content-type": "text/plain",
      "payload-b64": "MjE=",
    });
    expect([answer.status, answer.text]).toEqual([202, ""]);
    const owner = await bench.db.apiKey.findFirstOrThrow({
      where: { accountId: bench.a.id, role: "developer" },
    });
    expect(requests()).toEqual([
      {
        accountId: bench.a.id,
        deviceId: device,
        ownerId: owner.id,
        asyncId: "A_b-1",
        actor: "key:developer",
        method: "PUT",
        uri: "/3303/0/5700?pmin=1",
        accept: null,
        contentType: "text/plain",
        payload: "MjE=",
        retry: 2,
        expirySeconds: 60,
        noResponse: false,
      },
    ]);
  });

  it("may leave out, null or empty what is not needed", async () => {
    for (const body of [
      { method: "GET", uri: "/3/0/0" },
      { method: "GET", uri: "/3/0/0", accept: null, "content-type": null, "payload-b64": null },
      { method: "GET", uri: "/3/0/0", accept: "", "content-type": "", "payload-b64": "" },
      { method: "GET", uri: "/3/0/0", accept: "*/*", more: 1 },
    ])
      expect((await send("?async-id=x", body)).status).toBe(202);
    expect(new Set(requests().map((request) => JSON.stringify(request))).size).toBe(1);
    expect(requests()[0]).toMatchObject({ accept: null, contentType: null, payload: "", retry: null });
  });

  it("are refused with the words that applications know", async () => {
    const body = { method: "GET", uri: "/3/0/0" };
    const text = async (query: string, given: unknown, id?: string) => {
      const { status, text, headers } = await send(query, given, id);
      expect(headers.get("content-type")).toContain("text/plain");
      return `${status} ${text}`;
    };
    for (const query of ["", "?async-id=", "?async-id=a%20b", `?async-id=${"x".repeat(41)}`])
      expect(await text(query, body)).toBe("400 MALFORMED_ASYNC_ID");
    expect(await text("?async-id=x", "{not json")).toBe("400 MALFORMED_JSON_CONTENT");
    expect(await text("?async-id=x", { ...body, uri: "/abc/0" })).toBe("404 URI_PATH_DOES_NOT_EXISTS");
    expect(await text("?async-id=x", { ...body, uri: "/" })).toBe("404 URI_PATH_DOES_NOT_EXISTS");
    for (const id of [stranger, newId(), "nobody"])
      expect(await text("?async-id=x", body, id)).toBe("404 DEVICE_NOT_FOUND");
    for (const wrong of [
      {},
      { ...body, method: "PATCH" },
      { method: "GET" },
      { ...body, uri: 3 },
      { ...body, uri: "/3/0/0".repeat(300) },
      { ...body, "payload-b64": "§" },
      { ...body, "payload-b64": "AAAAA" },
      { ...body, "content-type": "image/png" },
      { ...body, uri: `/3/0/0?${"x".repeat(300)}` },
      [],
    ])
      expect((await send("?async-id=x", wrong)).status, JSON.stringify(wrong)).toBe(400);
    for (const query of ["retry=11", "retry=-1", "retry=x", "expiry-seconds=59", "expiry-seconds=2592001"])
      expect((await send(`?async-id=x&${query}`, body)).status).toBe(400);
    expect(requests()).toEqual([]);
    for (const [refused, status] of [
      ["RESOURCE_NOT_FOUND", 400],
      ["QUEUE_IS_FULL", 400],
      ["DEVICE_BLOCKED", 400],
      ["DEVICE_NOT_FOUND", 404],
    ] as const) {
      bench.answers["device.request"] = () => ({ refused });
      expect(await text("?async-id=x", body)).toBe(`${status} ${refused}`);
    }
    delete bench.answers["device.request"];
    expect((await send("?async-id=x", body)).status).toBe(503);
    expect((await bench.call(null, "POST", `/v2/device-requests/${device}?async-id=x`, body)).status).toBe(
      401,
    );
  });

  it("have paths in one form", () => {
    for (const [given, plain] of [
      ["/3/0/0", "/3/0/0"],
      ["3/0", "/3/0"],
      ["//3///0/", "/3/0"],
      ["/5/0/1?pmax=120&&pmin=1", "/5/0/1?pmax=120&pmin=1"],
      [" /3 ", "/3"],
      ["", null],
      ["/3/0/0/0/0", null],
      ["/65536", null],
      ["/3/-1", null],
    ])
      expect(requestUri(given as string)).toBe(plain);
  });

  it("have nothing but a path and a query that fits the protocol, whatever is asked for", () => {
    const number = fc.oneof(fc.nat(70_000).map(String), fc.string({ maxLength: 3 }));
    const text = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 40 }),
      fc
        .tuple(fc.array(number, { maxLength: 5 }), fc.string({ maxLength: 300 }))
        .map(([path, query]) => `/${path.join("/")}?${query}`),
    );
    fc.assert(
      fc.property(text, (given) => {
        let uri: string | null;
        try {
          uri = requestUri(given);
        } catch (error) {
          return expect(error).toBeInstanceOf(ServiceError);
        }
        if (uri === null) return;
        expect(uri).toMatch(/^(\/\d{1,5}){1,4}(\?.+)?$/s);
        expect(requestUri(uri)).toBe(uri);
      }),
    );
  });
});

describe("the older calls", () => {
  const call = (method: string, path: string, init: { type?: string; accept?: string; body?: string } = {}) =>
    fetch(`${bench.url}/v2/endpoints/${path}`, {
      method,
      headers: {
        Authorization: `bearer ${bench.a.developer}`,
        ...(init.type && { "Content-Type": init.type }),
        ...(init.accept && { Accept: init.accept }),
      },
      body: init.body ?? null,
    });

  it("queue what they are told to, and name the response", async () => {
    const written = await call("PUT", `${device}//3303/0/5700/`, {
      type: "text/plain; charset=utf-8",
      body: "21.5",
    });
    expect(written.status).toBe(202);
    const { "async-response-id": id } = (await written.json()) as { "async-response-id": string };
    expect((await call("POST", `${device}/3/0/4`, { type: "application/json" })).status).toBe(202);
    expect((await call("PUT", `${device}/3303/0/5700?pmin=1&pmax=60`)).status).toBe(202);
    expect((await call("DELETE", `${device}/3303/1`)).status).toBe(202);
    expect((await call("GET", `${device}/3/0`, { accept: "application/senml+json, */*" })).status).toBe(202);
    expect(requests()).toMatchObject([
      {
        asyncId: id,
        method: "PUT",
        uri: "/3303/0/5700",
        contentType: "text/plain",
        payload: Buffer.from("21.5").toString("base64"),
      },
      { method: "POST", uri: "/3/0/4", contentType: null, payload: "" },
      { method: "PUT", uri: "/3303/0/5700?pmin=1&pmax=60", payload: "" },
      { method: "DELETE", uri: "/3303/1" },
      { method: "GET", uri: "/3/0", accept: "application/senml+json" },
    ]);
  });

  it("have a status for each refusal", async () => {
    for (const [refused, status] of [
      ["RESOURCE_NOT_FOUND", 404],
      ["QUEUE_IS_FULL", 429],
      ["NO_RESPONSE_NOT_SUPPORTED", 409],
      ["DEVICE_NOT_CONNECTED", 502],
      ["DEVICE_NOT_FOUND", 410],
    ] as const) {
      bench.answers["device.request"] = () => ({ refused });
      expect((await call("GET", `${device}/3/0/0?noResp=true`)).status, refused).toBe(status);
    }
    bench.asked.length = 0;
    for (const path of [`${stranger}/3/0/0`, "nobody/3/0/0", `${device}/abc`, `${device}/3/0/0/0/0`])
      for (const method of ["GET", "PUT", "POST", "DELETE"])
        expect((await call(method, path)).status, `${method} ${path}`).toBe(404);
    expect((await call("PUT", `${device}/3/0/14`, { type: "image/png", body: "x" })).status).toBe(415);
    expect((await call("PUT", `${device}/3/0/14?pmin=soon`)).status).toBe(400);
    const long = await call("PUT", `${device}/3/0/14`, { type: "text/plain", body: "x".repeat(2 ** 20 + 1) });
    expect(long.status).toBe(413);
    expect(requests()).toEqual([]);
  });

  it("send without a response where that is wanted", async () => {
    const answer = await call("PUT", `${device}/3/0/14?noResp=true`, { body: "+01:00" });
    expect([answer.status, await answer.text()]).toEqual([204, ""]);
    expect(requests()).toMatchObject([{ noResponse: true }]);
  });

  it("answer at once with what was notified within a minute", async () => {
    const put = (path: string, value: object, source: string, age: number) =>
      bench.db.resourceValue.upsert({
        where: { deviceId_path: { deviceId: device, path } },
        create: {
          deviceId: device,
          path,
          value: JSON.stringify(value),
          source,
          at: new Date(Date.now() - age),
        },
        update: { value: JSON.stringify(value), source, at: new Date(Date.now() - age) },
      });
    const registered = (age: number) =>
      bench.db.registration.updateMany({
        where: { deviceId: device },
        data: { registeredAt: new Date(Date.now() - age) },
      });
    await registered(3_600_000);
    await put("/3303/0/5700", { type: "float", value: 21.5 }, "notify", 10_000);
    await put("/3303/0/5701", { type: "string", value: "Cel" }, "read", 0);
    await put("/3303/0/5601", { type: "float", value: 1 }, "notify", 61_000);
    await put("/5/0/0", { type: "opaque", value: "AAEC" }, "notify", 0);
    const fresh = await call("GET", `${device}/3303/0/5700`);
    expect([fresh.status, await fresh.text()]).toEqual([200, "21.5"]);
    expect(fresh.headers.get("cache-control")).toMatch(/^max-age=(4\d|50)$/);
    expect(fresh.headers.get("content-type")).toBe("text/plain");
    const bytes = await call("GET", `${device}/5/0/0?cacheOnly=true`);
    expect([...new Uint8Array(await bytes.arrayBuffer())]).toEqual([0, 1, 2]);
    expect(requests()).toEqual([]);
    for (const path of ["3303/0/5701", "3303/0/5601", "3303/0"]) {
      const cacheOnly = await call("GET", `${device}/${path}?cacheOnly=true`);
      expect([cacheOnly.status, await cacheOnly.text()], path).toEqual([205, ""]);
      expect((await call("GET", `${device}/${path}`)).status, path).toBe(202);
    }
    const other = await call("GET", `${device}/3303/0/5700`, { accept: "application/senml+json" });
    expect(other.status).toBe(202);
    expect((await call("GET", `${stranger}/3303/0/5700?cacheOnly=true`)).status).toBe(404);

    // What it notified before it registered anew may have changed since.
    await registered(5000);
    expect((await call("GET", `${device}/3303/0/5700?cacheOnly=true`)).status).toBe(205);
    expect((await call("GET", `${device}/5/0/0?cacheOnly=true`)).status).toBe(200);
  });
});
