import { afterAll, beforeAll, expect, it } from "vitest";
import WebSocket from "ws";
import { createApiKey } from "@/server/services/api-keys/create";
import { newId } from "@/server/services/ids";
import {
  enqueue,
  firstOf,
  numbersIn,
  type Receiver,
  startReceiver,
  until,
  upTo,
  value,
} from "../../support/channels";
import { startWholePortal, type WholePortal } from "../../support/whole-portal";

const STEP = 15;
const ROUNDS = 30;

let portal: WholePortal;
let receiver: Receiver;
let over = false;
let connected = false;

beforeAll(async () => {
  portal = await startWholePortal();
  receiver = await startReceiver();
}, 60_000);
afterAll(async () => {
  over = true;
  await portal?.close();
  await receiver?.kill();
});

const call = (key: string, method: string, path: string, body?: object) =>
  fetch(portal.url + path, {
    method,
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: body ? JSON.stringify(body) : null,
    signal: AbortSignal.timeout(60_000),
  });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Polls as an application does: again after every answer, and after a moment when there is none. */
async function poll(key: string, got: number[]): Promise<void> {
  while (!over) {
    try {
      const answer = await call(key, "GET", "/v2/notification/pull");
      if (answer.status === 200) got.push(...numbersIn([(await answer.json()) as never]));
    } catch {
      await pause(50);
    }
  }
}

/** Keeps a WebSocket open; `codes` are those that it was closed with. */
function stay(key: string, got: number[], codes: number[]): void {
  const url = `${portal.secureUrl.replace("http", "ws")}/v2/notification/websocket-connect`;
  const socket = new WebSocket(url, ["wss", `pelion_${key}`], { rejectUnauthorized: false });
  socket.on("message", (data) => got.push(...numbersIn([JSON.parse(data.toString()) as never])));
  socket.on("error", () => {});
  socket.on("open", () => {
    connected = true;
  });
  socket.on("close", (code) => {
    connected = false;
    codes.push(code);
    setTimeout(() => over || stay(key, got, codes), 50);
  });
}

it("a poll, a WebSocket and a callback lose nothing when the portal is killed, killed again, and restarted", async () => {
  const [polling, streaming, called] = await Promise.all(
    ["polling", "streaming", "called"].map((name) => createApiKey(portal.ctx, { name })),
  );
  if (!polling || !streaming || !called) throw new Error("There are no keys.");
  const polled: number[] = [];
  const streamed: number[] = [];
  const codes: number[] = [];
  expect((await call(streaming.key, "PUT", "/v2/notification/websocket")).status).toBe(201);
  expect((await call(called.key, "PUT", "/v2/notification/callback", { url: receiver.url })).status).toBe(
    204,
  );
  void poll(polling.key, polled);
  stay(streaming.key, streamed, codes);
  const device = newId();
  const owners = [polling.id, streaming.id, called.id];
  /** Each once everybody has come back after the one before. */
  const ends = [portal.kill, portal.kill, portal.stop];
  let count = 0;
  for (let rounds = 0; ends.length > 0 || rounds < ROUNDS; rounds++) {
    const entries = upTo(STEP, count + 1).map((n) => ["notifications", value(device, n)] as const);
    count += STEP;
    for (const ownerId of owners) {
      await enqueue(portal.db, ownerId, entries);
      portal.bus.publish({ kind: "notifications", accountId: portal.accountId, deviceId: null, ownerId });
    }
    if (rounds >= ROUNDS && connected) {
      rounds = 0;
      await ends.shift()?.();
      // What happens while it is away waits.
      void portal.start();
    }
    await pause(20);
  }
  const last = (numbers: number[]) => numbers.includes(count);
  const received = () => numbersIn(receiver.taken());
  await until(() => last(polled) && last(streamed) && last(received()), 60_000);
  for (const got of [polled, streamed, received()]) expect(firstOf(got)).toEqual(upTo(count));
  expect(codes.filter((code) => code === 1006).length).toBeGreaterThanOrEqual(2);
  expect(codes).toContain(1012);
  // What was sent twice is little: only what was under way.
  for (const got of [polled, streamed, received()]) expect(got.length).toBeLessThan(2 * count);
  await until(
    async () => (await portal.db.notification.count({ where: { ownerId: { not: polling.id } } })) === 0,
  );
}, 120_000);
