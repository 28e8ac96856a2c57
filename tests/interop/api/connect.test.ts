import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { RunningDevices } from "@/server/device";
import { type Instance, startInstance } from "../../support/instance";

let instance: Instance;
let running: RunningDevices;
let device: string;

// biome-ignore lint/suspicious/noExplicitAny: as an application sees it
type Loose = any;

interface Given {
  key?: string;
  body?: unknown;
  text?: string;
}

async function call(method: string, path: string, { key, body, text }: Given = {}) {
  const response = await fetch(instance.url + path, {
    method,
    headers: {
      Authorization: `Bearer ${key ?? instance.key}`,
      "Content-Type": text === undefined ? "application/json" : "text/plain",
    },
    body: text ?? (body === undefined ? null : JSON.stringify(body)),
  });
  const answer = await response.text();
  const json = response.headers.get("content-type")?.startsWith("application/json");
  return {
    status: response.status,
    headers: response.headers,
    text: answer,
    body: (json ? JSON.parse(answer) : undefined) as Loose,
  };
}

const decoded = (payload: string) => Buffer.from(payload, "base64").toString();

beforeAll(async () => {
  instance = await startInstance();
  const { body } = await call("POST", "/v3/developer-certificates", { body: { name: "connect" } });
  running = await instance.run(
    { certificate: body.developer_certificate, privateKey: body.developer_private_key },
    { tickMs: 100 },
  );
  await running.registered;
  device = running.devices[0]?.deviceId ?? "";
});
afterAll(async () => {
  await running?.stop();
  await instance?.close();
});

/** Polls until the queue of a key has what is looked for. */
async function hear(key: string, found: (message: Loose) => Loose): Promise<Loose> {
  for (let turn = 0; turn < 20; turn++) {
    const { body } = await call("GET", "/v2/notification/pull", { key });
    const one = body && found(body);
    if (one) return one;
  }
  throw new Error("It was not among what was polled.");
}

const responseTo = (key: string, id: string) =>
  hear(key, (message) => message["async-responses"]?.find((one: Loose) => one.id === id));

describe("Connect, with a device that runs", () => {
  it("answers requests that were made before there was a channel", async () => {
    const { key } = await instance.addKey("requests");
    const ask = (id: string, body: object) =>
      call("POST", `/v2/device-requests/${device}?async-id=${id}`, { key, body });
    expect((await ask("first", { method: "GET", uri: "/3/0/0" })).status).toBe(202);
    expect(await responseTo(key, "first")).toMatchObject({ status: 200, ct: "text/plain" });
    const payload = Buffer.from("+02:00").toString("base64");
    await ask("write", { method: "PUT", uri: "/3/0/14", "payload-b64": payload });
    expect(await responseTo(key, "write")).toMatchObject({ status: 200, payload: "" });
    await ask("object", { method: "GET", uri: "/3303/0", accept: "application/vnd.oma.lwm2m+tlv" });
    expect(await responseTo(key, "object")).toMatchObject({
      status: 200,
      ct: "application/vnd.oma.lwm2m+tlv",
    });
    const unknown = await ask("unknown", { method: "GET", uri: "/9999/0/0" });
    expect([unknown.status, unknown.text]).toEqual([400, "RESOURCE_NOT_FOUND"]);
    const { body: echo } = await call("GET", `/v3/devices/${device}/echo`);
    const zone = echo.resources.find((one: Loose) => one.resource_path === "/3/0/14");
    expect(zone.desired).toMatchObject({ value: payload, status: 1 });
    await vi.waitFor(async () => {
      const { body } = await call("GET", `/v3/devices/${device}/echo`);
      const kept = body.resources.find((one: Loose) => one.resource_path === "/3/0/14");
      expect(decoded(kept.reported.value)).toBe("+02:00");
    }, 5000);
    expect((await call("DELETE", `/v3/devices/${device}/echo`)).status).toBe(204);
    const { body: cleared } = await call("GET", `/v3/devices/${device}/echo`);
    expect(cleared.last_desired_at).toBe(null);
  });

  it("does the same by the older calls, and answers at once what it was notified of", async () => {
    const { key } = await instance.addKey("older");
    const path = `/v2/endpoints/${device}`;
    const written = await call("PUT", `${path}//3/0/14/`, { key, text: "-05:00" });
    expect(written.status).toBe(202);
    expect(await responseTo(key, written.body["async-response-id"])).toMatchObject({ status: 200 });
    const read = await call("GET", `${path}/3/0/14`, { key });
    const answer = await responseTo(key, read.body["async-response-id"]);
    expect(decoded(answer.payload)).toBe("-05:00");
    const executed = await call("POST", `${path}/3303/0/5605`, { key });
    expect(await responseTo(key, executed.body["async-response-id"])).toMatchObject({ status: 200 });
    expect((await call("GET", `${path}/3303/0/5701?cacheOnly=true`, { key })).status).toBe(205);
    expect((await call("GET", `${path}/9999/0/0`, { key })).status).toBe(404);

    const subscription = `/v2/subscriptions/${device}//3303/0/5700`;
    const subscribed = await call("PUT", subscription, { key });
    expect(subscribed.status).toBe(202);
    const first = await responseTo(key, subscribed.body["async-response-id"]);
    expect(Number(decoded(first.payload))).toBeGreaterThan(0);
    const told = await hear(key, (message) => message.notifications?.[0]);
    expect(told).toMatchObject({ ep: device, path: "/3303/0/5700", ct: "text/plain" });
    await vi.waitFor(async () => {
      const cached = await call("GET", `${path}/3303/0/5700`, { key });
      expect([cached.status, cached.headers.get("content-type")]).toEqual([200, "text/plain"]);
      expect(Number(cached.text)).toBeGreaterThan(0);
    }, 5000);
    expect((await call("PUT", subscription, { key })).status).toBe(200);
    expect((await call("GET", `/v2/subscriptions/${device}`, { key })).text).toBe("/3303/0/5700");
    expect((await call("GET", `/v2/subscriptions/${device}`)).status).toBe(404);
    expect((await call("DELETE", subscription, { key })).status).toBe(204);
    expect((await call("GET", subscription, { key })).status).toBe(404);
  });

  it("sends without a response where the transport lets it", async () => {
    const { key } = await instance.addKey("quiet");
    const sent = await call("PUT", `/v2/endpoints/${device}/3/0/14?noResp=true`, { key, text: "+09:00" });
    expect([sent.status, sent.text]).toEqual([204, ""]);
    await vi.waitFor(async () => {
      const read = await call("GET", `/v2/endpoints/${device}/3/0/14`, { key });
      const answer = await responseTo(key, read.body["async-response-id"]);
      expect(decoded(answer.payload)).toBe("+09:00");
    }, 5000);
  });

  it("does not know a device that is gone", async () => {
    await running.stop();
    await vi.waitFor(
      async () => expect((await call("GET", `/v2/endpoints/${device}`)).status).toBe(404),
      5000,
    );
    expect((await call("GET", `/v2/endpoints/${device}/3/0/0`)).status).toBe(410);
    const asked = await call("POST", `/v2/device-requests/${device}?async-id=x`, {
      body: { method: "GET", uri: "/3/0/0" },
    });
    expect([asked.status, asked.text]).toEqual([404, "DEVICE_NOT_FOUND"]);
    expect((await call("PUT", `/v2/subscriptions/${device}/3/0/0`)).status).toBe(404);
  });
});
