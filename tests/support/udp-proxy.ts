import { createSocket, type RemoteInfo, type Socket } from "node:dgram";

/** What passed the proxy. */
export interface Passed {
  /** Port of the client's own socket, which names the client however often its path changes. */
  client: number;
  toServer: boolean;
  datagram: Buffer;
}

/** A network address translator between clients and one server: every client gets a port of its own, which can change. */
export class UdpProxy {
  readonly #front = createSocket("udp4");
  readonly #paths = new Map<number, Socket>();
  readonly #clients = new Map<number, RemoteInfo>();

  private constructor(
    private readonly serverPort: number,
    private readonly onpass: (passed: Passed) => void,
  ) {
    this.#front.on("message", (datagram, client) => {
      this.#clients.set(client.port, client);
      this.onpass({ client: client.port, toServer: true, datagram });
      this.#path(client.port).send(datagram, this.serverPort, "127.0.0.1");
    });
  }

  static async open(serverPort: number, onpass: (passed: Passed) => void = () => {}): Promise<UdpProxy> {
    const proxy = new UdpProxy(serverPort, onpass);
    await new Promise<void>((done) => proxy.#front.bind(0, "127.0.0.1", done));
    return proxy;
  }

  /** Where clients send to. */
  get port(): number {
    return this.#front.address().port;
  }

  /** Ports of the clients seen so far. */
  get clients(): number[] {
    return [...this.#clients.keys()];
  }

  /** From now on the server sees this client (all, when none is named) at another port. */
  rebind(client?: number): void {
    for (const [port, path] of this.#paths) {
      if (client !== undefined && port !== client) continue;
      path.close();
      this.#paths.delete(port);
    }
  }

  close(): void {
    this.rebind();
    this.#front.close();
  }

  #path(client: number): Socket {
    let path = this.#paths.get(client);
    if (!path) {
      path = createSocket("udp4");
      path.on("message", (datagram) => {
        this.onpass({ client, toServer: false, datagram });
        this.#front.send(datagram, client, "127.0.0.1");
      });
      // A server that is down answers with ICMP; the next datagram may find it up again.
      path.on("error", () => {});
      this.#paths.set(client, path);
    }
    return path;
  }
}

/** Records of a DTLS datagram without connection ids [RFC6347 §4.1]. */
export function* dtlsRecords(
  datagram: Buffer,
): Generator<{ type: number; epoch: number; sequence: number; body: Buffer }> {
  for (let at = 0; at + 13 <= datagram.length; ) {
    const length = datagram.readUInt16BE(at + 11);
    yield {
      type: datagram.readUInt8(at),
      epoch: datagram.readUInt16BE(at + 3),
      sequence: datagram.readUIntBE(at + 5, 6),
      body: datagram.subarray(at + 13, at + 13 + length),
    };
    at += 13 + length;
  }
}
