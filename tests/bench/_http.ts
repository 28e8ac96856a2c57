import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface Answer {
  status: number;
  body: string;
}

/** One request after the other over one connection, with as little work as that takes: the client is not what is measured. */
export class HttpConnection {
  #received = "";
  #settle: { resolve(answer: Answer): void; reject(error: Error): void } | null = null;

  private constructor(
    private readonly socket: Socket,
    private readonly key: string,
  ) {
    socket.setNoDelay(true).setEncoding("latin1");
    socket.on("data", (text: string) => {
      this.#received += text;
      this.#take();
    });
    socket.on("error", (error) => this.#settle?.reject(error));
    socket.on("close", () => this.#settle?.reject(new Error("The connection was closed.")));
  }

  static async open(port: number, key: string): Promise<HttpConnection> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new HttpConnection(socket, key);
  }

  request(method: string, path: string, body = ""): Promise<Answer> {
    const head = [
      `${method} ${path} HTTP/1.1`,
      "Host: 127.0.0.1",
      `Authorization: Bearer ${this.key}`,
      ...(body === ""
        ? []
        : ["Content-Type: application/json", `Content-Length: ${Buffer.byteLength(body)}`]),
    ];
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
    });
  }

  async get(path: string): Promise<string> {
    const { status, body } = await this.request("GET", path);
    if (status !== 200) throw new Error(`GET ${path} was answered ${status}: ${body}`);
    return body;
  }

  close(): void {
    this.socket.destroy();
  }

  #take(): void {
    const text = this.#received;
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = text.slice(0, end);
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    if (text.length < end + 4 + length) return;
    this.#received = text.slice(end + 4 + length);
    const settle = this.#settle;
    this.#settle = null;
    settle?.resolve({
      status: Number(head.slice(9, 12)),
      body: Buffer.from(text.slice(end + 4, end + 4 + length), "latin1").toString("utf8"),
    });
  }
}
