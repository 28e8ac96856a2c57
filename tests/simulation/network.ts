import type { UdpSocket } from "@/server/transport/address";
import type { Address, Listener, Peer, PeerIdentity, Verifier } from "@/server/transport/types";
import type { Life, World } from "./world";

/** How bad a network is; shares of 1. */
export interface Weather {
  loss: number;
  doubled: number;
  corrupted: number;
  truncated: number;
  /** Milliseconds one way: most datagrams take the least, a few up to the most. */
  least: number;
  most: number;
  /** Share of datagrams that take longer than the least. */
  late: number;
  /** Share of connections that end by themselves in an hour. */
  resets: number;
}

export const CALM: Readonly<Weather> = {
  loss: 0,
  doubled: 0,
  corrupted: 0,
  truncated: 0,
  least: 10,
  most: 10,
  late: 0,
  resets: 0,
};

/** The address of the server, of which the devices know the name only. */
export const SERVER = "203.0.113.1";

type Receive = (bytes: Buffer, address: string, port: number) => void;

/** Where a device is: its IP address, the ports that its router gave it, and whether it has a network at all. */
export class Place {
  partitioned = false;
  /** Datagrams that were sent from here and to here. */
  carried = 0;
  /** What the router has given out and not forgotten: our own port by the one outside. */
  readonly #mapped = new Map<number, number>();

  constructor(
    readonly network: Network,
    public address: string,
  ) {}

  /** The port that the server sees; a new one when the router has forgotten the one before. */
  outside(inside: number): number {
    for (const [port, own] of this.#mapped) if (own === inside) return port;
    const port = this.network.freePort(this.address);
    this.#mapped.set(port, inside);
    return port;
  }

  inside(port: number): number | undefined {
    return this.#mapped.get(port);
  }

  /** The router forgets: what comes from outside finds nobody until the device sends again, from another port. */
  forget(): void {
    for (const port of this.#mapped.keys()) this.network.release(this.address, port);
    this.#mapped.clear();
  }

  /** Moves to another network. */
  move(address: string): void {
    this.forget();
    this.address = address;
  }
}

/** Carries datagrams and streams between devices and the server, as badly as the weather has it. */
export class Network {
  weather: Weather = { ...CALM };
  /** Whether this datagram, the n-th from and to a place, is lost whatever the weather. */
  loses: (place: Place, n: number) => boolean = () => false;
  /** Looks at each datagram that the server sends. */
  onserversend: (bytes: Uint8Array, to: Address) => void = () => {};
  readonly #servers = new Map<number, Receive>();
  readonly #streams = new Map<number, { accept(stream: Stream): void; life: Life }>();
  readonly #devices = new Map<string, { place: Place; inside: number; receive: Receive }>();
  readonly #sockets = new Map<number, { place: Place; receive: Receive }>();
  readonly #ports = new Map<string, Place>();
  #nextInside = 1;

  constructor(readonly world: World) {}

  freePort(address: string): number {
    for (;;) {
      const port = this.world.random.int(1024, 65_535);
      const key = `${address}:${port}`;
      if (this.#ports.has(key)) continue;
      this.#ports.set(key, undefined as unknown as Place);
      return port;
    }
  }

  release(address: string, port: number): void {
    this.#ports.delete(`${address}:${port}`);
    this.#devices.delete(`${address}:${port}`);
  }

  #delay(): number {
    const { random } = this.world;
    const { least, most, late } = this.weather;
    return random.chance(late) ? random.int(least, most) : least;
  }

  /** Sends one datagram as often as the weather has it arrive, none included. */
  #carry(place: Place | undefined, bytes: Uint8Array, arrive: (bytes: Buffer) => void): void {
    if (place && this.loses(place, place.carried++)) return;
    const { random } = this.world;
    const { loss, doubled, corrupted, truncated } = this.weather;
    const copies = random.chance(doubled) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (random.chance(loss)) continue;
      let sent = Buffer.from(bytes);
      if (random.chance(corrupted)) {
        const at = random.int(0, sent.length - 1);
        sent[at] = (sent[at] as number) ^ (1 << random.int(0, 7));
      }
      if (random.chance(truncated)) sent = sent.subarray(0, random.int(0, sent.length));
      this.world.after(this.#delay(), () => arrive(sent));
    }
  }

  // ---- the server's side

  /** Takes the place of a UDP socket of the server. */
  bindServer(life: Life, port: number, receive: Receive): UdpSocket {
    this.#servers.set(port, (bytes, address, from) => life.alive && receive(bytes, address, from));
    const mine = this.#servers.get(port);
    const unbind = () => {
      if (this.#servers.get(port) === mine) this.#servers.delete(port);
    };
    life.onend(unbind);
    return {
      local: { address: SERVER, port },
      send: (message, address, to) => {
        if (!life.alive) return;
        this.onserversend(message, { address, port: to });
        this.#carry(this.#devices.get(`${address}:${to}`)?.place, message, (bytes) => {
          const device = this.#devices.get(`${address}:${to}`);
          if (!device || device.place.partitioned) return;
          if (device.place.address !== address || device.place.inside(to) !== device.inside) return;
          device.receive(bytes, SERVER, port);
        });
      },
      close: async () => unbind(),
    };
  }

  /** Takes the place of a listening TCP socket of the server. */
  listen(life: Life, port: number, accept: (stream: Stream) => void): () => void {
    const entry = { accept, life };
    this.#streams.set(port, entry);
    const unbind = () => {
      if (this.#streams.get(port) === entry) this.#streams.delete(port);
    };
    life.onend(unbind);
    return unbind;
  }

  // ---- the devices' side

  /** Opens a socket of a device; what is sent from it comes out of whichever port the router has for it. */
  socket(place: Place, receive: Receive): { send(bytes: Uint8Array, port: number): void; close(): void } {
    const inside = this.#nextInside++;
    this.#sockets.set(inside, { place, receive });
    return {
      send: (bytes, port) => {
        if (!this.#sockets.has(inside)) return;
        const outside = place.outside(inside);
        const { address } = place;
        this.#devices.set(`${address}:${outside}`, { place, inside, receive });
        if (place.partitioned) return;
        this.#carry(place, bytes, (arrived) => this.#servers.get(port)?.(arrived, address, outside));
      },
      close: () => {
        this.#sockets.delete(inside);
        for (const [key, device] of this.#devices) if (device.inside === inside) this.#devices.delete(key);
      },
    };
  }

  /** Connects a stream; null when nobody listens or nobody answers. */
  connect(place: Place, life: Life, port: number): Promise<Stream | null> {
    return new Promise((resolve) => {
      const trip = this.#delay() + this.#delay();
      const lost = place.partitioned || this.world.random.chance(this.weather.loss ** 3);
      this.world.after(lost ? 60_000 : trip, () => {
        if (!life.alive) return;
        const server = this.#streams.get(port);
        if (lost || place.partitioned || !server?.life.alive) {
          resolve(null);
          return;
        }
        const outside = this.freePort(place.address);
        const [near, far] = streamPair(this, place, { address: place.address, port: outside });
        life.onend(() => near.die());
        server.life.onend(() => far.die());
        server.accept(far);
        resolve(near);
        this.#breakSometime(near);
      });
    });
  }

  #breakSometime(stream: Stream): void {
    const { resets } = this.weather;
    if (resets <= 0) return;
    const { random } = this.world;
    const inMs = (-Math.log(1 - random.next()) / resets) * 3_600_000;
    if (inMs < 30 * 86_400_000)
      this.world.after(inMs, () => (random.chance(0.5) ? stream : stream.other)?.fail("connection reset"));
  }

  /** The wait for one message on a stream, which is never lost but may have to be sent again. */
  streamDelay(): number {
    const { random } = this.world;
    let delay = this.#delay();
    while (random.chance(this.weather.loss)) delay += 300;
    return delay;
  }
}

/** One end of a connection that carries whole messages in order. */
export class Stream {
  onmessage: ((bytes: Buffer) => void) | null = null;
  onclose: ((reason: string) => void) | null = null;
  open = true;
  other: Stream | null = null;
  /** When the last message arrives at the other end: the next one may not overtake it. */
  #arrivesAt = 0;

  constructor(
    private readonly network: Network,
    private readonly place: Place,
    readonly remote: Address,
  ) {}

  send(bytes: Uint8Array): void {
    const { other } = this;
    if (!this.open || !other) return;
    const sent = Buffer.from(bytes);
    this.#later(() => {
      // To a partitioned place nothing comes; TCP gives up after a while.
      if (this.place.partitioned) this.#timeout();
      else if (other.open) other.onmessage?.(sent);
      else if (this.open) this.fail("connection reset");
    });
  }

  /** Ends it in order: the other end hears of it behind what was sent. */
  close(): void {
    if (!this.open) return;
    const { other } = this;
    this.#end("closed");
    this.#later(() => {
      if (!this.place.partitioned) other?.fail("the other end closed the connection");
    });
  }

  /** This end finds that the connection is gone. */
  fail(reason: string): void {
    this.#end(reason);
  }

  /** The process at this end is gone: its system resets the connection. */
  die(): void {
    if (!this.open) return;
    const { other } = this;
    this.open = false;
    this.#later(() => {
      if (!this.place.partitioned) other?.fail("connection reset");
    });
  }

  #timeout(): void {
    this.network.world.after(120_000, () => this.fail("connection timed out"));
  }

  #later(run: () => void): void {
    const { world } = this.network;
    this.#arrivesAt = Math.max(this.#arrivesAt, world.now + this.network.streamDelay());
    world.after(this.#arrivesAt - world.now, run, world.nextOrder());
  }

  #end(reason: string): void {
    if (!this.open) return;
    this.open = false;
    this.onclose?.(reason);
  }
}

function streamPair(network: Network, place: Place, remote: Address): [near: Stream, far: Stream] {
  const near = new Stream(network, place, { address: SERVER, port: 0 });
  const far = new Stream(network, place, remote);
  near.other = far;
  far.other = near;
  return [near, far];
}

let ids = 0;

/** A peer over a stream, at either end. */
export class StreamPeer implements Peer {
  readonly id = `stream-${++ids}`;
  readonly transport = "tls";
  readonly restored = false;
  closed = false;
  onmessage: ((message: Uint8Array) => void) | null = null;
  onclose: ((reason: string) => void) | null = null;

  constructor(
    private readonly stream: Stream,
    readonly identity: PeerIdentity | null,
    readonly messageIdSeed: number,
  ) {
    stream.onmessage = (bytes) => {
      if (!this.closed) this.onmessage?.(bytes);
    };
    stream.onclose = (reason) => this.#end(reason);
  }

  get remote(): Address {
    return this.stream.remote;
  }

  send(message: Uint8Array): void {
    if (!this.closed) this.stream.send(message);
  }

  close(): void {
    if (this.closed) return;
    this.stream.close();
    this.#end("closed");
  }

  #end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.onclose?.(reason);
  }
}

/** What a client shows in the stand-in for a TLS handshake, and what it hears. */
interface Hello {
  chain: string[];
}
interface Verdict {
  ok: boolean;
  alert?: string;
  /** Seconds since 1970. */
  time: number;
}

/** A listener whose handshake is one message each way. */
export function listenStreams(
  network: Network,
  life: Life,
  options: { port: number; verify: Verifier; onpeer(peer: Peer): void; onfailure(failure: never): void },
): Listener {
  const peers = new Set<StreamPeer>();
  const unbind = network.listen(life, options.port, (stream) => {
    stream.onmessage = (bytes) => {
      const hello = JSON.parse(bytes.toString()) as Hello;
      const chain = hello.chain.map((one) => Buffer.from(one, "base64"));
      const verdict = options.verify(chain, stream.remote);
      const answer: Verdict = {
        ok: verdict.ok,
        time: Math.floor(life.clock.now() / 1000),
        ...(!verdict.ok && { alert: verdict.fault }),
      };
      stream.send(Buffer.from(JSON.stringify(answer)));
      if (!verdict.ok) {
        options.onfailure({
          remote: stream.remote,
          transport: "tls",
          alert: verdict.fault,
          alertBy: "us",
          message: verdict.message,
          chain,
        } as never);
        stream.close();
        return;
      }
      const peer = new StreamPeer(stream, verdict.identity, network.world.random.int(0, 0xffff));
      peers.add(peer);
      const ended = stream.onclose;
      stream.onclose = (reason) => {
        peers.delete(peer);
        ended?.(reason);
      };
      options.onpeer(peer);
    };
  });
  return {
    transport: "tls",
    local: { address: SERVER, port: options.port },
    peers: () => peers,
    close: async () => {
      unbind();
      for (const peer of [...peers]) peer.close();
    },
  };
}

/** The client's end of it; rejects in the words of our own client. */
export async function connectStream(
  network: Network,
  place: Place,
  life: Life,
  port: number,
  chain: readonly Uint8Array[],
): Promise<{ peer: StreamPeer; serverTime: number }> {
  const stream = await network.connect(place, life, port);
  if (!stream) throw new Error("the server cannot be reached");
  const hello: Hello = { chain: chain.map((one) => Buffer.from(one).toString("base64")) };
  return new Promise((resolve, reject) => {
    const timer = life.clock.after(60_000, () => stream.fail("it did not answer"));
    stream.onclose = (reason) => {
      timer.cancel();
      reject(new Error(`the handshake failed: ${reason}`));
    };
    stream.onmessage = (bytes) => {
      timer.cancel();
      const { ok, alert, time } = JSON.parse(bytes.toString()) as Verdict;
      if (ok)
        resolve({
          peer: new StreamPeer(stream, null, network.world.random.int(0, 0xffff)),
          serverTime: time,
        });
      else {
        stream.onclose = null;
        stream.close();
        reject(new Error(`the server refused the handshake: ${alert}`));
      }
    };
    stream.send(Buffer.from(JSON.stringify(hello)));
  });
}
