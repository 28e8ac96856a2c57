import { Readable } from "node:stream";
import type { BusEvent } from "@/server/bus/messages";
import type { Clock, Timer } from "@/server/clock";
import { ClientGone } from "../body";

const KEEP_ALIVE_MS = 20_000;
/** Who does not read is let go; clients come back and ask for what they missed. */
const MAX_UNREAD_BYTES = 1 << 20;
/** What may be unread while events of before are being sent. */
const SLOW_BYTES = 256 << 10;

/** The part of the bus that streams are fed from. */
export interface EventSource {
  subscribe(listener: (event: BusEvent) => void): () => void;
  /** Has events of these accounts sent here. */
  watch(accounts: readonly string[]): void;
}

export interface StreamOptions {
  accountId: string;
  /** Whose streams are counted together. */
  holder: string;
  /** Also told of what belongs to no account. */
  seesInstance?: boolean;
  /** What is sent for an event; null: nothing. */
  frame(event: BusEvent): string | null;
}

/** Server-sent events of one account, to be piped into an answer. */
export class EventStream extends Readable {
  /** Live events wait here while earlier ones are being sent. */
  #held: string[] | null = null;
  #heldLength = 0;
  #ended = false;
  #resume: (() => void) | null = null;

  constructor(readonly options: StreamOptions) {
    super({ objectMode: false });
    this.push("retry: 2000\n\n");
  }

  override _read(): void {
    this.#resume?.();
    this.#resume = null;
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#resume?.();
    callback(error);
  }

  /** Sends a frame, behind what is held back. */
  say(frame: string): void {
    if (this.#held === null) this.#send(frame);
    else if ((this.#heldLength += frame.length) > MAX_UNREAD_BYTES) this.destroy(tooSlow());
    else this.#held.push(frame);
  }

  /** Ends it in order. */
  end(): void {
    if (this.destroyed || this.#ended) return;
    this.#ended = true;
    this.push(null);
  }

  /** Sends events of before, at the pace of whoever reads, and only then what happens meanwhile. */
  async replay(pages: AsyncIterable<readonly string[]>): Promise<void> {
    this.#held = [];
    for await (const frames of pages) {
      for (const frame of frames) this.#send(frame);
      while (this.readableLength > SLOW_BYTES && !this.destroyed)
        await new Promise<void>((resolve) => {
          this.#resume = resolve;
        });
      if (this.destroyed) return;
    }
    const held = this.#held;
    this.#held = null;
    for (const frame of held) this.#send(frame);
  }

  #send(frame: string): void {
    if (this.destroyed || this.#ended) return;
    this.push(frame);
    if (this.readableLength > MAX_UNREAD_BYTES + frame.length) this.destroy(tooSlow());
  }
}

const tooSlow = () => new ClientGone("The client does not read.");

/** Everything that happens, told to whoever listens: browsers and applications. */
export class EventStreams {
  readonly #streams = new Set<EventStream>();
  readonly #unsubscribe: () => void;
  readonly #beats = new Set<() => unknown>();
  #keepAlive: Timer;
  /** Accounts whose events are asked for. */
  #watched: ReadonlySet<string> | null = null;

  constructor(
    private readonly source: EventSource,
    private readonly clock: Clock,
  ) {
    this.#unsubscribe = source.subscribe((event) => this.#tell(event));
    this.#watch();
    this.#keepAlive = this.#arm();
  }

  count(holder: string): number {
    let count = 0;
    for (const { options } of this.#streams) if (options.holder === holder) count++;
    return count;
  }

  open(options: StreamOptions): EventStream {
    const stream = new EventStream(options);
    this.#streams.add(stream);
    stream.once("close", () => this.#streams.delete(stream));
    // Accounts that nobody listens to any more are let go with the next beat.
    if (!this.#watched?.has(options.accountId)) this.#watch();
    return stream;
  }

  /** Runs with every keep-alive. */
  onbeat(run: () => unknown): void {
    this.#beats.add(run);
  }

  /** Ends every stream; the process is going. */
  close(): void {
    this.#unsubscribe();
    this.#keepAlive.cancel();
    for (const stream of this.#streams) stream.end();
    this.#streams.clear();
  }

  #arm(): Timer {
    return this.clock.after(KEEP_ALIVE_MS, () => {
      for (const stream of this.#streams) stream.say(": still here\n\n");
      for (const run of this.#beats) run();
      this.#watch();
      this.#keepAlive = this.#arm();
    });
  }

  /** Asks for the events of the accounts that somebody listens to. */
  #watch(): void {
    const accounts = new Set([...this.#streams].map(({ options }) => options.accountId));
    if (this.#watched?.size === accounts.size && [...accounts].every((id) => this.#watched?.has(id))) return;
    this.#watched = accounts;
    this.source.watch([...accounts]);
  }

  #tell(event: BusEvent): void {
    if (event.kind === "notifications") return;
    for (const stream of this.#streams) {
      const { accountId, seesInstance, frame } = stream.options;
      if (event.accountId === null ? !seesInstance : event.accountId !== accountId) continue;
      const text = frame(event);
      if (text !== null) stream.say(text);
    }
  }
}

/** The same frame for every stream that hears an event. */
export function framedOnce(frame: (event: BusEvent) => string): (event: BusEvent) => string {
  const frames = new WeakMap<BusEvent, string>();
  return (event) => {
    let text = frames.get(event);
    if (text === undefined) frames.set(event, (text = frame(event)));
    return text;
  };
}

export const EVENT_STREAM_HEADERS = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
} as const;
