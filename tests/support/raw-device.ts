import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { generate, type NamedOption, type Option, type Packet, type ParsedPacket, parse } from "coap-packet";

/** What a device answers to a request of the server; null says nothing. */
export type Answer = { code: string; payload?: string | Buffer; options?: NamedOption[] } | null;

export interface Ask {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  path: string;
  query?: readonly string[];
  payload?: string | Buffer;
  options?: NamedOption[];
  confirmable?: boolean;
  messageId?: number;
  token?: Buffer;
}

const CODES = { GET: "0.01", POST: "0.02", PUT: "0.03", DELETE: "0.04" };
let messageIds = Math.floor(Math.random() * 0x10000);

/** A device of plain CoAP over UDP, message by message and with nothing of ours in it. */
export class RawDevice {
  /** Requests of the server, in order. */
  readonly requests: (ParsedPacket & { path: string })[] = [];
  /** Resets and empty acknowledgements, and everything else that answers nothing asked. */
  readonly others: ParsedPacket[] = [];
  answer: (request: ParsedPacket & { path: string }) => Answer = () => ({ code: "4.04" });
  readonly #waiting = new Map<string, (packet: ParsedPacket) => void>();
  readonly #socket: Socket;

  private constructor(
    socket: Socket,
    private readonly port: number,
  ) {
    this.#socket = socket;
    socket.on("message", (datagram) => this.#receive(parse(datagram)));
  }

  static async open(port: number): Promise<RawDevice> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    return new RawDevice(socket, port);
  }

  /** Sends a request and waits for its answer. */
  ask(ask: Ask): Promise<ParsedPacket & { text: string; location: string }> {
    const token = ask.token ?? randomBytes(4);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${ask.path} was not answered.`)), 5000);
      this.#waiting.set(token.toString("hex"), (packet) => {
        clearTimeout(timer);
        const location = values(packet, "Location-Path").join("/");
        resolve({ ...packet, text: packet.payload.toString(), location });
      });
      this.send({
        code: CODES[ask.method ?? "POST"],
        token,
        messageId: ask.messageId ?? this.nextMessageId(),
        confirmable: ask.confirmable ?? true,
        payload: Buffer.from(ask.payload ?? ""),
        options: [
          ...ask.path.split("/").map((value) => option("Uri-Path", value)),
          ...(ask.query ?? []).map((value) => option("Uri-Query", value)),
          ...(ask.options ?? []),
        ],
      });
    });
  }

  nextMessageId(): number {
    messageIds = (messageIds + 1) & 0xffff;
    return messageIds;
  }

  send(packet: Packet): void {
    this.raw(generate(packet));
  }

  raw(datagram: Buffer): void {
    this.#socket.send(datagram, this.port, "127.0.0.1");
  }

  /** Tells the observer with this token a value. */
  notify(token: Buffer, observe: number, answer: NonNullable<Answer>, confirmable = false): number {
    const messageId = this.nextMessageId();
    this.send({
      code: answer.code,
      token,
      messageId,
      confirmable,
      payload: Buffer.from(answer.payload ?? ""),
      options: [{ name: "Observe", value: uint(observe) }, ...(answer.options ?? [])],
    });
    return messageId;
  }

  close(): void {
    this.#socket.close();
  }

  #receive(packet: ParsedPacket): void {
    const key = packet.token.toString("hex");
    const waiting = this.#waiting.get(key);
    if (waiting && packet.code >= "2") {
      this.#waiting.delete(key);
      if (packet.confirmable) this.send({ code: "0.00", ack: true, messageId: packet.messageId });
      waiting(packet);
      return;
    }
    if (packet.code === "0.00" || packet.code >= "1") {
      this.others.push(packet);
      return;
    }
    const request = { ...packet, path: `/${values(packet, "Uri-Path").join("/")}` };
    this.requests.push(request);
    const answer = this.answer(request);
    if (!answer) return;
    this.send({
      code: answer.code,
      token: packet.token,
      messageId: packet.messageId,
      ack: true,
      payload: Buffer.from(answer.payload ?? ""),
      options: answer.options ?? [],
    });
  }
}

/** The texts of an option that can come more than once. */
export function values(packet: ParsedPacket, name: string): string[] {
  return packet.options.filter((one) => one.name === name).map(({ value }) => value.toString());
}

export const option = (name: string, value: string | Buffer): NamedOption =>
  ({ name, value: Buffer.from(value) }) as NamedOption;

/** An option's number in as few bytes as it takes. */
export function uint(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? Buffer.alloc(0) : bytes.subarray(first);
}

/** The number in the option, or null. */
export function readUint(packet: { options: readonly Option[] }, name: string): number | null {
  const found = packet.options.find((one) => one.name === name);
  return found ? found.value.reduce((sum, byte) => sum * 256 + byte, 0) : null;
}
