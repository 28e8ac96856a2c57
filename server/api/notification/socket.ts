import type WebSocket from "ws";
import type { Clock } from "@/server/clock";
import type { Logger } from "@/server/log";
import type { Serialization } from "@/server/services/channels/types";
import type { Feed } from "./feed";
import type { KeyWatch } from "./key-watch";
import { Pump } from "./pump";

/** Close codes as Pelion uses them. */
export const CLOSE = {
  deleted: [1000, "The channel was deleted."],
  replaced: [1001, "Another connection took its place."],
  revoked: [1008, "The access key is no longer valid."],
  none: [1011, "There is no WebSocket channel."],
  failed: [1011, "The server failed."],
  restart: [1012, "The server restarts."],
} as const;
export type CloseReason = keyof typeof CLOSE;

/** What may be under way without an answer. */
const MAX_UNANSWERED_BATCHES = 32;
const MAX_UNANSWERED_BYTES = 4 << 20;
/** What comes within this time after a message goes with the next one. */
const REST_MS = 10;
/** A client that answers no ping for so long is gone. */
const PATIENCE_MS = 60_000;
/** A client that does not answer the end is cut off. */
const CLOSE_MS = 1_000;

/** A connection: messages of one kind each, and a ping behind each batch whose answer shows that the batch arrived. */
class Connection {
  readonly #pump: Pump;
  readonly #unanswered: { number: number; last: number; bytes: number }[] = [];
  #unansweredBytes = 0;
  #number = 0;
  #cursor: number;
  /** Since when a ping is unanswered. */
  #waitsSince: number | null = null;
  #closed = false;
  #unwatch: () => void;

  constructor(
    private readonly socket: WebSocket,
    private readonly feed: Feed,
    public look: Serialization,
    readonly keyHash: string,
    private readonly parts: { clock: Clock; keys: KeyWatch; log: Logger },
    private readonly onclose: (connection: Connection) => void,
  ) {
    this.#cursor = feed.taken;
    this.#pump = new Pump(parts.clock, REST_MS, () => this.#drain());
    this.#unwatch = parts.keys.watch({ ...feed.owner, keyHash }, ({ stands }) => {
      if (!stands) this.close("revoked");
    });
    socket.on("pong", (data) => this.#answered(data.toString("latin1")));
    socket.on("close", () => this.#end());
    feed.touch();
    this.wake();
  }

  wake(): void {
    this.#pump.wake();
  }

  /** Asks whether the client is still there; to be called every few seconds. */
  beat(): void {
    const now = this.parts.clock.now();
    if (this.#waitsSince !== null && now - this.#waitsSince >= PATIENCE_MS) this.socket.terminate();
    else this.#ping();
    this.feed.touch();
  }

  close(reason: CloseReason): void {
    const [code, text] = CLOSE[reason];
    this.socket.close(code, text);
    this.parts.clock.after(CLOSE_MS, () => this.socket.terminate());
    this.#end();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unwatch();
    void this.#pump.stop();
    this.feed.touch();
    this.onclose(this);
  }

  async #drain(): Promise<void> {
    try {
      while (
        !this.#closed &&
        this.#unanswered.length < MAX_UNANSWERED_BATCHES &&
        this.#unansweredBytes < MAX_UNANSWERED_BYTES
      ) {
        const batch = await this.feed.next(this.#cursor, this.look);
        if (!batch || this.#closed) return;
        let bytes = 0;
        for (const message of batch.messages()) {
          this.socket.send(message);
          bytes += message.length;
        }
        this.#cursor = batch.last;
        this.#number++;
        this.#unanswered.push({ number: this.#number, last: batch.last, bytes });
        this.#unansweredBytes += bytes;
        this.#ping();
      }
    } catch (error) {
      this.parts.log.error(
        { err: error, ownerId: this.feed.owner.ownerId },
        "a WebSocket could not be served",
      );
      this.close("failed");
    }
  }

  #ping(): void {
    this.#waitsSince ??= this.parts.clock.now();
    if (this.socket.readyState === this.socket.OPEN) this.socket.ping(String(this.#number));
  }

  /** A client may answer the last of several pings only [RFC6455 §5.5.3]. */
  #answered(data: string): void {
    const number = /^\d{1,15}$/.test(data) ? Number(data) : -1;
    // Pongs that nobody asked for are allowed.
    if (this.#closed || number < 0 || number > this.#number) return;
    this.#waitsSince = number === this.#number ? null : this.parts.clock.now();
    let last = 0;
    for (let [first] = this.#unanswered; first && first.number <= number; [first] = this.#unanswered) {
      this.#unanswered.shift();
      this.#unansweredBytes -= first.bytes;
      last = first.last;
    }
    if (last === 0) return;
    this.feed.take(last);
    this.wake();
  }
}

/** The WebSocket of one owner: a new connection takes the place of the one before. */
export class Socket {
  #connection: Connection | null = null;

  constructor(
    private readonly feed: Feed,
    private readonly parts: { clock: Clock; keys: KeyWatch; log: Logger },
  ) {}

  get connected(): boolean {
    return this.#connection !== null;
  }

  attach(socket: WebSocket, look: Serialization, keyHash: string): void {
    this.#connection?.close("replaced");
    this.#connection = new Connection(socket, this.feed, look, keyHash, this.parts, (connection) => {
      if (this.#connection === connection) this.#connection = null;
    });
  }

  /** Messages look like this from now on. */
  update(look: Serialization): void {
    if (this.#connection) this.#connection.look = look;
  }

  wake(): void {
    this.#connection?.wake();
  }

  beat(): void {
    this.#connection?.beat();
  }

  close(reason: CloseReason): void {
    this.#connection?.close(reason);
  }

  /** The channel is gone, perhaps together with the key. */
  async deleted(): Promise<void> {
    if (!this.#connection) return;
    await this.parts.keys.check([this.#connection.keyHash]);
    this.#connection?.close("deleted");
  }
}
