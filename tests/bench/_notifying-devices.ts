import { createSocket, type Socket } from "node:dgram";
import { generate, type ParsedPacket, parse } from "coap-packet";
import { concurrently } from "./_measure";

/** The resource that every device lets be observed. */
export const VALUE_PATH = "/3303/0/5700";

const SOCKETS = 32;
const AT_A_TIME = 128;
const PATIENCE_MS = 10_000;
const TICK_MS = 2;
/** Notifications under way: the gateway is kept busy, and loses no datagrams. */
const WINDOW = 1_024;
const RETRANSMIT_MS = 2_000;

interface Device {
  name: string;
  lane: Lane;
  location: string[];
  /** The token that its notifications carry; null: nobody observes it. */
  token: Buffer | null;
  sequence: number;
}

/** A socket that a number of devices share. */
class Lane {
  readonly socket: Socket;
  readonly #answers = new Map<number, (packet: ParsedPacket) => void>();
  /** Notifications that are not acknowledged, the oldest first. */
  readonly #unacknowledged = new Map<number, { bytes: Buffer; sentAt: number }>();
  readonly devices = new Map<string, Device>();
  /** Notifications that the gateway does not want. */
  refused = 0;
  #messageId = Math.floor(Math.random() * 0x10000);

  constructor(private readonly port: number) {
    this.socket = createSocket({ type: "udp4", recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
    this.socket.on("message", (bytes) => {
      if (bytes.length > 4) this.#receive(parse(bytes));
      // An acknowledgement or a reset, as most messages are, need not be parsed.
      else if (this.#unacknowledged.delete(bytes.readUInt16BE(2)) && ((bytes[0] ?? 0) & 0x30) === 0x30)
        this.refused++;
    });
  }

  get unacknowledged(): number {
    return this.#unacknowledged.size;
  }

  notify(messageId: number, bytes: Buffer): void {
    this.#unacknowledged.set(messageId, { bytes, sentAt: performance.now() });
    this.send(bytes);
  }

  retransmit(): void {
    const now = performance.now();
    for (const pending of this.#unacknowledged.values()) {
      if (now - pending.sentAt < RETRANSMIT_MS) return;
      pending.sentAt = now;
      this.send(pending.bytes);
    }
  }

  send(bytes: Buffer): void {
    this.socket.send(bytes, this.port, "127.0.0.1");
  }

  nextId(): number {
    this.#messageId = (this.#messageId + 1) & 0xffff;
    return this.#messageId;
  }

  /** Sends a request until it is answered. */
  request(path: readonly string[], query: readonly string[], payload: string): Promise<ParsedPacket> {
    const messageId = this.nextId();
    const bytes = generate({
      code: "POST",
      confirmable: true,
      messageId,
      token: Buffer.from([messageId >> 8, messageId & 255]),
      options: [
        ...path.map((value) => ({ name: "Uri-Path" as const, value: Buffer.from(value) })),
        ...query.map((value) => ({ name: "Uri-Query" as const, value: Buffer.from(value) })),
      ],
      payload: Buffer.from(payload),
    });
    return new Promise((resolve, reject) => {
      const again = setInterval(() => this.send(bytes), 1_000);
      const end = setTimeout(() => {
        clearInterval(again);
        reject(new Error("The gateway does not answer."));
      }, PATIENCE_MS);
      this.#answers.set(messageId, (packet) => {
        clearInterval(again);
        clearTimeout(end);
        resolve(packet);
      });
      this.send(bytes);
    });
  }

  #receive(packet: ParsedPacket): void {
    const answered = this.#answers.get(packet.messageId);
    if (packet.ack && answered) {
      this.#answers.delete(packet.messageId);
      answered(packet);
      return;
    }
    if (packet.code !== "0.01") return;
    const path = (packet.options ?? [])
      .filter(({ name }) => name === "Uri-Path")
      .map(({ value }) => String(value));
    // Devices on one socket are told apart by the path that they registered under.
    const device = this.devices.get(path[0] ?? "");
    const known = device && `/${path.slice(1).join("/")}` === VALUE_PATH;
    const observe = (packet.options ?? []).find(({ name }) => name === "Observe")?.value;
    if (known && observe)
      device.token = Buffer.from(observe).some((byte) => byte !== 0) ? null : packet.token;
    this.send(
      generate({
        ack: true,
        code: known ? "2.05" : "4.04",
        messageId: packet.messageId,
        token: packet.token,
        ...(known && {
          options: [
            { name: "Observe" as const, value: Buffer.from([device.sequence++ & 0xff]) },
            { name: "Content-Format" as const, value: Buffer.alloc(0) },
          ],
          payload: Buffer.from("0"),
        }),
      }),
    );
  }
}

/** Devices over plain CoAP that notify a value whenever they are told to. */
export class NotifyingDevices {
  readonly #lanes: Lane[];
  readonly #devices: Device[];
  /** When each value was sent; values are numbers from 1 on. */
  readonly sentAt: number[] = [0];

  constructor(port: number, count: number) {
    this.#lanes = Array.from({ length: SOCKETS }, () => new Lane(port));
    this.#devices = Array.from({ length: count }, (_, n) => {
      const lane = this.#lanes[n % SOCKETS] as Lane;
      const device = { name: `notifying-${n}`, lane, location: [], token: null, sequence: 1 };
      lane.devices.set(device.name, device);
      return device;
    });
  }

  async register(): Promise<void> {
    await concurrently(this.#devices, AT_A_TIME, async (device) => {
      const { name } = device;
      const links = `</${name}>;rt="oma.lwm2m",</${name}/1/0>,</${name}/3/0>,</${name}${VALUE_PATH}>;obs`;
      const answer = await device.lane.request(["rd"], [`ep=${name}`, "lt=3600", "lwm2m=1.0", "b=U"], links);
      if (answer.code !== "2.01")
        throw new Error(`A Register was answered ${answer.code}: ${answer.payload}`);
      device.location = (answer.options ?? [])
        .filter(({ name }) => name === "Location-Path")
        .map(({ value }) => String(value));
    });
  }

  /** Pre-subscriptions are looked at with every Update. */
  async update(): Promise<void> {
    await concurrently(this.#devices, AT_A_TIME, async ({ lane, location }) => {
      const answer = await lane.request(location, [], "");
      if (answer.code !== "2.04") throw new Error(`An Update was answered ${answer.code}: ${answer.payload}`);
    });
  }

  get observed(): number {
    return this.#devices.filter(({ token }) => token !== null).length;
  }

  /** Sends so many values, one device after the other, at this rate or as fast as the gateway takes them. */
  async notify(count: number, perSecond = Number.POSITIVE_INFINITY): Promise<void> {
    const start = performance.now();
    for (let sent = 0; sent < count || this.#unacknowledged > 0; ) {
      const due = Math.min(count, Math.floor(((performance.now() - start) / 1000) * perSecond));
      const room = WINDOW - this.#unacknowledged;
      for (const end = Math.min(due, sent + room); sent < end; sent++) {
        const value = this.sentAt.push(performance.now()) - 1;
        notifyOnce(this.#devices[value % this.#devices.length] as Device, value);
      }
      for (const lane of this.#lanes) lane.retransmit();
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    const refused = this.#lanes.reduce((sum, lane) => sum + lane.refused, 0);
    if (refused > 0) throw new Error(`The gateway refused ${refused} notifications.`);
  }

  get #unacknowledged(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.unacknowledged, 0);
  }

  close(): void {
    for (const { socket } of this.#lanes) socket.close();
  }
}

/** 2.05, confirmable, with Observe and Content-Format text/plain. */
function notifyOnce(device: Device, value: number): void {
  const { lane, token } = device;
  if (!token) throw new Error(`${device.name} is not observed.`);
  const messageId = lane.nextId();
  const sequence = device.sequence++;
  lane.notify(
    messageId,
    Buffer.concat([
      Buffer.from([0x40 | token.length, 0x45, messageId >> 8, messageId & 0xff]),
      token,
      Buffer.from([0x63, sequence >> 16, sequence >> 8, sequence, 0x60, 0xff]),
      Buffer.from(String(value)),
    ]),
  );
}
