import { Agent, get, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { updateAccount } from "@/server/services/accounts/manage";
import { createApiKey } from "@/server/services/api-keys/create";
import { removeApiKey } from "@/server/services/api-keys/remove";
import { updateApiKey } from "@/server/services/api-keys/update";
import { newId } from "@/server/services/ids";
import { type ApiBench, openApiBench } from "../../support/api-bench";
import {
  deregistration,
  enqueue,
  firstOf,
  numbersIn,
  type Receiver,
  registration,
  signatureOf,
  startReceiver,
  until,
  upTo,
  value,
} from "../../support/channels";

let bench: ApiBench;
/** Keys of two owners of one account, and of one of another. */
let one: { id: string; key: string };
let two: { id: string; key: string };
let other: { id: string; key: string };

beforeAll(async () => {
  bench = await openApiBench({ env: { GANGWAY_CALLBACK_ALLOW: "127.0.0.1" } });
  bench.answers["owner.reload"] = () => ({});
});
afterAll(() => bench.close());
beforeEach(async () => {
  one = await createApiKey(bench.a.ctx, { name: "one" });
  two = await createApiKey(bench.a.ctx, { name: "two" });
  other = await createApiKey(bench.b.ctx, { name: "other" });
});

/** Tells of rows as the gateway does after its commit. */
async function send(ownerId: string, entries: Parameters<typeof enqueue>[2]): Promise<void> {
  await enqueue(bench.db, ownerId, entries);
  bench.system.bus.publish({ kind: "notifications", accountId: bench.a.id, deviceId: null, ownerId });
}
const values = (ep: string, numbers: readonly number[]) =>
  numbers.map((n) => ["notifications", value(ep, n)] as const);
const queued = (ownerId: string) => bench.db.notification.count({ where: { ownerId } });
/** A poll has made its channel. */
const opened = (ownerId: string) =>
  until(async () => (await bench.db.notificationChannel.count({ where: { ownerId } })) === 1);
const pull = (key: string) => bench.call(key, "GET", "/v2/notification/pull");

describe("long polling", () => {
  it("answers what waits, in order, and deletes it when the next poll comes", async () => {
    const device = newId();
    const hello = pull(one.key);
    await opened(one.id);
    expect((await bench.call(one.key, "GET", "/v2/notification/channel")).body).toEqual({
      delivery_mechanism: "LONG_POLLING",
    });
    await send(one.id, [["registrations", registration(device)]]);
    expect((await hello).body).toMatchObject({
      registrations: [{ ep: device, "original-ep": `name of ${device}`, q: false }],
    });
    expect(await queued(one.id)).toBe(1);
    await send(one.id, values(device, upTo(5)));
    const answer = await pull(one.key);
    expect(numbersIn([answer.body])).toEqual(upTo(5));
    expect(Object.keys(answer.body.notifications[0])).toEqual(["ep", "path", "ct", "payload", "max-age"]);
    await until(async () => (await queued(one.id)) === 5);
    const next = pull(one.key);
    await until(async () => (await queued(one.id)) === 0);
    await bench.call(one.key, "DELETE", "/v2/notification/pull");
    expect((await next).status).toBe(410);
  });

  it("finds async responses that came before there was a channel", async () => {
    await send(one.id, [["async-responses", { id: "abc", status: 200, payload: "" }]]);
    expect((await pull(one.key)).body).toEqual({
      "async-responses": [{ id: "abc", status: 200, payload: "" }],
    });
  });

  it("takes one poll at a time, of each owner", async () => {
    const waiting = pull(one.key);
    await until(async () => (await pull(one.key)).status === 409);
    const beside = pull(two.key);
    const elsewhere = pull(other.key);
    await opened(other.id);
    await send(one.id, values(newId(), [1]));
    expect(numbersIn([(await waiting).body])).toEqual([1]);
    await send(two.id, values(newId(), [2]));
    await send(other.id, values(newId(), [3]));
    expect(numbersIn([(await beside).body])).toEqual([2]);
    expect(numbersIn([(await elsewhere).body])).toEqual([3]);
  });

  it("can be deleted at any time and starts anew at once", async () => {
    expect((await bench.call(one.key, "DELETE", "/v2/notification/pull")).text).toBe("ALREADY_DELETED");
    for (let turn = 0; turn < 5; turn++) {
      const waiting = pull(one.key);
      await until(async () => (await bench.call(one.key, "GET", "/v2/notification/channel")).status === 200);
      expect((await bench.call(one.key, "DELETE", "/v2/notification/pull")).text).toBe("REMOVED");
      const again = pull(one.key);
      expect((await waiting).status).toBe(410);
      await opened(one.id);
      await send(one.id, values(newId(), [turn]));
      expect(numbersIn([(await again).body])).toEqual([turn]);
      await bench.call(one.key, "DELETE", "/v2/notification/pull");
    }
  });

  it("is free again when the client goes", async () => {
    const request = get(`${bench.url}/v2/notification/pull`, {
      headers: { authorization: `bearer ${one.key}` },
    });
    request.on("error", () => {});
    await opened(one.id);
    expect((await pull(one.key)).status).toBe(409);
    request.destroy();
    const device = newId();
    await send(one.id, values(device, [1]));
    await until(async () => {
      const answer = await pull(one.key);
      return answer.status === 200 && numbersIn([answer.body])[0] === 1;
    });
  });

  it("sends an answer again that was cut off", async () => {
    const device = newId();
    const entries = Array.from({ length: 3000 }, (_, n) => {
      const entry = value(device, n + 1);
      return ["notifications", { ...entry, path: `/3303/0/${"5".repeat(1000)}` }] as const;
    });
    await send(one.id, entries);
    const agent = new Agent({ keepAlive: true });
    for (let turn = 0; turn < 3; turn++) {
      await new Promise<void>((resolve, reject) => {
        const request = get(
          `${bench.url}/v2/notification/pull`,
          { agent, headers: { authorization: `Bearer ${one.key}` } },
          (response: IncomingMessage) => {
            response.once("data", () => response.destroy());
            response.once("close", resolve);
            response.once("error", () => {});
          },
        );
        request.once("error", reject);
      });
    }
    agent.destroy();
    const got: number[] = [];
    while (got.at(-1) !== 3000) {
      const answer = await pull(one.key);
      if (answer.status === 200) got.push(...numbersIn([answer.body]));
    }
    expect(got.slice(0, 3000)).toEqual(upTo(3000));
  });

  it("is refused where there is another channel", async () => {
    await bench.call(one.key, "PUT", "/v2/notification/websocket");
    const refused = await pull(one.key);
    expect(refused.status).toBe(400);
    expect(refused.text).toContain("delete it first");
  });

  it("ends with the key, and goes on when the key only expires", async () => {
    const waiting = pull(one.key);
    await opened(one.id);
    await bench.db.apiKey.update({ where: { id: one.id }, data: { expiresAt: new Date(Date.now() - 1) } });
    expect((await pull(one.key)).status).toBe(401);
    await send(one.id, values(newId(), [1]));
    expect(numbersIn([(await waiting).body])).toEqual([1]);
    const last = pull(two.key);
    await opened(two.id);
    await removeApiKey(bench.a.ctx, { id: two.id });
    expect((await last).status).toBe(401);
  });
});

describe("callbacks", () => {
  let receiver: Receiver;
  beforeEach(async () => {
    receiver = await startReceiver();
    return () => receiver.kill();
  });
  const put = (key: string, body: object) => bench.call(key, "PUT", "/v2/notification/callback", body);

  it("are checked, then get everything in order, signed", async () => {
    expect((await bench.call(one.key, "GET", "/v2/notification/callback")).status).toBe(404);
    const headers = { Authorization: "Basic abc", "X-Mine": "1" };
    const made = await put(one.key, {
      url: receiver.url,
      headers,
      serialization: {
        type: "v2",
        max_chunk_size: "100",
        cfg: { include_timestamp: "true", include_uid: true },
      },
    });
    expect(made.status).toBe(204);
    expect(receiver.requests[0]).toMatchObject({ body: "{}", headers: { "x-mine": "1", ":method": "PUT" } });
    const callback = (await bench.call(one.key, "GET", "/v2/notification/callback")).body;
    expect(callback).toMatchObject({
      url: receiver.url,
      headers,
      serialization: { max_chunk_size: 100, cfg: { include_timestamp: true, include_original_ep: false } },
      signing_secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
    });
    const device = newId();
    await send(one.id, values(device, upTo(250)));
    await until(() => numbersIn(receiver.taken()).length === 250);
    expect(numbersIn(receiver.taken())).toEqual(upTo(250));
    expect(receiver.requests.slice(1).map(({ message }) => message.notifications?.length)).toEqual([
      100, 100, 50,
    ]);
    for (const { headers, body } of receiver.requests) {
      expect(headers).toMatchObject({ authorization: "Basic abc", "content-type": "application/json" });
      expect(headers["webhook-signature"]).toBe(
        signatureOf(
          callback.signing_secret,
          String(headers["webhook-id"]),
          String(headers["webhook-timestamp"]),
          body,
        ),
      );
    }
    expect(new Set(receiver.requests.map(({ headers }) => headers["webhook-id"])).size).toBe(4);
    expect(receiver.requests[1]?.message.notifications?.[0]).toMatchObject({
      uid: expect.any(String),
      timestamp: expect.any(Number),
    });
    await until(async () => (await queued(one.id)) === 0);
    // The key stays when the callback is set anew.
    await put(one.key, { url: receiver.url });
    expect((await bench.call(one.key, "GET", "/v2/notification/callback")).body.signing_secret).toBe(
      callback.signing_secret,
    );
    expect((await bench.call(one.key, "DELETE", "/v2/notification/callback")).status).toBe(204);
    expect((await bench.call(one.key, "DELETE", "/v2/notification/callback")).status).toBe(404);
  });

  it("lose nothing when the receiver dies in the middle, and send the same again", async () => {
    await put(one.key, { url: receiver.url, serialization: { max_chunk_size: 100 } });
    const device = newId();
    let count = 0;
    receiver.answer = async () => {
      if (++count === 2) await receiver.kill();
      return 204;
    };
    await send(one.id, values(device, upTo(350)));
    await until(() => count === 2);
    await until(
      async () =>
        (await bench.db.callbackDelivery.count({ where: { ownerId: one.id, error: { not: "" } } })) > 0,
    );
    await receiver.start();
    receiver.answer = () => 200;
    await until(async () => (await queued(one.id)) === 0);
    const got = receiver.requests.slice(1).map(({ message }) => message);
    expect(firstOf(numbersIn(got))).toEqual(upTo(350));
    const ids = receiver.requests.map(({ headers }) => headers["webhook-id"]);
    expect(ids.filter((id) => id === ids[2]).length).toBeGreaterThan(1);
    const log = await bench.db.callbackDelivery.findMany({
      where: { ownerId: one.id },
      orderBy: { id: "asc" },
    });
    expect(log.map(({ status }) => status)).toContain(null);
    expect(log.find(({ status }) => status === null)?.error).toMatch(/cut the connection|refused|ended/);
    const channel = await bench.db.notificationChannel.findUniqueOrThrow({ where: { ownerId: one.id } });
    expect(channel).toMatchObject({ failingSince: null, nextTryAt: null, tries: 0 });
  });

  it.each([
    ["an address that is not public", "http://10.0.0.1/hook", "not on the public internet"],
    ["an address in disguise", "http://0x7f000002/", "not on the public internet"],
    ["an address of IPv6 that hides another", "http://[::ffff:10.0.0.1]/", "not on the public internet"],
    ["nobody", "http://127.0.0.1:1/hook", "refused the connection"],
    ["another protocol", "ftp://example.com/", "must begin with http"],
    ["a password", "http://a:b@example.com/", "must hold no password"],
    ["no URL", "hook", "must be an absolute URL"],
  ])("are refused for %s", async (_, url, reason) => {
    const answer = await put(one.key, { url });
    expect(answer.status).toBe(400);
    expect(answer.text).toContain(reason);
    expect((await bench.call(one.key, "GET", "/v2/notification/callback")).status).toBe(404);
  });

  it("are refused when the receiver does not take the check, without following where it points to", async () => {
    for (const status of [201, 302, 404, 500]) {
      receiver.answer = () => status;
      const answer = await put(one.key, { url: receiver.url });
      expect(answer.status).toBe(400);
      expect(answer.text).toContain(`answered ${status}`);
    }
    expect(receiver.requests).toHaveLength(4);
  });

  it("have limits: 400 characters, JSON, headers of their own", async () => {
    expect((await put(one.key, { url: receiver.url, headers: { A: "x".repeat(400) } })).text).toContain(
      "400 characters",
    );
    for (const headers of [
      { Host: "x" },
      { "Content-Length": "1" },
      { "webhook-id": "1" },
      { "a b": "1" },
      { a: "1\r\nb: 2" },
    ])
      expect((await put(one.key, { url: receiver.url, headers })).status).toBe(400);
    const form = await fetch(`${bench.url}/v2/notification/callback`, {
      method: "PUT",
      headers: { Authorization: `Bearer ${one.key}`, "Content-Type": "text/xml" },
      body: "<url/>",
    });
    expect(form.status).toBe(415);
    expect(receiver.requests).toHaveLength(0);
    for (const serialization of [
      { type: "v1" },
      { max_chunk_size: 99 },
      { max_chunk_size: "10001" },
      { cfg: { include_uid: "maybe" } },
    ])
      expect((await put(one.key, { url: receiver.url, serialization })).status).toBe(400);
  });

  it("belong to their owner alone", async () => {
    await put(one.key, { url: receiver.url });
    for (const key of [two.key, other.key]) {
      expect((await bench.call(key, "GET", "/v2/notification/callback")).status).toBe(404);
      expect((await bench.call(key, "DELETE", "/v2/notification/callback")).status).toBe(404);
    }
    await send(two.id, values(newId(), [2]));
    await send(one.id, values(newId(), [1]));
    await until(() => receiver.taken().length === 2);
    expect(numbersIn(receiver.taken())).toEqual([1]);
  });

  it("are not made for a key that was switched off while they were checked", async () => {
    receiver.answer = async () => {
      await updateApiKey(bench.a.ctx, { id: one.id, status: "INACTIVE" });
      return 204;
    };
    expect((await put(one.key, { url: receiver.url })).status).toBe(401);
    expect(await bench.db.notificationChannel.count({ where: { ownerId: one.id } })).toBe(0);
  });

  it("are sent nothing while their account is suspended, and what waited then", async () => {
    await put(other.key, { url: receiver.url });
    await send(other.id, values(newId(), [1]));
    await until(() => receiver.taken().length === 2);
    // What was answered too late would be sent once more.
    await until(async () => (await queued(other.id)) === 0);
    await updateAccount(bench.a.ctx, { id: bench.b.id, status: "SUSPENDED" });
    await bench.api.delivery.reload({ accountId: bench.b.id, ownerId: other.id });
    await send(other.id, values(newId(), [2]));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(numbersIn(receiver.taken())).toEqual([1]);
    await updateAccount(bench.a.ctx, { id: bench.b.id, status: "ACTIVE" });
    await until(() => receiver.taken().length === 3);
    expect(numbersIn(receiver.taken())).toEqual([1, 2]);
  });

  it("get de-registrations as texts or objects", async () => {
    await put(one.key, { url: receiver.url });
    const device = newId();
    await send(one.id, [["de-registrations", deregistration(device)]]);
    await until(() => receiver.taken().length === 2);
    await put(one.key, {
      url: receiver.url,
      serialization: { cfg: { deregistrations_as_object: true, include_original_ep: true } },
    });
    await send(one.id, [["registrations-expired", deregistration(device)]]);
    await until(() => receiver.taken().length === 4);
    expect(receiver.taken().filter((message) => Object.keys(message).length > 0)).toEqual([
      { "de-registrations": [device] },
      { "registrations-expired": [{ ep: device, "original-ep": `name of ${device}` }] },
    ]);
  });
});
