import type { IncomingRequest } from "@/server/coap";
import {
  type Connect,
  ConnectError,
  type Device,
  type DevicePhase,
  type DeviceState,
  type PelionConnect,
  type PelionConnection,
  PelionDevice,
  type PelionItems,
  ReferenceDevice,
  referenceProfile,
} from "@/server/device";
import { networkConnect } from "@/server/device/connect";
import { isRefusal, type ServerLink } from "@/server/device/link";
import type { Bundle } from "@/server/pki";
import type { Peer } from "@/server/transport";
import type { CidForm } from "@/server/transport/record-layer";
import { DtlsClient } from "./dtls";
import { connectStream, type Network, Place } from "./network";
import { Life, type World } from "./world";

export interface DeviceKind {
  profile: "reference" | "pelion";
  transport: "udp" | "tcp";
  lifetime: number;
  /** The form of connection ids that it offers over DTLS, or none. */
  cid: CidForm | null;
}

/** What a device was answered, for whoever keeps watch. */
export interface Watch {
  /** A Register that was sent at this time was answered 2.01 with this location. */
  registered(device: SimulatedDevice, location: string, sentAt: number): void;
  /** An Update that was sent at this time was answered 2.04. */
  updated(device: SimulatedDevice, sentAt: number): void;
  /** An Update was answered that the server knows nothing of this registration. */
  unknown(device: SimulatedDevice, location: string): void;
  /** The registration that it had is gone, although nothing took its place. */
  lost(device: SimulatedDevice, location: string): void;
  /** The location of the registration that it has, or null. */
  lasting(device: SimulatedDevice): string | null;
  /** It is about to ask for this lifetime, seconds. */
  tells(device: SimulatedDevice, lifetime: number): void;
  /** The device does not count on its registration any longer. */
  left(device: SimulatedDevice): void;
  /** It was asked to carry something out. */
  executed(device: SimulatedDevice, path: string, args: string): void;
  /** It was told its ID. */
  named(device: SimulatedDevice, deviceId: string): void;
}

/** One device, with a place in the network, a memory that outlives its power, and any number of lives. */
export class SimulatedDevice {
  readonly place: Place;
  /** Ends with the power. */
  life: Life;
  client: Device | null = null;
  on = false;
  /** Two devices with one stored identity cannot both be online. */
  cloneOf: SimulatedDevice | null = null;
  /** It was made a stranger on purpose: its registration, or its ID, is nobody's promise. */
  forgotten = false;
  state: DeviceState = { deviceId: null, account: null };
  items: PelionItems | null = null;
  /** Seconds, as it told the server last. */
  lifetime = 0;
  /** ms that its clock is off. */
  skew: number;

  constructor(
    readonly world: World,
    readonly network: Network,
    readonly name: string,
    readonly accountId: string,
    readonly bundle: Bundle,
    readonly kind: DeviceKind,
    address: string,
    private readonly watch: Watch,
  ) {
    this.place = new Place(network, address);
    this.skew = world.random.chance(0.2) ? world.random.int(-3_600_000, 3_600_000) : 0;
    this.life = new Life(world, name, this.skew);
  }

  /** The ID that it would come back with. */
  get deviceId(): string | null {
    return this.kind.profile === "pelion" ? (this.items?.internalEndpoint ?? null) : this.state.deviceId;
  }

  get registered(): boolean {
    return this.client?.phase === "registered";
  }

  start(): void {
    if (this.on) return;
    this.on = true;
    this.life = new Life(this.world, this.name, this.skew);
    const { life } = this;
    this.world.say(`${this.name} is switched on`);
    const log = {
      info: (message: string) => life.alive && this.world.say(`${this.name}: ${message}`),
      warn: (message: string) => life.alive && this.world.say(`${this.name}: ${message}`),
    };
    const random = () => this.world.random.next();
    const common = {
      bundle: this.bundle,
      transport: this.kind.transport,
      clock: life.clock,
      log,
      lifetime: this.kind.lifetime,
      random,
      tickMs: 1e12,
      // A new account makes the registration with the old one void.
      onphase: (phase: DevicePhase) => phase === "bootstrapping" && life.alive && this.watch.left(this),
    };
    const client =
      this.kind.profile === "pelion"
        ? new PelionDevice({
            ...common,
            store: {
              load: async () => this.items && structuredClone(this.items),
              save: async (items) => {
                if (!life.alive) return;
                this.items = structuredClone(items);
                if (items.internalEndpoint) this.watch.named(this, items.internalEndpoint);
              },
            },
            connect: this.#pelionConnect(life),
          })
        : new ReferenceDevice({
            ...common,
            state: {
              load: async () => this.state,
              save: async (state) => {
                if (!life.alive) return;
                this.state = state;
                if (state.deviceId) this.watch.named(this, state.deviceId);
              },
            },
            connect: this.#connect(life),
            profile: referenceProfile("1.0"),
            version: "1.0",
          });
    this.client = client;
    client.setup().catch(() => {});
  }

  /** Loses its power: nothing is said to anybody, and what its memory did not keep is gone. */
  cut(): void {
    if (!this.on) return;
    this.world.say(`${this.name} loses its power`);
    this.on = false;
    this.client = null;
    this.life.kill();
  }

  /** Is switched off in order. */
  stop(): void {
    const { client, life } = this;
    if (!this.on || !client) return;
    this.world.say(`${this.name} is switched off`);
    this.on = false;
    this.watch.left(this);
    this.client = null;
    void client.stop({ deregister: true }).then(() => life.kill());
    life.clock.after(10_000, () => life.kill());
  }

  /** Reboots by itself, in order: Pelion's client goes on with its session from another port. */
  reboot(): void {
    if (!(this.client instanceof PelionDevice) || !this.registered) return;
    this.world.say(`${this.name} reboots`);
    this.client.reboot();
  }

  /** Forgets what it was given. */
  wipe(): void {
    const was = this.on;
    this.cut();
    this.world.say(`${this.name} is set back to factory state`);
    this.state = { deviceId: null, account: null };
    this.items = null;
    this.watch.left(this);
    if (was) this.start();
  }

  #tells(query: readonly string[]): void {
    const told = query.find((item) => item.startsWith("lt="));
    if (!told) return;
    this.lifetime = Number(told.slice(3));
    this.watch.tells(this, this.lifetime);
  }

  /** Counts a request of the server, as the device carries it out. */
  #spy(request: Pick<IncomingRequest, "method" | "path" | "payload">): void {
    if (request.method !== "POST") return;
    this.watch.executed(this, `/${request.path.join("/")}`, Buffer.from(request.payload).toString());
  }

  #connect(life: Life): Connect {
    const connect = networkConnect(life.clock, (uri, credentials) =>
      this.#dial(life, uri.port, credentials ? [credentials.certificate] : []).then(({ peer }) => peer),
    );
    return async (uri, credentials, events) => {
      const link = await connect(uri, credentials, {
        onrequest: (request) => {
          this.#spy(request);
          return events.onrequest(request);
        },
        onclose: (reason) => events.onclose(reason),
      });
      return {
        request: async (request) => {
          const [root, ...rest] = request.path;
          const registers = root === "rd" && rest.length === 0;
          // From the moment it asks for a new one, the device does not count on the registration it has.
          const former = registers ? this.watch.lasting(this) : null;
          if (registers) this.watch.left(this);
          if (root === "rd" && request.method === "DELETE") this.watch.left(this);
          const sentAt = this.world.now;
          this.#tells(request.query ?? []);
          const response = await link.request(request);
          if (!life.alive) return response;
          if (registers && response.code === "2.01")
            this.watch.registered(this, response.locationPath.slice(1).join("/"), sentAt);
          else if (registers && former && response.code.startsWith("5.")) await this.#fallBack(link, former);
          else if (root === "rd" && request.method === "POST" && response.code === "2.04")
            this.watch.updated(this, sentAt);
          else if (root === "rd" && request.method === "POST" && response.code === "4.04")
            this.watch.unknown(this, rest.join("/"));
          return response;
        },
        close: () => link.close(),
      };
    };
  }

  /** A client whose Register was not taken may go on with the registration that it has. */
  async #fallBack(link: ServerLink, location: string): Promise<void> {
    const answer = await link
      .request({ method: "POST", path: ["rd", ...location.split("/")] })
      .catch(() => null);
    if (answer?.code === "4.04") this.watch.lost(this, location);
  }

  #pelionConnect(life: Life): PelionConnect {
    return async (target) => {
      try {
        const { peer, serverTime } = await this.#dial(life, target.port, target.server.chain);
        return this.#pelionConnection(life, peer, serverTime);
      } catch (error) {
        const message = (error as Error).message;
        throw new ConnectError(isRefusal(message) ? "refused" : "unreachable", message);
      }
    };
  }

  #pelionConnection(life: Life, peer: Peer, serverTime: number | null): PelionConnection {
    const connection = { peer: this.#listenIn(life, peer), serverTime };
    // A client without connection ids is built without the means to keep its session.
    if (!(peer instanceof DtlsClient) || this.kind.cid === null) return connection;
    const leave = () => {
      const saved = peer.save();
      peer.vanish();
      if (!saved) return null;
      return async () => {
        const client = this.#client(life, saved.port, []);
        client.resume(saved);
        return this.#pelionConnection(life, client, null);
      };
    };
    return { ...connection, leave };
  }

  /** Reads along what Pelion's client says and hears. */
  #listenIn(life: Life, peer: Peer): Peer {
    const asked = new Map<string, { what: "register" | "update"; location: string; sentAt: number }>();
    const seen = new Set<string>();
    const tap = new Tap(peer);
    tap.onsent = (message) => {
      const read = readMessage(message);
      if (!read || !life.alive) return;
      const path = read.path;
      if (read.code === 2 && path[0] === "rd") {
        this.#tells(read.query);
        // What is repeated was sent first when it was sent first.
        if (!asked.has(read.token))
          asked.set(read.token, {
            what: path.length === 1 ? "register" : "update",
            location: path.slice(1).join("/"),
            sentAt: this.world.now,
          });
        if (path.length === 1) this.watch.left(this);
      }
      if (read.code === 4 && path[0] === "rd") this.watch.left(this);
    };
    tap.onheard = (message) => {
      const read = readMessage(message);
      if (!read || !life.alive) return;
      // The client carries out what it has not seen before.
      const id = `${read.messageId} ${read.token}`;
      if (read.code === 2 && !seen.has(id))
        this.#spy({ method: "POST", path: read.path, payload: read.payload });
      seen.add(id);
      const { what, location, sentAt } = asked.get(read.token) ?? { what: null, location: "", sentAt: 0 };
      if (what === "register" && read.code === 0x41)
        tap.after = () => this.watch.registered(this, read.location.slice(1).join("/"), sentAt);
      else if (what === "update" && read.code === 0x44) tap.after = () => this.watch.updated(this, sentAt);
      else if (what === "update" && read.code === 0x84) this.watch.unknown(this, location);
    };
    return tap;
  }

  async #dial(
    life: Life,
    port: number,
    chain: readonly Uint8Array[],
  ): Promise<{ peer: Peer; serverTime: number }> {
    if (this.kind.transport === "tcp") return connectStream(this.network, this.place, life, port, chain);
    const client = this.#client(life, port, chain);
    const serverTime = await client.connect();
    return { peer: client, serverTime };
  }

  #client(life: Life, port: number, chain: readonly Uint8Array[]): DtlsClient {
    const { network, place, kind } = this;
    return new DtlsClient(network, place, life, port, chain, kind.cid, (...seen) => this.onrecord(...seen));
  }

  /** Hears of each record of the server. */
  onrecord: ConstructorParameters<typeof DtlsClient>[6] & {} = () => {};
}

/** A peer that somebody reads along with. */
class Tap implements Peer {
  onsent: (message: Uint8Array) => void = () => {};
  onheard: (message: Uint8Array) => void = () => {};
  /** Runs once the client has taken the message. */
  after: (() => void) | null = null;
  onmessage: ((message: Uint8Array) => void) | null = null;
  onclose: ((reason: string) => void) | null = null;

  constructor(private readonly peer: Peer) {
    peer.onmessage = (message) => {
      this.onheard(message);
      this.onmessage?.(message);
      this.after?.();
      this.after = null;
    };
    peer.onclose = (reason) => this.onclose?.(reason);
  }

  get id() {
    return this.peer.id;
  }
  get transport() {
    return this.peer.transport;
  }
  get remote() {
    return this.peer.remote;
  }
  get identity() {
    return this.peer.identity;
  }
  get restored() {
    return this.peer.restored;
  }
  get closed() {
    return this.peer.closed;
  }
  get messageIdSeed() {
    return this.peer.messageIdSeed;
  }
  send(message: Uint8Array): void {
    this.onsent(message);
    this.peer.send(message);
  }
  close(): void {
    this.peer.close();
  }
}

/** What the watch needs of a CoAP message [RFC7252 §3]. */
function readMessage(bytes: Uint8Array): {
  code: number;
  messageId: number;
  token: string;
  path: string[];
  query: string[];
  location: string[];
  payload: Uint8Array;
} | null {
  const data = Buffer.from(bytes);
  if (data.length < 4) return null;
  const tokenLength = (data[0] as number) & 15;
  const code = data[1] as number;
  const token = data.toString("hex", 4, 4 + tokenLength);
  const path: string[] = [];
  const query: string[] = [];
  const location: string[] = [];
  let at = 4 + tokenLength;
  let number = 0;
  while (at < data.length && data[at] !== 0xff) {
    const head = data[at++] as number;
    const extend = (nibble: number) => {
      if (nibble === 13) return 13 + (data[at++] ?? 0);
      if (nibble === 14) {
        at += 2;
        return 269 + data.readUInt16BE(at - 2);
      }
      return nibble;
    };
    number += extend(head >> 4);
    const length = extend(head & 15);
    if (number === 11) path.push(data.toString("utf8", at, at + length));
    if (number === 15) query.push(data.toString("utf8", at, at + length));
    if (number === 8) location.push(data.toString("utf8", at, at + length));
    at += length;
  }
  return {
    code,
    messageId: data.readUInt16BE(2),
    token,
    path,
    query,
    location,
    payload: data.subarray(Math.min(at + 1, data.length)),
  };
}
