import { connect, type Socket } from "node:net";
import { z } from "zod";
import type { Clock, Timer } from "../clock";
import type { Logger } from "../log";
import type { BusClient } from "../services/context";
import { type ErrorCode, ServiceError } from "../services/errors";
import { type BusEvent, type BusFrame, busEvent, gatewayRequests } from "./messages";
import { tell } from "./server";
import { Wire } from "./wire";

/** No request waits longer than this; the retransmissions towards a device end well before. */
const REQUEST_TIMEOUT_MS = 150_000;

/** A gateway that hangs accepts connections and says nothing. */
const GREETING_TIMEOUT_MS = 5000;

/** Waits between two tries to connect. */
const BACK_OFF_MS = [100, 200, 500, 1000, 2000];

/** Events that are kept for a gateway that is down; the oldest go first. */
const MAX_WAITING_EVENTS = 1000;

const errorCode = z.enum([
  "bad_request",
  "validation_error",
  "unauthorized",
  "forbidden",
  "not_found",
  "conflict",
  "locked",
  "limit_exceeded",
  "unavailable",
  "internal_error",
] satisfies ErrorCode[]);

export interface ConnectOptions {
  path: string;
  clock: Clock;
  log: Logger;
}

/** Another process's end of the bus. */
export interface LocalBusClient extends BusClient {
  /** Calls `run` with every event that another process publishes. */
  subscribe(run: (event: BusEvent) => void): () => void;
  /** Has only events of these accounts sent from now on (null: all, as from the start); none of them costs nothing. */
  watch(accounts: readonly string[] | null): void;
  readonly connected: boolean;
  /** Called when the gateway is there again: what happened meanwhile was not heard. */
  onreconnect: (() => void) | null;
  close(): void;
}

interface Waiting {
  op: keyof typeof gatewayRequests;
  resolve(output: unknown): void;
  reject(error: Error): void;
  timer: Timer;
}

/** Connects to the gateway, now and whenever it comes back; returns at once. */
export function connectBus(options: ConnectOptions): LocalBusClient {
  return new Client(options);
}

class Client implements LocalBusClient {
  onreconnect: (() => void) | null = null;
  #wire: Wire | null = null;
  #socket: Socket | null = null;
  #attempt: Promise<void> = Promise.resolve();
  #failures = 0;
  #everConnected = false;
  #closed = false;
  #retry: Timer | null = null;
  #number = 0;
  #waiting = new Map<number, Waiting>();
  #unsent: BusEvent[] = [];
  #watched: string[] | null = null;
  #listeners = new Set<(event: BusEvent) => void>();

  constructor(private readonly options: ConnectOptions) {
    this.#connect();
  }

  get connected(): boolean {
    return this.#wire !== null;
  }

  subscribe(run: (event: BusEvent) => void): () => void {
    this.#listeners.add(run);
    return () => this.#listeners.delete(run);
  }

  watch(accounts: readonly string[] | null): void {
    this.#watched = accounts && [...accounts];
    this.#wire?.send({ t: "watch", accounts: this.#watched });
  }

  publish(event: BusEvent): void {
    const checked = busEvent.safeParse(event);
    if (!checked.success) {
      this.options.log.error({ issues: checked.error.issues }, "an event that is not valid was not sent");
      return;
    }
    if (this.#wire?.send({ t: "evt", event: checked.data })) return;
    if (this.#unsent.push(checked.data) > MAX_WAITING_EVENTS) this.#unsent.shift();
  }

  request: BusClient["request"] = async (op, input) => {
    const checked = gatewayRequests[op].input.safeParse(input);
    if (!checked.success) {
      throw new ServiceError(
        "validation_error",
        "The request to the gateway is not valid.",
        checked.error.issues.map((issue) => ({ name: issue.path.join("."), message: issue.message })),
      );
    }
    if (!this.#wire) {
      // The gateway may have come since the last try; one that comes later finds everything in the database.
      if (this.#retry && !this.#closed) {
        this.#retry.cancel();
        this.#connect();
      }
      await this.#attempt;
    }
    const wire = this.#wire;
    if (!wire) throw down();
    const n = ++this.#number;
    return new Promise((resolve, reject) => {
      const timer = this.options.clock.after(REQUEST_TIMEOUT_MS, () => {
        this.#waiting.delete(n);
        reject(new ServiceError("unavailable", "The gateway did not answer in time."));
      });
      this.#waiting.set(n, { op, resolve: resolve as (output: unknown) => void, reject, timer });
      if (!wire.send({ t: "req", n, op, input: checked.data })) {
        timer.cancel();
        this.#waiting.delete(n);
        reject(down());
      }
    });
  };

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    if (this.#wire) this.#wire.end();
    else this.#socket?.destroy();
    this.#lost();
  }

  #connect(): void {
    this.#retry = null;
    this.#attempt = new Promise((settled) => {
      const socket = connect(this.options.path);
      this.#socket = socket;
      const patience = this.options.clock.after(GREETING_TIMEOUT_MS, () => socket.destroy());
      const wire = new Wire(socket, {
        hello: () => {
          patience.cancel();
          if (this.#closed) return;
          this.#failures = 0;
          this.#wire = wire;
          if (this.#watched) wire.send({ t: "watch", accounts: this.#watched });
          for (const event of this.#unsent.splice(0)) wire.send({ t: "evt", event });
          if (this.#everConnected) this.onreconnect?.();
          this.#everConnected = true;
          settled();
        },
        frame: (frame) => this.#onframe(frame),
        close: (reason) => {
          patience.cancel();
          if (reason) this.options.log.warn(reason);
          this.#lost();
          settled();
          if (this.#closed) return;
          const delay = BACK_OFF_MS[Math.min(this.#failures++, BACK_OFF_MS.length - 1)] ?? 0;
          this.#retry = this.options.clock.after(delay, () => this.#connect());
        },
      });
    });
  }

  #lost(): void {
    this.#wire = null;
    for (const { reject, timer } of this.#waiting.values()) {
      timer.cancel();
      reject(new ServiceError("unavailable", "The gateway went down before it answered."));
    }
    this.#waiting.clear();
  }

  #onframe(frame: BusFrame): void {
    if (frame.t === "evt") tell(this.#listeners, frame.event, this.options.log);
    if (frame.t !== "res" && frame.t !== "err") return;
    const waiting = this.#waiting.get(frame.n);
    if (!waiting) return;
    this.#waiting.delete(frame.n);
    waiting.timer.cancel();
    if (frame.t === "err") {
      const code = errorCode.catch("internal_error").parse(frame.code);
      waiting.reject(new ServiceError(code, frame.message, frame.fields ?? []));
      return;
    }
    const output = gatewayRequests[waiting.op].output.safeParse(frame.output);
    if (output.success) waiting.resolve(output.data);
    else waiting.reject(new ServiceError("internal_error", "The gateway gave an answer that is not valid."));
  }
}

const down = () => new ServiceError("unavailable", "The gateway is not running.");
