import { createSocket, type Socket } from "node:dgram";
import { generate, parse } from "coap-packet";
import { startGatewayProcess } from "../support/gateway-process";

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

  async run(requests: Request[], expect: string): Promise<ReturnType<typeof parse>[]> {
    const answers: ReturnType<typeof parse>[] = [];
    let next = 0;
    const worker = async () => {
      while (next < requests.length) {
        const index = next++;
        const answer = await this.#exchange(requests[index] as Request);
        if (answer.code !== expect) throw new Error(`Answered ${answer.code}: ${answer.payload.toString()}`);
        answers[index] = answer;
      }
    };
    await Promise.all(Array.from({ length: WINDOW }, worker));
    return answers;
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
  const timed = async (requests: Request[], expect: string) => {
    const cpu = gateway.cpuSeconds();
    const start = performance.now();
    const answers = await load.run(requests, expect);
    const seconds = (performance.now() - start) / 1000;
    return {
      answers,
      perSecond: requests.length / seconds,
      perCpuSecond: requests.length / (gateway.cpuSeconds() - cpu),
    };
  };
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
    const locations = again.answers.map((answer) =>
      (answer.options ?? [])
        .filter(({ name }) => name === "Location-Path")
        .map(({ value }) => value.toString()),
    );
    const updates = Array.from({ length: UPDATE_ROUNDS }, () =>
      locations.map((path) => ({ path, query: [] })),
    ).flat();
    const update = await timed(updates, "2.04");
    const stored = await gateway.db.registration.count();
    if (stored !== DEVICES + WARM_UP)
      throw new Error(`${stored} registrations are on disk instead of ${DEVICES + WARM_UP}.`);
    return [
      row("first registrations, durable", first, 10_000, "directory entry, registration and events of each"),
      row("registrations again, durable", again, 10_000, "JSON of the group commit and SQLite"),
      row("updates, durable", update, 20_000, "datagram in and out, CoAP codec"),
    ].flat();
  } finally {
    load.close();
    await gateway.close();
  }
}

function row(
  metric: string,
  result: { perSecond: number; perCpuSecond: number },
  aim: number,
  limitedBy: string,
) {
  return [
    { metric: `${metric} (load on the other core)`, value: result.perSecond, unit: "/s", aim, limitedBy },
    { metric: `${metric}, per second of gateway CPU`, value: result.perCpuSecond, unit: "/s", aim },
  ];
}
