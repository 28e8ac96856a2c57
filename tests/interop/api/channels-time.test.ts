import { afterEach, beforeEach, expect, it } from "vitest";
import WebSocket from "ws";
import { createApi } from "@/server/api";
import { createLogger } from "@/server/log";
import { createApiKey } from "@/server/services/api-keys/create";
import { newId } from "@/server/services/ids";
import { type ApiBench, openApiBench } from "../../support/api-bench";
import { enqueue, numbersIn, type Receiver, startReceiver, until, upTo, value } from "../../support/channels";
import { JumpClock } from "../../support/jump-clock";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let bench: ApiBench;
let clock: JumpClock;
let receiver: Receiver;
let one: { id: string; key: string };

beforeEach(async () => {
  clock = new JumpClock();
  bench = await openApiBench({ clock, env: { GANGWAY_CALLBACK_ALLOW: "127.0.0.1" } });
  bench.answers["owner.reload"] = () => ({});
  receiver = await startReceiver();
  one = await createApiKey(bench.a.ctx, { name: "one" });
});
afterEach(async () => {
  await bench.close();
  await receiver.kill();
});

async function send(numbers: readonly number[], device = newId()): Promise<void> {
  await enqueue(
    bench.db,
    one.id,
    numbers.map((n) => ["notifications", value(device, n)] as const),
  );
  bench.system.bus.publish({ kind: "notifications", accountId: bench.a.id, deviceId: null, ownerId: one.id });
}
const put = () => bench.call(one.key, "PUT", "/v2/notification/callback", { url: receiver.url });
const channel = () => bench.db.notificationChannel.findUnique({ where: { ownerId: one.id } });
const pause = () => new Promise((resolve) => setTimeout(resolve, 30));

it("a callback that fails is tried again after 1, 2, 4… seconds, at last every two minutes", async () => {
  await put();
  const times: number[] = [];
  receiver.answer = () => {
    times.push(clock.now());
    return 503;
  };
  await send([1, 2]);
  await until(() => times.length === 1);
  const seconds = [1, 2, 4, 8, 16, 32, 64, 120, 120];
  for (const [at, wait] of seconds.entries()) {
    // What comes meanwhile changes nothing.
    await send([3 + at]);
    await until(() => {
      clock.jump(wait * 50);
      return times.length === 2 + at;
    });
    expect(receiver.requests[2 + at]?.body).toBe(receiver.requests[1]?.body);
  }
  for (const [at, wait] of seconds.entries()) {
    const waited = (times[at + 1] ?? 0) - (times[at] ?? 0);
    expect(waited).toBeGreaterThanOrEqual(wait * 1000);
    // Time that the machine was busy counts, too.
    expect(waited).toBeLessThan(wait * 1200 + 5_000);
  }
  await until(async () => {
    clock.jump(1000);
    return (await channel())?.failingSince !== null;
  });
  receiver.answer = () => 200;
  clock.jump(2 * MINUTE);
  await until(() => numbersIn(receiver.taken()).length === 11);
  expect(numbersIn(receiver.taken())).toEqual(upTo(11));
  await until(async () => {
    clock.jump(1000);
    return (await channel())?.tries === 0;
  });
});

it("a callback that fails for a day is deleted, with its queue", async () => {
  await put();
  receiver.answer = () => 500;
  await send([1]);
  await until(() => receiver.requests.length === 2);
  for (let hour = 0; hour < 23; hour++) {
    clock.jump(HOUR);
    await until(() => receiver.requests.length === 3 + hour);
    await pause();
  }
  expect(await channel()).not.toBeNull();
  clock.jump(HOUR + MINUTE);
  await until(async () => {
    // The failure before may have been noted only after the jump: then the next try is due somewhat later.
    clock.jump(MINUTE);
    return (await channel()) === null;
  });
  expect(await bench.db.notification.count({ where: { ownerId: one.id } })).toBe(0);
  expect(await bench.db.callbackDelivery.count({ where: { ownerId: one.id } })).toBe(0);
  expect(
    await bench.db.auditEntry.findFirst({ where: { objectId: one.id }, orderBy: { id: "desc" } }),
  ).toMatchObject({
    action: "notification-channel.deleted",
    actor: "system",
    accountId: bench.a.id,
  });
});

it("a delivery that is not answered is given up after 20 seconds", async () => {
  await put();
  let answer = (_: number) => {};
  receiver.answer = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  await send([1]);
  await until(() => receiver.requests.length === 2);
  clock.jump(10_000);
  await pause();
  expect(receiver.requests).toHaveLength(2);
  clock.jump(10_000);
  await until(async () => {
    clock.jump(100);
    return (await bench.db.callbackDelivery.count()) === 1;
  });
  expect(await bench.db.callbackDelivery.findFirst()).toMatchObject({
    status: null,
    error: "It did not answer within 20 s.",
    items: 1,
  });
  answer(204);
  receiver.answer = () => 204;
  await until(() => {
    clock.jump(200);
    return receiver.requests.length >= 3;
  });
});

it("the newest 100 deliveries are remembered", async () => {
  await put();
  for (let n = 1; n <= 120; n++) {
    await send([n]);
    clock.jump(100);
    await until(() => receiver.requests.length === n + 1);
  }
  clock.jump(2_000);
  await until(async () => {
    clock.jump(1_000);
    return (await bench.db.callbackDelivery.count()) === 100;
  });
  const log = await bench.db.callbackDelivery.findMany({ orderBy: { id: "asc" } });
  expect(log.every(({ status, error, items }) => status === 204 && error === "" && items > 0)).toBe(true);
});

it("a poll is held for 30 seconds; its channel dies ten minutes after the last one", async () => {
  const poll = bench.call(one.key, "GET", "/v2/notification/pull");
  await until(async () => (await channel()) !== null);
  await pause();
  clock.jump(29_000);
  await pause();
  clock.jump(1_100);
  expect((await poll).status).toBe(204);
  await send([1]);
  clock.jump(9 * MINUTE);
  await pause();
  expect(await channel()).not.toBeNull();
  clock.jump(2 * MINUTE);
  await until(async () => (await channel()) === null);
  expect(await bench.db.notification.count()).toBe(0);
});

it("a WebSocket channel dies a day after its last connection", async () => {
  await bench.call(one.key, "PUT", "/v2/notification/websocket");
  const socket = new WebSocket(`${bench.url.replace("http", "ws")}/v2/notification/websocket-connect`, {
    headers: { Authorization: `Bearer ${one.key}` },
  });
  await new Promise((resolve) => socket.once("open", resolve));
  for (let hour = 0; hour < 30; hour += 10) {
    const ping = new Promise((resolve) => socket.once("ping", resolve));
    clock.jump(10 * HOUR);
    await ping;
    await pause();
  }
  expect(await channel()).not.toBeNull();
  socket.close();
  await until(() => !bench.api.delivery.isConnected(one.id));
  clock.jump(2_000);
  await pause();
  clock.jump(23 * HOUR);
  await pause();
  expect(await channel()).not.toBeNull();
  clock.jump(2 * HOUR);
  await until(async () => (await channel()) === null);
});

it("a connection that answers no ping is cut", async () => {
  await bench.call(one.key, "PUT", "/v2/notification/websocket");
  const socket = new WebSocket(`${bench.url.replace("http", "ws")}/v2/notification/websocket-connect`, {
    autoPong: false,
    headers: { Authorization: `Bearer ${one.key}` },
  });
  await new Promise((resolve) => socket.once("open", resolve));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  for (let beat = 0; beat < 5; beat++) {
    clock.jump(20_000);
    await pause();
  }
  expect(await closed).toBe(1006);
});

it("a key that another process deletes ends its streams", async () => {
  const { key, id } = await createApiKey(bench.a.ctx, { name: "three" });
  const events = await fetch(`${bench.url}/v3/events`, { headers: { Authorization: `Bearer ${key}` } });
  const poll = bench.call(key, "GET", "/v2/notification/pull");
  await until(async () => (await bench.db.notificationChannel.count({ where: { ownerId: id } })) === 1);
  await bench.db.apiKey.delete({ where: { id } });
  clock.jump(20_000);
  expect((await poll).status).toBe(401);
  expect(await events.text()).toContain("retry:");
});

it("the next process goes on with a callback where this one stopped, and with what nobody told of", async () => {
  await put();
  receiver.answer = () => 500;
  await send([1]);
  await until(() => receiver.requests.length === 2);
  clock.jump(1_000);
  await until(async () => ((await channel())?.tries ?? 0) > 0);
  await bench.api.close();
  receiver.answer = () => 204;
  const next = createApi({
    context: bench.system,
    config: bench.config,
    log: createLogger("test", "silent"),
    version: "0.0.0",
  });
  clock.jump(5_000);
  await until(() => receiver.taken().length === 2);
  // Without the bus, queues are looked at every second.
  await pause();
  await send([2]);
  await until(() => {
    clock.jump(500);
    return receiver.taken().length === 3;
  });
  expect(numbersIn(receiver.taken())).toEqual([1, 2]);
  await next.close();
});
