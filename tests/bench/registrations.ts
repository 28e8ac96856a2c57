import { createSocket, type Socket } from "node:dgram";
import { generate, parse } from "coap-packet";
import { startGatewayProcess } from "../support/gateway-process";
import { concurrently, measure, rateRows } from "./_measure";

export const name = "Registrations and updates over plain CoAP";

const DEVICES = 10_000;
const WARM_UP = 3000;
/** Requests under way at any time: what keeps the gateway busy without losing datagrams. */
const WINDOW = 512;
const SOCKETS = 16;
const UPDATE_ROUNDS = 4;
const OBJECTS = "</1/0>,</3/0>,</3303/0>";

interface Request {
  path: string[];
  query: string[];
  payload?: string;
}

/** Sends requests from a few sockets, a window at a time, and resolves with the answers in order. */
class Load {
  readonly #sockets: Socket[];
  readonly #pending: Map<number, (packet: ReturnType<typeof parse>) => void>[];
  #next = 0;

  constructor(private readonly port: number) {
    this.#pending = Array.from({ length: SOCKETS }, () => new Map());
    this.#sockets = this.#pending.map((pending) => {
      const socket = createSocket({ type: "udp4", recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
      socket.on("message", (bytes) => {
        const packet = parse(bytes);
        pending.get(packet.messageId)?.(packet);
        pending.delete(packet.messageId);
      });
      return socket;
    });
  }

  run(requests: Request[], expect: string): Promise<ReturnType<typeof parse>[]> {
    return concurrently(requests, WINDOW, async (request) => {
      const answer = await this.#exchange(request);
      if (answer.code !== expect) throw new Error(`Answered ${answer.code}: ${answer.payload.toString()}`);
      return answer;
    });
  }

  #exchange({ path, query, payload }: Request): Promise<ReturnType<typeof parse>> {
    const lane = this.#next++ % SOCKETS;
    const messageId = Math.floor(this.#next / SOCKETS) & 0xffff;
    const bytes = generate({
      code: "POST",
      confirmable: true,
      messageId,
      token: Buffer.from([messageId >> 8, messageId & 255]),
      options: [
        ...path.map((value) => ({ name: "Uri-Path" as const, value: Buffer.from(value) })),
        ...query.map((value) => ({ name: "Uri-Query" as const, value: Buffer.from(value) })),
      ],
      ...(payload && { payload: Buffer.from(payload) }),
    });
    return new Promise((resolve, reject) => {
      let tries = 0;
      const send = () => {
        if (++tries > 6) return reject(new Error("The gateway does not answer."));
        this.#sockets[lane]?.send(bytes, this.port, "127.0.0.1");
        timer = setTimeout(send, 2000 * tries);
      };
      let timer: NodeJS.Timeout;
      this.#pending[lane]?.set(messageId, (packet) => {
        clearTimeout(timer);
        resolve(packet);
      });
      send();
    });
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }
}

export async function run() {
  const gateway = await startGatewayProcess();
  gateway.bus.watch([]);
  const load = new Load(gateway.config.coapLwm2mPort);
  const timed = (requests: Request[], expect: string) =>
    measure(gateway, requests.length, () => load.run(requests, expect));
  try {
    const devices = (prefix: string, count: number) =>
      Array.from({ length: count }, (_, n) => ({
        path: ["rd"],
        query: [`ep=${prefix}-${n}`, "lt=3600", "lwm2m=1.1", "b=U"],
        payload: OBJECTS,
      }));
    // A gateway runs for weeks: what its first seconds cost is not what this is about.
    for (let round = 0; round < 3; round++) await load.run(devices("warm", WARM_UP), "2.01");
    const register = devices("bench", DEVICES);
    const first = await timed(register, "2.01");
    const again = await timed(register, "2.01");
    const locations = again.result.map((answer) =>
      (answer.options ?? [])
        .filter(({ name }) => name === "Location-Path")
        .map(({ value }) => value.toString()),
    );
    const updates = (rounds: number) =>
      timed(
        Array.from({ length: rounds }, () => locations.map((path) => ({ path, query: [] }))).flat(),
        "2.04",
      );
    const update = await updates(UPDATE_ROUNDS);
    let heard = 0;
    gateway.bus.subscribe(() => heard++);
    gateway.bus.watch([gateway.accountId]);
    await gateway.bus.request("ping", {});
    const watched = await updates(1);
    // What was sent before an answer is here before it.
    await gateway.bus.request("ping", {});
    if (heard < DEVICES) throw new Error(`Only ${heard} events of ${DEVICES} updates were heard.`);
    const stored = await gateway.db.registration.count();
    if (stored !== DEVICES + WARM_UP)
      throw new Error(`${stored} registrations are on disk instead of ${DEVICES + WARM_UP}.`);
    return [
      ...rateRows(
        "first registrations, durable",
        first,
        10_000,
        "SQLite: three rows in eleven B-trees, and their pages in the log",
      ),
      ...rateRows("registrations again, durable", again, 10_000, "SQLite: two rows changed, two events each"),
      ...rateRows(
        "updates, durable",
        update,
        20_000,
        "a datagram in and one out (a third of it), then SQLite and CoAP",
      ),
      ...rateRows(
        "updates while a page of the account is open",
        watched,
        20_000,
        "the same, and an event for the portal with each",
      ),
    ];
  } finally {
    load.close();
    await gateway.close();
  }
}
