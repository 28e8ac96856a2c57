import type { Socket } from "node:net";
import { LineReader } from "./lines";
import { BUS_PROTOCOL, type BusFrame, busFrame } from "./messages";

/** What waits to be sent to one process; one that does not read is dropped. */
export const MAX_BUFFERED_BYTES = 16 * 1024 * 1024;

/** Frames over a socket: one line of JSON each, checked on arrival, `hello` first. */
export class Wire {
  #greeted = false;
  /** Lines of this turn of the event loop. */
  #waiting = "";

  constructor(
    private readonly socket: Socket,
    private readonly on: {
      /** The other side speaks our protocol. */
      hello(): void;
      frame(frame: BusFrame): void;
      /** Once; the reason is a sentence when the connection was not simply ended. */
      close(reason: string | null): void;
    },
  ) {
    const lines = new LineReader((line) => this.#online(line));
    let reason: string | null = null;
    socket.on("data", (chunk: Buffer) => {
      try {
        lines.push(chunk);
      } catch (error) {
        reason = `The other process sent something that cannot be understood: ${(error as Error).message}.`;
        socket.destroy();
      }
    });
    socket.on("error", () => {});
    socket.on("close", () => on.close(reason));
    this.send({ t: "hello", protocol: BUS_PROTOCOL });
  }

  /** False when the other side does not read: it is disconnected then. */
  send(frame: BusFrame): boolean {
    return this.sendLine(`${JSON.stringify(frame)}\n`);
  }

  sendLine(line: string): boolean {
    if (this.socket.destroyed || !this.socket.writable) return false;
    if (this.socket.writableLength + this.#waiting.length > MAX_BUFFERED_BYTES) {
      this.socket.destroy();
      return false;
    }
    // One write for all lines of this turn of the event loop: a system call costs more than the lines.
    if (this.#waiting === "") setImmediate(() => this.#flush());
    this.#waiting += line;
    return true;
  }

  end(): void {
    this.#flush();
    this.socket.end();
    // A process that hangs does not answer the end of its connection.
    setTimeout(() => this.socket.destroy(), 1000).unref();
  }

  #flush(): void {
    const lines = this.#waiting;
    this.#waiting = "";
    if (lines !== "" && !this.socket.destroyed && this.socket.writable) this.socket.write(lines);
  }

  #online(line: string): void {
    if (this.socket.destroyed) return;
    const parsed = busFrame.safeParse(JSON.parse(line));
    if (!parsed.success) throw new Error(parsed.error.issues[0]?.message ?? "unknown frame");
    const frame = parsed.data;
    if (!this.#greeted) {
      if (frame.t !== "hello") throw new Error("no greeting");
      if (frame.protocol !== BUS_PROTOCOL)
        throw new Error(`it is of another version (bus protocol ${frame.protocol}, ours is ${BUS_PROTOCOL})`);
      this.#greeted = true;
      this.on.hello();
    } else {
      this.on.frame(frame);
    }
  }
}
