import { createServer, type Server, type Socket } from "node:net";
import { plainAddress } from "./address";
import { randomId, randomSeed } from "./random";
import { Sweep, sweepInterval } from "./sweep";
import type { Address, Listener, Peer } from "./types";
import type { PlainListenOptions } from "./udp";

const DEFAULT_IDLE_MS = 60 * 60_000;
const DEFAULT_MAX_PEERS = 50_000;
/** A peer that does not read what it is sent is cut off at this many bytes in our memory. */
export const MAX_UNSENT = 1 << 20;

/** Writes to a socket; false when the other side reads too slowly, and the socket is then gone. */
export function writeBounded(socket: Socket, bytes: Uint8Array): boolean {
  if (socket.destroyed || socket.writableEnded) return false;
  if (socket.writableLength + bytes.length > MAX_UNSENT) {
    socket.destroy(new Error("the peer does not read what it is sent"));
    return false;
  }
  socket.write(bytes);
  return true;
}

/** One plain TCP connection, accepted or made. */
export class TcpPeer implements Peer {
  readonly transport = "tcp";
  readonly id = `tcp-${randomId()}`;
  readonly identity = null;
  readonly restored = false;
  readonly messageIdSeed = randomSeed();
  readonly remote: Address;
  closed = false;
  onmessage: ((message: Uint8Array) => void) | null = null;
  onclose: ((reason: string) => void) | null = null;
  lastSeen: number;
  readonly #socket: Socket;
  readonly #ended: (peer: TcpPeer) => void;

  constructor(socket: Socket, now: () => number, ended: (peer: TcpPeer) => void) {
    this.#socket = socket;
    this.#ended = ended;
    this.remote = { address: plainAddress(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
    this.lastSeen = now();
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.lastSeen = now();
      if (!this.closed) this.onmessage?.(chunk as Buffer);
    });
    socket.on("end", () => this.end("the peer closed the connection"));
    socket.on("error", (error) => this.end(error.message));
    socket.on("close", () => this.end("the connection ended"));
  }

  send(message: Uint8Array): void {
    if (!this.closed) writeBounded(this.#socket, message);
  }

  close(): void {
    this.end("closed");
  }

  end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.#socket.end();
    this.#ended(this);
    this.onclose?.(reason);
  }
}

/** Binds a TCP server; without a host on all addresses of both families. */
export function bindTcp(
  server: Server,
  options: { host?: string | undefined; port: number },
): Promise<Address> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(
      { port: options.port, ...(options.host === undefined ? {} : { host: options.host }) },
      () => {
        server.removeListener("error", reject);
        // Running out of file descriptors concerns one connection, not the listener.
        server.on("error", () => {});
        const { address, port } = server.address() as { address: string; port: number };
        resolve({ address, port });
      },
    );
  });
}

/** Listens for plain TCP connections. */
export async function listenTcp(options: PlainListenOptions): Promise<Listener> {
  const { clock, idleMs = DEFAULT_IDLE_MS, maxPeers = DEFAULT_MAX_PEERS } = options;
  const peers = new Set<TcpPeer>();
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: false }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    if (peers.size >= maxPeers) {
      socket.on("error", () => {});
      socket.destroy();
      return;
    }
    const peer = new TcpPeer(
      socket,
      () => clock.now(),
      (ended) => peers.delete(ended),
    );
    peers.add(peer);
    options.onpeer(peer);
  });
  const local = await bindTcp(server, options);
  const sweep = new Sweep(clock, sweepInterval(idleMs), (now) => {
    for (const peer of peers) if (now - peer.lastSeen >= idleMs) peer.end("silent for too long");
  });
  sweep.start();
  return {
    transport: "tcp",
    local,
    peers: () => peers.values(),
    async close() {
      sweep.stop();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const peer of peers) peer.end("listener closed");
      // What the kernel has not taken by now belongs to a peer that does not read.
      for (const socket of sockets) {
        if (socket.writableLength > 0) socket.destroy();
        else socket.destroySoon();
      }
      await closed;
    },
  };
}
