import type { Clock } from "../clock";
import { addressKey, bindUdp, type UdpSocket } from "./address";
import { randomId, randomSeed } from "./random";
import { Sweep, sweepInterval } from "./sweep";
import type { Address, Listener, Peer } from "./types";

/** Options of the listeners without transport security. */
export interface PlainListenOptions {
  host?: string;
  port: number;
  onpeer(peer: Peer): void;
  clock: Clock;
  /** A peer that was silent for this long is dropped. */
  idleMs?: number;
  /** Peers beyond this are ignored (udp) or turned away (tcp). */
  maxPeers?: number;
}

const DEFAULT_IDLE_MS = 10 * 60_000;
const DEFAULT_MAX_PEERS = 200_000;

class UdpPeer implements Peer {
  readonly transport = "udp";
  readonly id = `udp-${randomId()}`;
  readonly identity = null;
  readonly restored = false;
  readonly messageIdSeed = randomSeed();
  closed = false;
  onmessage: ((message: Uint8Array) => void) | null = null;
  onclose: ((reason: string) => void) | null = null;
  lastSeen = 0;

  constructor(
    readonly listener: UdpListener,
    readonly address: string,
    readonly port: number,
  ) {}

  get remote(): Address {
    return { address: this.address, port: this.port };
  }

  send(message: Uint8Array): void {
    if (!this.closed) this.listener.socket.send(message, this.address, this.port);
  }

  close(): void {
    this.listener.drop(this, "closed");
  }
}

class UdpListener implements Listener {
  readonly transport = "udp";
  socket!: UdpSocket;
  readonly #peers = new Map<string, UdpPeer>();
  readonly #options: PlainListenOptions;
  readonly #sweep: Sweep;

  constructor(options: PlainListenOptions) {
    this.#options = options;
    const idleMs = options.idleMs ?? DEFAULT_IDLE_MS;
    this.#sweep = new Sweep(options.clock, sweepInterval(idleMs), (now) => {
      for (const peer of this.#peers.values()) {
        if (now - peer.lastSeen >= idleMs) this.drop(peer, "silent for too long");
      }
    });
  }

  async open(): Promise<this> {
    this.socket = await bindUdp(this.#options, (message, address, port) =>
      this.#receive(message, address, port),
    );
    this.#sweep.start();
    return this;
  }

  get local(): Address {
    return this.socket.local;
  }

  #receive(message: Buffer, address: string, port: number): void {
    const key = addressKey(address, port);
    let peer = this.#peers.get(key);
    if (!peer) {
      if (this.#peers.size >= (this.#options.maxPeers ?? DEFAULT_MAX_PEERS)) return;
      peer = new UdpPeer(this, address, port);
      this.#peers.set(key, peer);
      this.#options.onpeer(peer);
    }
    peer.lastSeen = this.#options.clock.now();
    peer.onmessage?.(message);
  }

  drop(peer: UdpPeer, reason: string): void {
    if (peer.closed) return;
    peer.closed = true;
    this.#peers.delete(addressKey(peer.address, peer.port));
    peer.onclose?.(reason);
  }

  peers(): Iterable<Peer> {
    return this.#peers.values();
  }

  async close(): Promise<void> {
    this.#sweep.stop();
    for (const peer of this.#peers.values()) this.drop(peer, "listener closed");
    await this.socket.close();
  }
}

/** Listens for plain UDP datagrams; each remote address is one peer. */
export function listenUdp(options: PlainListenOptions): Promise<Listener> {
  return new UdpListener(options).open();
}
