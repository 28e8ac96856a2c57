import { get, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { BusEvent } from "@/server/bus/messages";
import { createApiKey } from "@/server/services/api-keys/create";
import { removeApiKey } from "@/server/services/api-keys/remove";
import { eventMessage, eventRow } from "@/server/services/events/record";
import { newId } from "@/server/services/ids";
import { type ApiBench, openApiBench } from "../../support/api-bench";
import { until } from "../../support/channels";

let bench: ApiBench;
let key: { id: string; key: string };
const open: IncomingMessage[] = [];

beforeAll(async () => {
  bench = await openApiBench();
});
afterAll(() => bench.close());
beforeEach(async () => {
  key = await createApiKey(bench.a.ctx, { name: "listener" });
  return () => {
    for (const response of open.splice(0)) response.destroy();
  };
});

interface Frame {
  id: string | null;
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into what was sent
  data: any;
}

/** Opens a stream and gathers its frames. */
async function listen(query = "", headers: Record<string, string> = {}, secret = key.key) {
  const frames: Frame[] = [];
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(
      `${bench.url}/v3/events${query}`,
      { headers: { Authorization: `Bearer ${secret}`, ...headers } },
      resolve,
    ).once("error", reject);
  });
  open.push(response);
  response.on("error", () => {});
  let text = "";
  response.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const field = (name: string) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? null;
      const data = field("data");
      if (data !== null)
        frames.push({ id: field("id"), event: field("event") ?? "message", data: JSON.parse(data) });
    }
  });
  const closed = new Promise<void>((resolve) => response.once("close", resolve));
  if (response.statusCode === 200) await until(() => text !== "" || response.readableFlowing === true);
  return { status: response.statusCode, headers: response.headers, frames, closed };
}

const event = (accountId: string, deviceId: string | null, lifetime = 60, at = Date.now()) =>
  eventRow("registration.updated", {
    accountId,
    deviceId,
    data: { address: "192.0.2.1:5683", transport: "udp", lifetime } as never,
    at,
  });
const publish = (message: BusEvent) => bench.system.bus.publish(message);

it("tells of everything in the account, and of nothing in another", async () => {
  const { frames, headers, status } = await listen();
  expect(status).toBe(200);
  expect(headers["content-type"]).toBe("text/event-stream");
  const device = newId();
  const row = event(bench.a.id, device);
  publish(eventMessage(row));
  publish(eventMessage(event(bench.b.id, newId())));
  publish(eventMessage({ ...event(bench.a.id, null), accountId: null }));
  publish({ kind: "device", accountId: bench.a.id, deviceId: device, change: "updated" });
  publish({
    kind: "values",
    accountId: bench.a.id,
    deviceId: device,
    source: "notify",
    values: [{ path: "/3303/0/5700", value: { type: "float", value: 21.5 }, at: Date.UTC(2026, 0, 1) }],
  });
  publish({ kind: "notifications", accountId: bench.a.id, deviceId: null, ownerId: key.id });
  publish({ kind: "channel", accountId: bench.a.id, deviceId: null, ownerId: key.id });
  publish({ kind: "observations", accountId: bench.a.id, deviceId: device, paths: ["/3303/0/5700"] });
  await until(() => frames.length >= 4);
  expect(frames).toEqual([
    {
      id: row.id,
      event: "device-event",
      data: expect.objectContaining({
        object: "device-event",
        id: row.id,
        device_id: device,
        event_type: "registration.updated",
        event_type_category: "registration",
        description: row.description,
        date_time: new Date(row.at).toISOString(),
      }),
    },
    { id: null, event: "device-change", data: { device_id: device, change: "updated" } },
    {
      id: null,
      event: "values",
      data: {
        device_id: device,
        source: "notify",
        values: [{ path: "/3303/0/5700", type: "float", value: 21.5, at: "2026-01-01T00:00:00.000Z" }],
      },
    },
    { id: null, event: "observations", data: { device_id: device, paths: ["/3303/0/5700"] } },
  ]);
});

it("can be cut down to a device and to types", async () => {
  const device = newId();
  const [mine, updates, values] = await Promise.all([
    listen(`?device_id=${device}`),
    listen("?types=registration.updated,observations"),
    listen(`?types=values&device_id=${device}`),
  ]);
  publish(eventMessage(event(bench.a.id, device)));
  publish(eventMessage(event(bench.a.id, newId())));
  publish({ kind: "observations", accountId: bench.a.id, deviceId: newId(), paths: [] });
  publish({ kind: "values", accountId: bench.a.id, deviceId: device, source: "read", values: [] });
  await until(() => values.frames.length === 1 && mine.frames.length === 2 && updates.frames.length === 3);
  expect(mine.frames.every(({ data }) => data.device_id === device)).toBe(true);
  expect(updates.frames.map(({ event }) => event)).toEqual(["device-event", "device-event", "observations"]);
  expect((await bench.call(key.key, "GET", "/v3/events?types=nonsense")).status).toBe(400);
  expect((await bench.call(key.key, "GET", "/v3/events?device_id=nonsense")).status).toBe(400);
});

it("goes on after Last-Event-ID with everything that was missed, then with what happens", async () => {
  const start = Date.now() - 3_600_000;
  const device = newId();
  // As an earlier process would have made them.
  const idAt = (at: number) => at.toString(16).padStart(12, "0") + newId().slice(12);
  const rows = Array.from({ length: 1300 }, (_, n) => {
    const at = start + n * 1000;
    return { ...event(bench.a.id, device, n, at), id: idAt(at) };
  });
  await bench.db.deviceEvent.createMany({
    data: [...rows, ...rows.map((row) => ({ ...row, id: idAt(row.at), accountId: bench.b.id }))].map(
      (row) => ({
        ...row,
        at: new Date(row.at),
      }),
    ),
  });
  const seen = 100;
  const { frames } = await listen("?types=registration", { "Last-Event-ID": rows[seen]?.id ?? "" });
  const live = event(bench.a.id, device);
  publish(eventMessage(live));
  await until(() => frames.at(-1)?.id === live.id);
  const ids = frames.map(({ id }) => id);
  // The last seconds come again: what is written late must not be missed.
  expect(ids[0]).toBe(rows[seen - 5]?.id ?? "");
  expect(ids).toEqual([...rows.slice(seen - 5).map(({ id }) => id), live.id]);
  const refused = await fetch(`${bench.url}/v3/events`, {
    headers: { Authorization: `Bearer ${key.key}`, "Last-Event-ID": "nonsense" },
  });
  expect(refused.status).toBe(400);
});

it("ends when the key is deleted, and takes the scope “read”", async () => {
  const connector = await createApiKey(bench.a.ctx, { name: "connector", scopes: ["connect"] });
  expect((await bench.call(connector.key, "GET", "/v3/events")).status).toBe(403);
  const { closed } = await listen();
  await removeApiKey(bench.a.ctx, { id: key.id });
  await closed;
});

it("may be open so often for a key", async () => {
  for (let n = 0; n < 20; n++) expect((await listen()).status).toBe(200);
  const refused = await listen();
  expect(refused.status).toBe(429);
  expect(refused.headers["retry-after"]).toBe("20");
  open[0]?.destroy();
  await until(async () => (await listen()).status === 200);
});

it("lets a client go that does not read", async () => {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${bench.url}/v3/events`, { headers: { Authorization: `Bearer ${key.key}` } }, resolve).once(
      "error",
      reject,
    );
  });
  open.push(response);
  response.on("error", () => {});
  const streams = () => bench.api.streams.count(key.id);
  await until(() => streams() === 1);
  const message: BusEvent = {
    kind: "observations",
    accountId: bench.a.id,
    deviceId: newId(),
    paths: Array.from({ length: 10_000 }, () => "/3303/0/5700"),
  };
  await until(() => {
    publish(message);
    return streams() === 0;
  });
});
