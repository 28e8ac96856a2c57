import type { Clock } from "@/server/clock";
import { openPollChannel } from "@/server/services/channels/open-poll";
import { serialization } from "@/server/services/channels/types";
import type { Context } from "@/server/services/context";
import { failure } from "../errors";
import { Reply } from "../operation";
import type { Feed } from "./feed";
import type { KeyWatch } from "./key-watch";

/** Clients wait for 60 s; proxies are less patient. */
export const HOLD_MS = 30_000;

const look = serialization.parse({});

/** Why a poll that waits gets its answer. */
type End = "woken" | "timeout" | "left" | "deleted" | "revoked" | "closing";

/** Lets everything be read that arrived: immediates run behind that, so the first one may be before it. */
async function turnOfEvents(): Promise<void> {
  await new Promise(setImmediate);
  await new Promise(setImmediate);
}

/** A poll, from its arrival to its answer. */
export class Poll {
  #end: End | null = null;
  #resume: (() => void) | null = null;

  constructor(
    readonly keyHash: string,
    private readonly clock: Clock,
  ) {}

  /** Ends the wait; what ends the poll itself stays. */
  end(why: End): void {
    if (this.#end === null || this.#end === "woken") this.#end = why;
    this.#resume?.();
  }

  /** Forgets that it was woken: what it was woken for is being looked for. */
  look(): void {
    if (this.#end === "woken") this.#end = null;
  }

  get ended(): End | null {
    return this.#end;
  }

  async wait(untilMs: number): Promise<void> {
    if (this.#end !== null) return;
    const timer = this.clock.after(untilMs - this.clock.now(), () => this.end("timeout"));
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
    });
    timer.cancel();
  }
}

/** What a poll brings along. */
export interface PollCall {
  ctx: Context;
  keyHash: string;
  signal: AbortSignal;
  /** Whether the answer was written as a whole, over a connection that did not fail. */
  delivered: () => boolean;
}

/** The polls of one owner: one at a time. */
export class Polls {
  #open: Poll | null = null;
  /** Settles when the open poll knows its channel. */
  #ready: Promise<unknown> = Promise.resolve();
  /** The last answer, until the next poll shows that it arrived. */
  #sent: { last: number; delivered: () => boolean } | null = null;

  constructor(
    private readonly feed: Feed,
    private readonly clock: Clock,
    private readonly keys: KeyWatch,
  ) {}

  /** The poll that waits now. */
  get open(): Poll | null {
    return this.#open;
  }

  /** Whether it can be forgotten without a notification being sent twice. */
  get idle(): boolean {
    return this.#open === null && this.#sent === null;
  }

  wake(): void {
    this.#open?.end("woken");
  }

  /** The channel is gone that this poll waited on, perhaps together with the key. */
  async deleted(poll: Poll | null): Promise<void> {
    this.#sent = null;
    if (!poll) return;
    await this.keys.check([poll.keyHash]);
    poll.end("deleted");
  }

  /** The process is going. */
  close(): void {
    this.#open?.end("closing");
  }

  /** Resolves once the open poll has made sure that there is a channel. */
  async settled(): Promise<void> {
    await this.#ready.catch(() => {});
  }

  /** Holds a request until there is something for it. */
  async answer({ ctx, keyHash, signal, delivered }: PollCall): Promise<Reply> {
    if (this.#open) throw failure(409, "conflict", "Another poll is open.");
    const poll = new Poll(keyHash, this.clock);
    this.#open = poll;
    const onleft = () => poll.end("left");
    signal.addEventListener("abort", onleft, { once: true });
    const unwatch = this.keys.watch({ ...this.feed.owner, keyHash }, ({ stands }) => {
      if (!stands) poll.end("revoked");
    });
    try {
      await (this.#ready = openPollChannel(ctx));
      this.feed.touch();
      // An answer that was cut off, or is still being written, is sent again.
      if (this.#sent?.delivered()) this.feed.take(this.#sent.last);
      this.#sent = null;
      return await this.#next(poll, delivered);
    } finally {
      unwatch();
      signal.removeEventListener("abort", onleft);
      this.feed.touch();
      this.#open = null;
    }
  }

  async #next(poll: Poll, delivered: () => boolean): Promise<Reply> {
    const until = this.clock.now() + HOLD_MS;
    for (;;) {
      poll.look();
      const batch = poll.ended === null ? await this.feed.next(this.feed.taken, look) : null;
      // What is written to a client that went would count as taken, and that it went is read when events come round.
      if (batch) await turnOfEvents();
      switch (poll.ended) {
        case "deleted":
          return new Reply(410, "The channel was deleted.");
        case "revoked":
          throw failure(401, "invalid_auth", "Invalid access token.", { "WWW-Authenticate": "Bearer" });
        case "left":
          return new Reply(204);
        case "timeout":
        case "closing":
          if (!batch) return new Reply(204);
      }
      if (batch) {
        this.#sent = { last: batch.last, delivered };
        return new Reply(200, batch.message(), { "Content-Type": "application/json" });
      }
      await poll.wait(until);
    }
  }
}
