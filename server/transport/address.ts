import { createSocket, type Socket, type SocketOptions } from "node:dgram";
import type { Address } from "./types";

const MAPPED = "::ffff:";

/** An IPv4 address as people write it, also when a dual-stack socket reports it IPv4-mapped [RFC4291 §2.5.5.2]. */
export function plainAddress(address: string): string {
  return address.startsWith(MAPPED) && address.includes(".") ? address.slice(MAPPED.length) : address;
}

/** The key of a peer in a map by address. */
export function addressKey(address: string, port: number): string {
  return `${address}|${port}`;
}

/** An address and port as one word. */
export function formatAddress({ address, port }: Address): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

// Peers are addressed by number; the resolver's detour through the thread pool or a tick costs more than sending.
const noLookup: NonNullable<SocketOptions["lookup"]> = (host, _options, callback) => {
  callback(null, host, host.includes(":") ? 6 : 4);
};

/** A bound UDP socket that speaks plain IPv4 addresses even when it is dual-stack. */
export interface UdpSocket {
  readonly local: Address;
  send(message: Uint8Array, address: string, port: number): void;
  close(): Promise<void>;
}

/** Binds a UDP socket; without a host on all addresses of both families where there is IPv6. */
export async function bindUdp(
  options: { host?: string | undefined; port: number },
  onmessage: (message: Buffer, address: string, port: number) => void,
): Promise<UdpSocket> {
  const socket = await bind(options.host, options.port);
  const mapped = socket.address().family === "IPv6";
  // A burst of devices coming back must not be lost in the kernel; what the limit refuses is not needed to run.
  for (const grow of ["setRecvBufferSize", "setSendBufferSize"] as const) {
    try {
      socket[grow](4 << 20);
    } catch {}
  }
  let open = true;
  socket.on("message", (message, remote) => {
    if (open) onmessage(message, mapped ? plainAddress(remote.address) : remote.address, remote.port);
  });
  // What ICMP says about one datagram must not end the listener; the layer above retransmits.
  socket.on("error", () => {});
  const bound = socket.address();
  return {
    local: { address: bound.address, port: bound.port },
    send(message, address, port) {
      if (open)
        socket.send(message, port, mapped && !address.includes(":") ? MAPPED + address : address, ignore);
    },
    close() {
      if (!open) return Promise.resolve();
      open = false;
      return new Promise((resolve) => socket.close(() => resolve()));
    },
  };
}

function ignore(): void {}

async function bind(host: string | undefined, port: number): Promise<Socket> {
  if (host !== undefined) return bindOne(host.includes(":") ? "udp6" : "udp4", host, port);
  try {
    return await bindOne("udp6", "::", port);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EAFNOSUPPORT" && code !== "EADDRNOTAVAIL" && code !== "EINVAL") throw error;
    return bindOne("udp4", "0.0.0.0", port);
  }
}

function bindOne(type: "udp4" | "udp6", host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    // Names are still resolved for bind: only literal addresses take the short cut.
    const literal = /^[\d.]+$|:/.test(host);
    const socket = createSocket({ type, ...(literal ? { lookup: noLookup } : {}) });
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind(port, host, () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}
