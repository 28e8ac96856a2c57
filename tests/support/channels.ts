import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { PrismaClient } from "@/server/db";
import { newId } from "@/server/services/ids";
import { notificationRow } from "@/server/services/notifications/statements";
import type { NotificationBodies, NotificationKind } from "@/server/services/notifications/types";

type Message = { [K in NotificationKind]?: unknown[] };

/** A value that a device sent, as the gateway queues it. */
export const value = (ep: string, n: number): NotificationBodies["notifications"] => ({
  ep,
  "original-ep": `name of ${ep}`,
  path: "/3303/0/5700",
  ct: "text/plain",
  payload: Buffer.from(String(n)).toString("base64"),
  "max-age": 0,
  uid: newId(),
  timestamp: Date.now(),
});

export const registration = (ep: string): NotificationBodies["registrations"] => ({
  ep,
  "original-ep": `name of ${ep}`,
  ept: "test",
  q: false,
  resources: [{ path: "/3303/0/5700", obs: true }],
  uid: newId(),
  timestamp: Date.now(),
});

export const deregistration = (ep: string): NotificationBodies["de-registrations"] => ({
  ep,
  "original-ep": `name of ${ep}`,
  uid: newId(),
  timestamp: Date.now(),
});

/** Entries for a queue, of any kind. */
export type Entry = { [K in NotificationKind]: readonly [K, NotificationBodies[K]] }[NotificationKind];

/** Appends to the queue of an owner, as the gateway does. */
export async function enqueue(db: PrismaClient, ownerId: string, entries: readonly Entry[]): Promise<void> {
  await db.notification.createMany({
    data: entries.map(([kind, body]) => {
      const row = notificationRow(ownerId, kind, body as never, Date.now());
      return { ...row, at: new Date(row.at) };
    }),
  });
}

/** The numbers that messages carry as values, in the order in which they came. */
export const numbersIn = (messages: readonly Message[]): number[] =>
  messages.flatMap((message) =>
    ((message.notifications ?? []) as { payload: string }[]).map(({ payload }) =>
      Number(Buffer.from(payload, "base64").toString()),
    ),
  );

/** Numbers in the order in which they came first: what was sent again was known already. */
export const firstOf = (numbers: readonly number[]): number[] => [...new Set(numbers)];

export const upTo = (n: number, from = 1): number[] => Array.from({ length: n }, (_, at) => at + from);

/** Waits, looking every few milliseconds, until something holds. */
export async function until(holds: () => boolean | Promise<boolean>, patienceMs = 10_000): Promise<void> {
  for (const end = Date.now() + patienceMs; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`It did not happen: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** An application's end of a callback. */
export interface Receiver {
  readonly url: string;
  readonly requests: { headers: IncomingMessage["headers"]; body: string; message: Message }[];
  /** How it answers the next requests; it may wait. */
  answer: (body: string) => number | Promise<number>;
  /** Messages that it took. */
  taken(): Message[];
  /** Cuts every connection and no longer listens. */
  kill(): Promise<void>;
  /** Listens again, on the same port. */
  start(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const requests: Receiver["requests"] = [];
  const taken: Message[] = [];
  let server: Server;
  let port = 0;
  const receiver: Receiver = {
    get url() {
      return `http://127.0.0.1:${port}/hook`;
    },
    requests,
    answer: () => 204,
    taken: () => taken,
    async kill() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
    async start() {
      server = createServer((req, res) => {
        const chunks: Buffer[] = [];
        req.on("data", (chunk: Buffer) => chunks.push(chunk));
        req.on("end", async () => {
          const body = Buffer.concat(chunks).toString();
          const message = JSON.parse(body) as Message;
          requests.push({ headers: { ...req.headers, ":method": req.method }, body, message });
          const status = await receiver.answer(body);
          if (status === 200 || status === 204) taken.push(message);
          res
            .writeHead(status, status >= 300 && status < 400 ? { Location: "http://127.0.0.1:1/" } : {})
            .end();
        });
      });
      await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
      port = (server.address() as AddressInfo).port;
    },
  };
  await receiver.start();
  return receiver;
}

/** The signature of Standard Webhooks, computed as an application would. */
export function signatureOf(secret: string, id: string, timestamp: string, body: string): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
}
