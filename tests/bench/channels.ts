import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import WebSocket from "ws";
import { createApiKey } from "@/server/services/api-keys/create";
import { actAs } from "@/server/services/create-context";
import { startGatewayProcess } from "../support/gateway-process";
import { HttpConnection } from "./_http";
import { measure, quantile } from "./_measure";
import { NotifyingDevices, VALUE_PATH } from "./_notifying-devices";
import { type PortalProcess, startPortalProcess } from "./_portal";

export const name = "Notifications from devices to applications";

const DEVICES = 1_000;
const WARM_UP = 10_000;
const COUNT = 40_000;
/** What devices send while it is measured how old values are at the application. */
const STEADY_PER_SECOND = 5_000;
/** What has not arrived by then is lost. */
const PATIENCE_MS = 15_000;

type Message = { notifications?: { ep: string; path: string; payload: string }[] };

/** Values as they arrive at an application, and how old they are. */
class Arrivals {
  readonly ages = new Map<number, number>();
  /** Values before this one do not count. */
  #first = 1;

  constructor(private readonly sentAt: readonly number[]) {}

  /** Counts from the next value on that is sent. */
  begin(): void {
    this.#first = this.sentAt.length;
    this.ages.clear();
  }

  /** What arrives twice counts once. */
  take(value: number): void {
    const sentAt = this.sentAt[value];
    if (value >= this.#first && sentAt !== undefined && !this.ages.has(value))
      this.ages.set(value, performance.now() - sentAt);
  }

  message(text: string): void {
    const { notifications = [] } = JSON.parse(text) as Message;
    for (const { payload } of notifications) this.take(Number(Buffer.from(payload, "base64").toString()));
  }
}

/** An application on one kind of channel. */
interface Application {
  close(): Promise<void>;
}
interface Reached {
  port: number;
  key: string;
  arrivals: Arrivals;
}

/** One request over a connection of its own: an idle one would be closed while the devices notify. */
async function call(
  { port, key }: { port: number; key: string },
  method: string,
  path: string,
  status: number,
  body?: unknown,
): Promise<void> {
  const http = await HttpConnection.open(port, key);
  const answer = await http.request(method, path, body === undefined ? "" : JSON.stringify(body));
  http.close();
  if (answer.status !== status)
    throw new Error(`${method} ${path} was answered ${answer.status}: ${answer.body}`);
}

async function longPoll({ port, key, arrivals }: Reached): Promise<Application> {
  const http = await HttpConnection.open(port, key);
  let open = true;
  const poll = async () => {
    while (open) {
      const { status, body } = await http.request("GET", "/v2/notification/pull");
      if (status === 200) arrivals.message(body);
      else if (status !== 204) throw new Error(`A poll was answered ${status}: ${body}`);
    }
  };
  // When it fails, nothing arrives any more.
  poll().catch(() => {});
  return {
    async close() {
      open = false;
      http.close();
    },
  };
}

async function callback(reached: Reached): Promise<Application> {
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("end", () => {
      reached.arrivals.message(Buffer.concat(chunks).toString());
      res.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  await call(reached, "PUT", "/v2/notification/callback", 204, { url });
  return {
    async close() {
      await call(reached, "DELETE", "/v2/notification/callback", 204);
      server.closeAllConnections();
      server.close();
    },
  };
}

async function webSocket(reached: Reached): Promise<Application> {
  await call(reached, "PUT", "/v2/notification/websocket", 201);
  const socket = new WebSocket(`ws://127.0.0.1:${reached.port}/v2/notification/websocket-connect`, {
    headers: { Authorization: `Bearer ${reached.key}` },
  });
  socket.on("message", (data) => reached.arrivals.message(String(data)));
  await once(socket, "open");
  return {
    async close() {
      await call(reached, "DELETE", "/v2/notification/websocket", 204);
      socket.close();
    },
  };
}

async function eventStream({ port, key, arrivals }: Reached): Promise<Application> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(
    `GET /v3/events?types=values HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${key}\r\n\r\n`,
  );
  const [head] = (await once(socket, "data")) as [Buffer];
  if (!head.toString().startsWith("HTTP/1.1 200")) throw new Error(`A stream was answered ${head}`);
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    text += chunk;
    const end = text.lastIndexOf("\n") + 1;
    for (const line of text.slice(0, end).split("\n")) {
      if (!line.startsWith("data: ")) continue;
      const { values } = JSON.parse(line.slice(6)) as { values: { path: string; value: unknown }[] };
      for (const { value } of values) arrivals.take(Number(value));
    }
    text = text.slice(end);
  });
  return {
    async close() {
      socket.destroy();
    },
  };
}

const kinds: readonly [kind: string, open: (reached: Reached) => Promise<Application>][] = [
  ["long polling", longPoll],
  ["a callback", callback],
  ["a WebSocket", webSocket],
  ["server-sent events", eventStream],
];

async function until(holds: () => boolean, what: () => string): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !holds(); ) {
    if (performance.now() > end) throw new Error(what());
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export async function run() {
  const keys: string[] = [];
  const gateway = await startGatewayProcess(async (context, accountId) => {
    const operator = actAs(context, { kind: "operator", accountId });
    for (const [kind] of kinds) keys.push((await createApiKey(operator, { name: kind })).key);
  });
  const devices = new NotifyingDevices(gateway.config.coapLwm2mPort, DEVICES);
  let portal: PortalProcess | null = null;
  const rows = [];
  try {
    portal = await startPortalProcess(gateway.config);
    await devices.register();
    for (const [n, [kind, open]] of kinds.entries()) {
      const key = keys[n] as string;
      const reached = { port: portal.port, key, arrivals: new Arrivals(devices.sentAt) };
      const { arrivals } = reached;
      // Event streams tell of what others have observed.
      await call(reached, "PUT", "/v2/subscriptions", 204, [{ "resource-path": [VALUE_PATH] }]);
      await devices.update();
      await until(
        () => devices.observed === DEVICES,
        () => `${devices.observed} devices of ${DEVICES} are observed.`,
      );
      const application = await open(reached);
      const notify = async (count: number, perSecond?: number) => {
        arrivals.begin();
        await devices.notify(count, perSecond);
        await until(
          () => arrivals.ages.size === count,
          () => `${count - arrivals.ages.size} of ${count} values did not arrive by ${kind}.`,
        );
      };
      // The gateway hears a moment later that somebody listens.
      while (arrivals.ages.size === 0) await devices.notify(1);
      await notify(WARM_UP);
      const cpu = gateway.cpuSeconds();
      const rate = await measure(portal, COUNT, () => notify(COUNT));
      const gatewayCpu = gateway.cpuSeconds() - cpu;
      await notify(COUNT, STEADY_PER_SECOND);
      rows.push(
        {
          metric: `events by ${kind}, everything on this machine`,
          value: rate.perSecond,
          unit: "/s",
          aim: 5_000,
        },
        {
          metric: `99 of 100 at 5,000/s from device to application by ${kind} within`,
          value: quantile([...arrivals.ages.values()], 0.99),
          unit: "ms",
          aim: 250,
        },
        { metric: `events by ${kind}, per second of portal CPU`, value: rate.perCpuSecond, unit: "/s" },
        { metric: `events by ${kind}, per second of gateway CPU`, value: COUNT / gatewayCpu, unit: "/s" },
      );
      await call(reached, "DELETE", "/v2/subscriptions", 204);
      await until(
        () => devices.observed === 0,
        () => `${devices.observed} devices are still observed.`,
      );
      await application.close();
    }
    return rows;
  } finally {
    devices.close();
    await portal?.close();
    await gateway.close();
  }
}
