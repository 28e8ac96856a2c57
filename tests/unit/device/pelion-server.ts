import { generate, type NamedOption, type ParsedPacket, parse } from "coap-packet";
import {
  ConnectError,
  factoryItems,
  type PelionConnect,
  PelionDevice,
  type PelionItems,
  type PelionOptions,
  type PelionStore,
  type PelionTarget,
} from "@/server/device";
import { boolean, encodeObjectInstance, type InstanceResource, integer, string } from "@/server/lwm2m";
import {
  type Bundle,
  createDeveloperCertificate,
  createRootAuthority,
  DeviceCertificateIssuer,
  parseCertificateRequest,
} from "@/server/pki";
import { type FakePeer, peerPair } from "../../support/coap-peers";
import { FakeClock } from "../../support/fake-clock";

export const ACCOUNT = "0190".padEnd(32, "0");
export const DEVICE_ID = "0191".padEnd(32, "a");
export const ENDPOINT = "dev-endpoint";
export const TLV = 11542;
const CODES = { GET: "0.01", POST: "0.02", PUT: "0.03", DELETE: "0.04" } as const;

/** A message of the device with what tests look at taken out of it. */
export interface Heard extends ParsedPacket {
  path: string;
  query: string[];
  text: string;
  at: number;
  bytes: Buffer;
}

export interface Ask {
  method?: keyof typeof CODES;
  path: string;
  query?: readonly string[];
  contentFormat?: number;
  accept?: number;
  observe?: number;
  block1?: [num: number, more: boolean, szx: number];
  block2?: [num: number, szx: number];
  payload?: string | Uint8Array;
  messageId?: number;
  token?: Buffer;
  confirmable?: boolean;
}

const raw = (name: NamedOption["name"], value: Buffer): NamedOption => ({ name, value });
const uint = (value: number): Buffer => {
  const hex = value === 0 ? "" : value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
};
const block = (num: number, more: boolean, szx: number) => uint(num * 16 + (more ? 8 : 0) + szx);

/** Values of an option of a message. */
export const optionsOf = (packet: ParsedPacket, name: string | number): Buffer[] =>
  packet.options.filter((one) => one.name === name).map((one) => one.value as Buffer);

/** One connection of the device, seen from the server, message by message. */
export class Connection {
  readonly heard: Heard[] = [];
  /** Messages that repeat an id are kept apart. */
  readonly repeated: Heard[] = [];
  readonly #waiting = new Map<string, (packet: Heard) => void>();
  readonly #body: Buffer[] = [];
  /** Whether confirmable messages of the device are acknowledged. */
  acknowledge = true;
  readonly at: number;

  constructor(
    readonly server: PelionServer,
    readonly target: PelionTarget,
    readonly peer: FakePeer,
  ) {
    this.at = server.clock.now();
    peer.onmessage = (bytes) => this.#receive(Buffer.from(bytes));
  }

  get open(): boolean {
    return !this.peer.closed;
  }

  #receive(bytes: Buffer): void {
    // The client hangs an option on its empty acknowledgements, which no parser likes.
    const packet = parse(bytes[1] === 0 ? bytes.subarray(0, 4) : bytes);
    const heard: Heard = {
      ...packet,
      path: `/${optionsOf(packet, "Uri-Path").join("/")}`,
      query: optionsOf(packet, "Uri-Query").map(String),
      text: packet.payload.toString(),
      at: this.server.clock.now(),
      bytes,
    };
    if (
      packet.confirmable &&
      this.heard.some((one) => one.confirmable && one.messageId === packet.messageId)
    ) {
      this.repeated.push(heard);
      return;
    }
    this.heard.push(heard);
    if (packet.code === "0.00" || !packet.code.startsWith("0.")) {
      // A response that comes on its own, or a notification.
      if (packet.confirmable && packet.code !== "0.00" && this.acknowledge) this.empty(heard, "ack");
      if (packet.code === "0.00") return;
      const waiting = this.#waiting.get(packet.token.toString("hex"));
      this.#waiting.delete(packet.token.toString("hex"));
      waiting?.(heard);
      return;
    }
    const [num = 0] = optionsOf(packet, "Block1").map((value) => value.readUIntBE(0, value.length) >> 4);
    if (num === 0) this.#body.length = 0;
    this.#body.push(packet.payload);
    const more = optionsOf(packet, "Block1").some((value) => (value.at(-1)! & 8) !== 0);
    if (more) {
      this.reply(heard, "2.31", { options: [raw("Block1", optionsOf(packet, "Block1")[0]!)] });
      return;
    }
    this.server.request(this, { ...heard, payload: Buffer.concat(this.#body) });
  }

  /** Answers on the acknowledgement. */
  reply(
    request: ParsedPacket,
    code: string,
    { payload = "", options = [] }: { payload?: string | Uint8Array; options?: NamedOption[] } = {},
  ): void {
    this.send({ ack: true, messageId: request.messageId, token: request.token, code, options, payload });
  }

  empty(message: ParsedPacket, kind: "ack" | "reset"): void {
    this.send({ ack: kind === "ack", reset: kind === "reset", messageId: message.messageId, code: "0.00" });
  }

  send(packet: Omit<Parameters<typeof generate>[0], "payload"> & { payload?: string | Uint8Array }): void {
    this.peer.send(generate({ ...packet, payload: Buffer.from(packet.payload ?? "") }));
  }

  /** Sends a request; the answer comes on the acknowledgement or on its own. Null when none came. */
  async ask(ask: Ask): Promise<Heard | null> {
    const token = this.tell(ask);
    let answer: Heard | null = null;
    this.#waiting.set(token.toString("hex"), (packet) => (answer = packet));
    await this.server.turns();
    return answer;
  }

  /** Sends a request without waiting. */
  tell(ask: Ask): Buffer {
    const token = ask.token ?? uint(0x7000_0000 + this.server.nextMessageId());
    const options: NamedOption[] = [
      ...ask.path
        .split("/")
        .filter(Boolean)
        .map((one) => raw("Uri-Path", Buffer.from(one))),
      ...(ask.query ?? []).map((one) => raw("Uri-Query", Buffer.from(one))),
    ];
    if (ask.contentFormat !== undefined) options.push(raw("Content-Format", uint(ask.contentFormat)));
    if (ask.accept !== undefined) options.push(raw("Accept", uint(ask.accept)));
    if (ask.observe !== undefined) options.push(raw("Observe", uint(ask.observe)));
    if (ask.block1) options.push(raw("Block1", block(...ask.block1)));
    if (ask.block2) options.push(raw("Block2", block(ask.block2[0], false, ask.block2[1])));
    this.send({
      confirmable: ask.confirmable ?? true,
      code: CODES[ask.method ?? "GET"],
      messageId: ask.messageId ?? this.server.nextMessageId(),
      token,
      options,
      payload: ask.payload ?? "",
    });
    return token;
  }

  /** Writes a body in blocks of 512, and gives the code of the last answer. */
  async put(path: string, payload: Uint8Array, contentFormat = TLV): Promise<string | null> {
    let code: string | null = null;
    for (let num = 0; num * 512 < payload.length; num++) {
      const more = (num + 1) * 512 < payload.length;
      const answer = await this.ask({
        method: "PUT",
        path,
        contentFormat,
        payload: payload.subarray(num * 512, (num + 1) * 512),
        ...(payload.length > 512 && { block1: [num, more, 5] }),
      });
      code = answer?.code ?? null;
      if (code !== "2.31") break;
    }
    return code;
  }

  /** What the device asked at a path. */
  requests(path: string): Heard[] {
    return this.heard.filter((one) => one.code.startsWith("0.0") && one.path === path && one.code !== "0.00");
  }

  close(): void {
    this.peer.close();
  }
}

/** Bootstrap and LwM2M server of a device, in memory: a script on top of single messages. */
export class PelionServer {
  readonly connections: Connection[] = [];
  readonly bundle: Bundle;
  readonly root: ReturnType<typeof createRootAuthority>;
  readonly issuer: DeviceCertificateIssuer;
  mode: "certificate" | "est" = "certificate";
  deviceId = DEVICE_ID;
  lwm2mUri = `coaps://gangway.example:5684?aid=${ACCOUNT}`;
  /** Refuses connections. */
  refuse: ((target: PelionTarget) => ConnectError | null) | null = null;
  /** Seconds in ServerHello.random; null says nothing. */
  serverTime: number | null = null;
  /** Takes a request away from the script when it returns true. */
  intercept: ((connection: Connection, request: Heard) => boolean) | null = null;
  /** What the bootstrap server does after it has answered. */
  session: ((connection: Connection) => Promise<void>) | null = null;
  /** Codes of its writes and its Finish. */
  readonly codes: (string | null)[] = [];
  #messageId = 0x4000;

  constructor(readonly clock: FakeClock) {
    this.root = createRootAuthority("Test CA", 20, clock);
    this.issuer = new DeviceCertificateIssuer(this.root, clock);
    const developer = createDeveloperCertificate({ accountId: ACCOUNT, endpointName: ENDPOINT }, clock);
    this.bundle = {
      version: 1,
      endpointName: ENDPOINT,
      accountId: ACCOUNT,
      bootstrapUri: { udp: "coaps://gangway.example:5784", tcp: "coaps+tcp://gangway.example:5784" },
      certificate: developer.certificate,
      privateKey: developer.privateKey,
      serverCa: this.root.certificate,
    };
  }

  nextMessageId(): number {
    this.#messageId = (this.#messageId + 1) & 0xffff;
    return this.#messageId;
  }

  readonly connect: PelionConnect = async (target) => {
    const fault = this.refuse?.(target);
    if (fault) throw fault;
    const [device, server] = peerPair(this.clock, target.transport === "tcp" ? "tls" : "dtls");
    // What was sent before arrives before.
    const close = device.close.bind(device);
    device.close = () => void this.clock.after(0, close);
    this.connections.push(new Connection(this, target, server));
    return { peer: device, serverTime: this.serverTime };
  };

  at(port: number): Connection[] {
    return this.connections.filter(({ target }) => target.port === port);
  }

  get bootstraps(): Connection[] {
    return this.at(5784);
  }

  get lwm2m(): Connection[] {
    return this.at(5684);
  }

  get last(): Connection {
    return this.lwm2m.at(-1)!;
  }

  /** Lets messages, promises and the key generation of the system go on. */
  async turns(done: () => boolean = () => false, times = 6): Promise<void> {
    for (let turn = 0; turn < times && !done(); turn++) await this.clock.advance(0);
  }

  async until(done: () => boolean): Promise<void> {
    for (let waited = 0; waited < 3000 && !done(); waited++) {
      await this.clock.advance(0);
      if (waited > 5) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (!done()) throw new Error("It did not happen.");
  }

  request(connection: Connection, request: Heard): void {
    if (this.intercept?.(connection, request)) return;
    if (request.path === "/bs") {
      connection.reply(request, "2.04");
      void (this.session ?? ((one) => this.bootstrap(one)))(connection);
    } else if (request.path === "/est/sen") this.enrol(connection, request);
    else if (request.path === "/rd")
      connection.reply(request, "2.01", {
        options: ["rd", ACCOUNT, this.deviceId].map((one) => raw("Location-Path", Buffer.from(one))),
      });
    else connection.reply(request, request.code === CODES.DELETE ? "2.02" : "2.04");
  }

  /** Writes the account and finishes. */
  async bootstrap(connection: Connection): Promise<void> {
    this.codes.push(await connection.put("/0", encodeObjectInstance(0, 0, this.security())));
    if (this.codes.at(-1) !== "2.04") return;
    this.codes.push(await connection.put("/1", encodeObjectInstance(1, 0, this.serverObject())));
    const finish = await connection.ask({ method: "POST", path: "/bs", query: [`iep=${this.deviceId}`] });
    this.codes.push(finish?.code ?? null);
  }

  serverObject(lifetime = 86_400): InstanceResource[] {
    return [
      { id: 0, value: integer(1) },
      { id: 1, value: integer(lifetime) },
      { id: 7, value: string("U") },
    ];
  }

  /** Resources of /0/0 in the server's mode; null takes one out. */
  security(change: Record<number, InstanceResource["value"] | null> = {}): InstanceResource[] {
    const issued = this.issue();
    const usual: Record<number, InstanceResource["value"] | null> = {
      0: string(this.lwm2mUri),
      1: boolean(false),
      2: integer(this.mode === "est" ? 4 : 2),
      3: this.mode === "certificate" ? issued.certificate : null,
      5: this.mode === "certificate" ? (issued.privateKey ?? null) : null,
      4: this.root.certificate,
      10: integer(1),
    };
    return Object.entries({ ...usual, ...change })
      .filter((entry): entry is [string, InstanceResource["value"]] => entry[1] !== null)
      .map(([id, value]) => ({ id: Number(id), value }));
  }

  issue(publicKey?: Uint8Array) {
    return this.issuer.issue({
      deviceId: this.deviceId,
      accountId: ACCOUNT,
      endpointName: ENDPOINT,
      notAfter: new Date(this.clock.now() + 365 * 86_400_000),
      ...(publicKey && { publicKey }),
    });
  }

  #chain: Buffer = Buffer.alloc(0);

  /** Answers an enrolment in the client's form, in blocks. */
  enrol(connection: Connection, request: Heard, extra: readonly Uint8Array[] = []): void {
    const [value = Buffer.alloc(0)] = optionsOf(request, "Block2");
    const num = value.length === 0 ? 0 : value.readUIntBE(0, value.length) >> 4;
    if (num === 0) {
      const { publicKey } = parseCertificateRequest(request.payload);
      const chain = [this.issue(publicKey).certificate, ...extra];
      this.#chain = Buffer.concat([
        Buffer.of(1, chain.length),
        ...chain.flatMap((one) => [Buffer.of(one.length >> 8, one.length & 255), Buffer.from(one)]),
      ]);
    }
    const part = this.#chain.subarray(num * 512, (num + 1) * 512);
    const more = (num + 1) * 512 < this.#chain.length;
    connection.reply(request, "2.04", { payload: part, options: [raw("Block2", block(num, more, 5))] });
  }
}

/** A store in memory; every save is a copy of its own. */
export class MemoryStore implements PelionStore {
  constructor(public items: PelionItems | null = null) {}
  async load() {
    return structuredClone(this.items);
  }
  async save(items: PelionItems) {
    this.items = structuredClone(items);
  }
}

export interface Running {
  device: PelionDevice;
  server: PelionServer;
  clock: FakeClock;
  store: MemoryStore;
  warnings: string[];
}

/** A device on a server in memory. */
export function startPelion(
  options: Partial<PelionOptions> = {},
  prepare: (server: PelionServer) => void = () => {},
  server = new PelionServer(new FakeClock()),
): Running {
  const store = (options.store as MemoryStore | undefined) ?? new MemoryStore();
  const warnings: string[] = [];
  prepare(server);
  const device = new PelionDevice({
    bundle: server.bundle,
    transport: "udp",
    store,
    connect: server.connect,
    clock: server.clock,
    log: { info() {}, warn: (message) => warnings.push(message) },
    random: () => 0.5,
    // The counter of the example would come in between.
    tickMs: 1e12,
    ...options,
  });
  device.setup().catch(() => {});
  return { device, server, clock: server.clock, store, warnings };
}

/** A device that is registered. */
export async function registeredPelion(
  options: Partial<PelionOptions> = {},
  prepare?: (server: PelionServer) => void,
): Promise<Running> {
  const all = startPelion(options, prepare);
  await all.server.until(() => all.device.phase === "registered");
  await all.server.turns();
  return all;
}

/** What the store of a device holds that has come out of a factory. */
export const factory = (server: PelionServer): PelionItems => factoryItems(server.bundle, "udp");

/** The handshake fails. */
export const refusal = () => new ConnectError("refused", "the server sent the alert certificate_expired");
/** Nobody there. */
export const unreachable = () => new ConnectError("unreachable", "connection refused");
