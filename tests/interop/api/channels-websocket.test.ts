import { request } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { createApiKey } from "@/server/services/api-keys/create";
import { removeApiKey } from "@/server/services/api-keys/remove";
import {
  createAccessKey,
  removeAccessKey,
  updateAccessKey,
} from "@/server/services/applications/access-keys";
import { createApplication, updateApplication } from "@/server/services/applications/change";
import { newId } from "@/server/services/ids";
import type { NotificationKind } from "@/server/services/notifications/types";
import { type ApiBench, openApiBench } from "../../support/api-bench";
import {
  deregistration,
  type Entry,
  enqueue,
  firstOf,
  numbersIn,
  registration,
  until,
  upTo,
  value,
} from "../../support/channels";

type Message = { [K in NotificationKind]?: unknown[] };

let bench: ApiBench;
let one: { id: string; key: string };
let two: { id: string; key: string };
const open: WebSocket[] = [];

beforeAll(async () => {
  bench = await openApiBench();
  bench.answers["owner.reload"] = () => ({});
});
afterAll(() => bench.close());
beforeEach(async () => {
  one = await createApiKey(bench.a.ctx, { name: "one" });
  two = await createApiKey(bench.a.ctx, { name: "two" });
  return () => {
    for (const socket of open.splice(0)) socket.terminate();
  };
});

async function send(ownerId: string, entries: readonly Entry[]): Promise<void> {
  await enqueue(bench.db, ownerId, entries);
  bench.system.bus.publish({ kind: "notifications", accountId: bench.a.id, deviceId: null, ownerId });
}
const values = (ep: string, numbers: readonly number[]) =>
  numbers.map((n) => ["notifications", value(ep, n)] as const);
const queued = (ownerId: string) => bench.db.notification.count({ where: { ownerId } });
const register = (key: string, body: object = {}) =>
  bench.call(key, "PUT", "/v2/notification/websocket", body);

interface Client {
  socket: WebSocket;
  messages: Message[];
  opened: Promise<void>;
  closed: Promise<{ code: number; reason: string }>;
  /** HTTP status of a handshake that was refused. */
  refused: Promise<number>;
}

function connectSocket(
  key: string | null,
  options: { protocols?: string[]; autoPong?: boolean } = {},
): Client {
  const socket = new WebSocket(
    `${bench.url.replace("http", "ws")}/v2/notification/websocket-connect`,
    options.protocols ?? [],
    { ...(key && { headers: { Authorization: `Bearer ${key}` } }), autoPong: options.autoPong ?? true },
  );
  open.push(socket);
  const messages: Message[] = [];
  socket.on("message", (data) => messages.push(JSON.parse(data.toString()) as Message));
  socket.on("error", () => {});
  return {
    socket,
    messages,
    opened: new Promise((resolve) => socket.once("open", () => resolve())),
    closed: new Promise((resolve) =>
      socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() })),
    ),
    refused: new Promise((resolve) =>
      socket.once("unexpected-response", (_, response) => {
        resolve(response.statusCode ?? 0);
        response.resume();
      }),
    ),
  };
}

describe("a WebSocket", () => {
  it("gets what waits and what comes, one kind in a message, and shows what it took", async () => {
    expect((await register(one.key)).status).toBe(201);
    expect((await register(one.key, { serialization: { cfg: { include_uid: "true" } } })).status).toBe(200);
    const [a, b] = [newId(), newId()];
    await send(one.id, [
      ["registrations", registration(a)],
      ["notifications", value(b, 1)],
      ["async-responses", { id: "x", status: 200, payload: "" }],
      ["registrations", registration(b)],
      ["notifications", value(a, 2)],
    ]);
    expect((await bench.call(one.key, "GET", "/v2/notification/websocket")).body).toMatchObject({
      status: "disconnected",
      queue_size: 5,
      serialization: { type: "v2", cfg: { include_uid: true } },
    });
    const client = connectSocket(one.key);
    await until(() => numbersIn(client.messages).length === 2);
    for (const message of client.messages) expect(Object.keys(message)).toHaveLength(1);
    expect(client.messages.flatMap((message) => message.registrations ?? [])).toHaveLength(2);
    expect(client.messages[0]).toMatchObject({ registrations: [{ ep: a, uid: expect.any(String) }] });
    await send(one.id, values(a, upTo(2000, 3)));
    await until(() => numbersIn(client.messages).length === 2002);
    expect(numbersIn(client.messages)).toEqual(upTo(2002));
    await until(async () => (await queued(one.id)) === 0);
    expect((await bench.call(one.key, "GET", "/v2/notification/websocket")).body).toMatchObject({
      status: "connected",
      queue_size: 0,
    });
  });

  it("never sends a device's entries out of their order", async () => {
    await register(one.key);
    const device = newId();
    const client = connectSocket(one.key);
    await send(one.id, [
      ["registrations", registration(device)],
      ["notifications", value(device, 1)],
      ["de-registrations", deregistration(device)],
      ["registrations", registration(device)],
      ["notifications", value(device, 2)],
      ["registrations-expired", deregistration(device)],
    ]);
    await until(() => client.messages.length === 6);
    expect(client.messages.map((message) => Object.keys(message)[0])).toEqual([
      "registrations",
      "notifications",
      "de-registrations",
      "registrations",
      "notifications",
      "registrations-expired",
    ]);
  });

  it("takes its key as a protocol, as browsers give it", async () => {
    await register(one.key);
    const client = connectSocket(null, { protocols: ["wss", `pelion_${one.key}`] });
    await client.opened;
    expect(client.socket.protocol).toBe("wss");
    await send(one.id, values(newId(), [1]));
    await until(() => client.messages.length === 1);
  });

  it("gets everything again that it did not answer for, on the next connection", async () => {
    await register(one.key);
    const device = newId();
    await send(one.id, values(device, upTo(3000)));
    const got: number[] = [];
    // Connections that end at any moment, some without ever answering.
    for (let turn = 0; turn < 6; turn++) {
      const client = connectSocket(one.key, { autoPong: turn % 2 === 1 });
      await client.opened;
      await until(() => client.messages.length > 0);
      client.socket.terminate();
      got.push(...numbersIn(client.messages));
      await send(one.id, values(device, upTo(100, 3001 + turn * 100)));
    }
    const last = connectSocket(one.key);
    await until(() => numbersIn(last.messages).at(-1) === 3600);
    got.push(...numbersIn(last.messages));
    expect(firstOf(got)).toEqual(upTo(3600));
    await until(async () => (await queued(one.id)) === 0);
  });

  it("is sent no more than so much ahead of its answers", async () => {
    await register(one.key, { serialization: { max_chunk_size: 100 } });
    const client = connectSocket(one.key, { autoPong: false });
    const pings: Buffer[] = [];
    client.socket.on("ping", (data) => pings.push(data));
    await client.opened;
    await send(one.id, values(newId(), upTo(5000)));
    await until(() => numbersIn(client.messages).length === 3200);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(numbersIn(client.messages)).toHaveLength(3200);
    // The answer to a later ping counts for those before it; one that nobody asked for does not.
    client.socket.pong("nonsense");
    client.socket.pong("99999");
    client.socket.pong(pings[9]);
    await until(() => numbersIn(client.messages).length === 4200);
    await until(async () => (await queued(one.id)) === 4000);
  });

  it("is replaced by the next one of its owner, and by no other", async () => {
    await register(one.key);
    await register(two.key);
    const beside = connectSocket(two.key);
    const first = connectSocket(one.key);
    await Promise.all([beside.opened, first.opened]);
    const second = connectSocket(one.key);
    expect((await first.closed).code).toBe(1001);
    await send(one.id, values(newId(), [1]));
    await until(() => second.messages.length === 1);
    expect(beside.messages).toEqual([]);
    expect(beside.socket.readyState).toBe(WebSocket.OPEN);
  });

  it("is closed with 1000 when the channel is deleted and 1011 when there is none", async () => {
    await register(one.key);
    const client = connectSocket(one.key);
    await client.opened;
    expect((await bench.call(one.key, "DELETE", "/v2/notification/websocket")).status).toBe(204);
    expect((await client.closed).code).toBe(1000);
    expect((await bench.call(one.key, "DELETE", "/v2/notification/websocket")).status).toBe(404);
    expect((await connectSocket(one.key).closed).code).toBe(1011);
  });

  it("is closed with 1008 when the key is deleted, and stays when it only expires", async () => {
    await register(one.key);
    const client = connectSocket(one.key);
    await client.opened;
    await bench.db.apiKey.update({ where: { id: one.id }, data: { expiresAt: new Date(Date.now() - 1) } });
    await bench.api.delivery.keys.check();
    await send(one.id, values(newId(), [1]));
    await until(() => client.messages.length === 1);
    expect(await connectSocket(one.key).refused).toBe(401);
    await removeApiKey(bench.a.ctx, { id: one.id });
    expect((await client.closed).code).toBe(1008);
  });

  it("belongs to an application, whichever of its keys opened it", async () => {
    const application = await createApplication(bench.a.ctx, { name: newId() });
    const own = { applicationId: application.id };
    const first = await createAccessKey(bench.a.ctx, { ...own, name: "first" });
    const second = await createAccessKey(bench.a.ctx, { ...own, name: "second" });
    expect((await register(first.key)).status).toBe(201);
    expect((await register(second.key)).status).toBe(200);
    const client = connectSocket(second.key);
    await client.opened;
    await send(application.id, values(newId(), [1]));
    await until(() => client.messages.length === 1);
    const events = await fetch(`${bench.url}/v3/events`, {
      headers: { Authorization: `Bearer ${second.key}` },
    });
    // A key that is off, or expired, opens nothing new; what is open goes on.
    await updateAccessKey(bench.a.ctx, { ...own, id: second.id, status: "INACTIVE" });
    await bench.api.delivery.keys.check();
    expect(await events.text()).toContain("retry:");
    await send(application.id, values(newId(), [2]));
    await until(() => client.messages.length === 2);
    await removeAccessKey(bench.a.ctx, { ...own, id: second.id });
    expect((await client.closed).code).toBe(1008);
    const again = connectSocket(first.key);
    await again.opened;
    await send(application.id, values(newId(), [3]));
    await until(() => again.messages.length === 1);
    await updateApplication(bench.a.ctx, { id: application.id, status: "INACTIVE" });
    expect((await again.closed).code).toBe(1008);
    expect(await bench.db.notificationChannel.count({ where: { ownerId: application.id } })).toBe(0);
    expect(await connectSocket(first.key).refused).toBe(401);
  });

  it("is refused without a key, without its scope, and for what is no handshake", async () => {
    expect(await connectSocket(null).refused).toBe(401);
    expect(await connectSocket(`${one.key.slice(0, -1)}-`).refused).toBe(401);
    const reader = await createApiKey(bench.a.ctx, { name: "reader", scopes: ["read"] });
    expect(await connectSocket(reader.key).refused).toBe(403);
    expect((await bench.call(one.key, "GET", "/v2/notification/websocket-connect")).status).toBe(426);
    for (const [name, header, status] of [
      ["Sec-WebSocket-Version", "12", 426],
      ["Sec-WebSocket-Key", "short", 400],
    ] as const) {
      const answer = await new Promise<number>((resolve, reject) => {
        request(`${bench.url}/v2/notification/websocket-connect`, {
          headers: {
            Authorization: `Bearer ${one.key}`,
            Connection: "Upgrade",
            Upgrade: "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            [name]: header,
          },
        })
          .once("response", (response) => resolve(response.statusCode ?? 0))
          .once("error", reject)
          .end();
      });
      expect(answer).toBe(status);
    }
  });

  it("has one handshake at a time", async () => {
    await register(one.key);
    const clients = upTo(5).map(() => connectSocket(one.key));
    const ends = await Promise.all(
      clients.map(({ opened, refused }) => Promise.race([opened.then(() => 101), refused])),
    );
    expect(ends).toContain(101);
    expect(ends.every((status) => status === 101 || status === 429)).toBe(true);
  });

  it("answers pings, and ends connections that send too much", async () => {
    await register(one.key);
    const client = connectSocket(one.key);
    await client.opened;
    const pong = new Promise((resolve) => client.socket.once("pong", (data) => resolve(data.toString())));
    client.socket.ping("are you there");
    expect(await pong).toBe("are you there");
    client.socket.send("hello");
    client.socket.send(Buffer.alloc(100_000));
    expect((await client.closed).code).toBe(1009);
  });

  it("may break the protocol, also while it is being turned away", async () => {
    const { hostname, port } = new URL(bench.url);
    // There is no channel: the server closes at once, and what the client sent along is still read.
    const ended = new Promise((resolve) => {
      const socket = connect(Number(port), hostname);
      socket.on("close", resolve).on("data", () => socket.end());
      socket.write(
        Buffer.concat([
          Buffer.from(
            `GET /v2/notification/websocket-connect HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${one.key}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
          ),
          Buffer.from([0xff, 0xff, 0xff, 0xff]),
        ]),
      );
    });
    await ended;
    expect((await bench.call(one.key, "GET", "/v2/notification/channel")).status).toBe(404);
  });

  it("is opened by a head that says exactly what clients compare", async () => {
    await register(one.key);
    const { hostname, port } = new URL(bench.url);
    const head = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), hostname);
      socket.once("data", (data) => {
        resolve(data.toString("latin1"));
        socket.destroy();
      });
      socket.write(
        `GET /v2//notification/websocket-connect/ HTTP/1.1\r\nHost: x\r\nAuthorization: bearer ${one.key}\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
      );
    });
    expect(head).toMatch(/^HTTP\/1\.1 101 /);
    expect(head).toContain("\r\nConnection: Upgrade\r\n");
    expect(head).toContain("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
  });
});

it("ends everything in order when the process goes", async () => {
  const own = await openApiBench();
  own.answers["owner.reload"] = () => ({});
  const socketKey = await createApiKey(own.a.ctx, { name: "socket" });
  const pollKey = await createApiKey(own.a.ctx, { name: "poll" });
  await own.call(socketKey.key, "PUT", "/v2/notification/websocket");
  const socket = new WebSocket(`${own.url.replace("http", "ws")}/v2/notification/websocket-connect`, {
    headers: { Authorization: `Bearer ${socketKey.key}` },
  });
  await new Promise((resolve) => socket.once("open", resolve));
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  const poll = own.call(pollKey.key, "GET", "/v2/notification/pull");
  const events = await fetch(`${own.url}/v3/events`, { headers: { Authorization: `Bearer ${pollKey.key}` } });
  await until(async () => (await own.db.notificationChannel.count()) === 2);
  const closing = own.api.close();
  expect(await closed).toBe(1012);
  expect((await poll).status).toBe(204);
  expect(await events.text()).toContain("retry:");
  await closing;
  await own.close();
});
