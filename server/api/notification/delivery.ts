import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { BusEvent } from "@/server/bus/messages";
import type { Timer } from "@/server/clock";
import type { Config } from "@/server/config";
import { GroupCommit } from "@/server/db";
import type { Logger } from "@/server/log";
import { hashKey } from "@/server/services/api-keys/key";
import type { Owner } from "@/server/services/channels/announce";
import { type Callback, findChannel, listCallbackOwners } from "@/server/services/channels/get";
import { countQueued, findQueued, lastQueued } from "@/server/services/channels/queue";
import { expireChannel, listInactive } from "@/server/services/channels/remove";
import { CallbackTargets } from "@/server/services/channels/targets";
import { type Actor, type Context, ownerOf } from "@/server/services/context";
import { bearerKey } from "../authorization";
import { failure } from "../errors";
import { Reply } from "../operation";
import { CallbackDelivery } from "./callback";
import type { EventSource } from "./event-streams";
import { Feed } from "./feed";
import { KeyWatch } from "./key-watch";
import { type Poll, type PollCall, Polls } from "./poll";
import { CLOSE, Socket } from "./socket";

type ApiKeyActor = Extract<Actor, { kind: "apiKey" }>;

/** What was taken is deleted together, after this time. */
const COMMIT_MS = 50;
/** Rows that nobody told of, for the gateway was down or busy, are found after this time. */
const SCAN_MS = 1_000;
const BEAT_MS = 20_000;
const SWEEP_MS = 60_000;
/** Channels that nobody uses for so long are deleted. */
const DEATHS = [
  { kind: "LONG_POLLING", afterMs: 10 * 60_000 },
  { kind: "WEB_SOCKET", afterMs: 24 * 3_600_000 },
] as const;
/** Owners that nothing is open for are forgotten after this time. */
const FORGET_MS = 10 * 60_000;
const PROTOCOL_PREFIX = "pelion_";
/** What clients send is not read; it may not be long. */
const MAX_INCOMING_BYTES = 64 << 10;
/** At the end of the process a delivery under way may take this long. */
const GRACE_MS = 1_500;

/** What is kept of an owner whose application is there, or was a little while ago. */
interface Outlet {
  feed: Feed;
  polls: Polls;
  socket: Socket;
  callback: CallbackDelivery | null;
  /** Reads of its channel, one after the other. */
  reloads: Promise<void>;
  usedAt: number;
}

export interface DeliveryParts {
  /** Of the service itself. */
  context: Context;
  config: Config;
  log: Logger;
  events: Pick<EventSource, "subscribe">;
}

/** Brings what waits in the queues to the applications: polls, WebSockets and callbacks. */
export class Delivery {
  readonly keys: KeyWatch;
  readonly #outlets = new Map<string, Outlet>();
  readonly #commit: GroupCommit;
  readonly #targets: CallbackTargets;
  readonly #handshakes = new Set<string>();
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_INCOMING_BYTES,
    perMessageDeflate: false,
    // Browsers want one of the protocols that they offer; the other is the key.
    handleProtocols: (offered) => (offered.has("wss") ? "wss" : false),
  });
  readonly #unsubscribe: () => void;
  readonly #timers = new Set<{ timer: Timer }>();
  readonly #startedAt: number;
  /** Rows up to here were looked at; null when nobody waits. */
  #scanned: number | null = null;
  #closing = false;

  constructor(private readonly parts: DeliveryParts) {
    const { context, config, log } = parts;
    this.#startedAt = context.clock.now();
    this.keys = new KeyWatch(context, log);
    this.#targets = new CallbackTargets(config.callbackAllow);
    this.#commit = new GroupCommit(context.db, context.clock, {
      delayMs: COMMIT_MS,
      onerror: (error, statement) => log.error({ err: error, statement }, "a row could not be written"),
    });
    this.#unsubscribe = parts.events.subscribe((event) => this.#hear(event));
    this.#every(0, SWEEP_MS, () => this.#sweep());
    this.#every(SCAN_MS, SCAN_MS, () => this.#scan());
    this.#every(BEAT_MS, BEAT_MS, async () => {
      for (const { socket } of this.#outlets.values()) socket.beat();
    });
  }

  /** Answers a poll. */
  async poll(call: PollCall): Promise<Reply> {
    if (this.#closing) return new Reply(204);
    return this.#outlet(ownerOf(call.ctx.actor)).polls.answer(call);
  }

  /** Whether the application of an owner has its WebSocket open. */
  isConnected(ownerId: string): boolean {
    return this.#outlets.get(ownerId)?.socket.connected ?? false;
  }

  /** How much waits for the actor. */
  async queueSize(ctx: Context): Promise<number> {
    const { ownerId } = ownerOf(ctx.actor);
    return countQueued(ctx, { after: this.#outlets.get(ownerId)?.feed.taken ?? 0 });
  }

  /** Goes by what the channel of an owner is now. */
  reload(owner: Owner): Promise<void> {
    const outlet = this.#outlet(owner);
    // A poll that comes from here on makes its own channel.
    const poll = outlet.polls.open;
    outlet.reloads = outlet.reloads
      .then(() => this.#reload(outlet, poll))
      .catch((error: unknown) =>
        this.parts.log.error({ err: error, ownerId: owner.ownerId }, "a channel could not be read"),
      );
    return outlet.reloads;
  }

  /** Takes over a connection that is to become a WebSocket; throws an ApiError when it may not. */
  async upgrade(
    req: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    authenticate: (key: string | null) => Promise<ApiKeyActor>,
  ): Promise<void> {
    if (!isWebSocket(req)) throw upgradeRequired();
    const key = presentedKey(req);
    const owner = ownerOf(await authenticate(key));
    if (this.#closing)
      throw failure(503, "service_unavailable", "The server restarts.", { "Retry-After": "2" });
    if (this.#handshakes.has(owner.ownerId))
      throw failure(429, "too_many_requests", "Another handshake is in progress.", { "Retry-After": "1" });
    this.#handshakes.add(owner.ownerId);
    try {
      const found = await findChannel(this.parts.context, owner.ownerId);
      this.#server.handleUpgrade(req, socket, head, (client) => {
        // `ws` ends a connection that breaks the protocol, also one that is being turned away.
        client.on("error", () => {});
        if (this.#closing) client.close(...CLOSE.restart);
        else if (found?.channel.kind !== "WEB_SOCKET") client.close(...CLOSE.none);
        else this.#outlet(owner).socket.attach(client, found.channel.serialization, hashKey(key ?? ""));
      });
    } finally {
      this.#handshakes.delete(owner.ownerId);
    }
  }

  /** Lets everyone go and writes down what they took; they come back to the next process. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#unsubscribe();
    for (const entry of this.#timers) entry.timer.cancel();
    this.keys.close();
    const gone = [...this.#server.clients].map(
      (client) => new Promise((resolve) => client.once("close", resolve)),
    );
    const outlets = [...this.#outlets.values()];
    for (const { polls, socket } of outlets) {
      polls.close();
      socket.close("restart");
    }
    await Promise.all([...gone, ...outlets.map(({ callback }) => callback?.stop(GRACE_MS))]);
    await this.#commit.close();
  }

  #outlet(owner: Owner): Outlet {
    const { context: ctx, log } = this.parts;
    const { clock } = ctx;
    let outlet = this.#outlets.get(owner.ownerId);
    if (!outlet) {
      const feed = new Feed(owner, { ctx, commit: this.#commit, log });
      outlet = {
        feed,
        polls: new Polls(feed, clock, this.keys),
        socket: new Socket(feed, { clock, keys: this.keys, log }),
        callback: null,
        reloads: Promise.resolve(),
        usedAt: 0,
      };
      this.#outlets.set(owner.ownerId, outlet);
    }
    outlet.usedAt = clock.now();
    return outlet;
  }

  #hear(event: BusEvent): void {
    this.keys.hear(event);
    if (event.kind === "channel") void this.reload({ accountId: event.accountId, ownerId: event.ownerId });
    if (event.kind !== "notifications") return;
    const outlet = this.#outlets.get(event.ownerId);
    if (outlet) wake(outlet);
  }

  async #reload(outlet: Outlet, poll: Poll | null): Promise<void> {
    await outlet.polls.settled();
    const found = await findChannel(this.parts.context, outlet.feed.owner.ownerId);
    if (this.#closing) return;
    const kind = found?.channel.kind ?? null;
    if (kind !== "LONG_POLLING") await outlet.polls.deleted(poll);
    if (kind !== "WEB_SOCKET") await outlet.socket.deleted();
    else if (found) outlet.socket.update(found.channel.serialization);
    if (found?.callback) this.#deliver(outlet, found.callback);
    else if (outlet.callback) {
      void outlet.callback.stop();
      outlet.callback = null;
    }
  }

  #deliver(outlet: Outlet, callback: Callback): void {
    if (outlet.callback) {
      outlet.callback.update(callback);
      return;
    }
    const { context: ctx, log } = this.parts;
    outlet.callback = new CallbackDelivery(callback, outlet.feed, {
      ctx,
      clock: ctx.clock,
      commit: this.#commit,
      log,
      targets: this.#targets,
    });
  }

  #every(firstMs: number, ms: number, run: () => Promise<void>): void {
    const { clock } = this.parts.context;
    const entry = { timer: clock.after(firstMs, () => tick()) };
    this.#timers.add(entry);
    const tick = () => {
      run()
        .catch((error: unknown) => this.parts.log.error({ err: error }, "queues could not be looked at"))
        .finally(() => {
          if (!this.#closing) entry.timer = clock.after(ms, tick);
        });
    };
  }

  /** Finds what the bus did not tell of. */
  async #scan(): Promise<void> {
    const { context: ctx } = this.parts;
    const waiting = [...this.#outlets.values()].filter(isWaiting);
    if (waiting.length === 0) {
      this.#scanned = null;
    } else if (this.#scanned === null) {
      this.#scanned = await lastQueued(ctx);
      for (const outlet of waiting) wake(outlet);
    } else {
      const { owners, last } = await findQueued(ctx, { after: this.#scanned });
      this.#scanned = last;
      for (const ownerId of owners) {
        const outlet = this.#outlets.get(ownerId);
        if (outlet) wake(outlet);
      }
    }
  }

  /** Takes up callbacks, deletes channels that nobody uses, and forgets owners that did not come back. */
  async #sweep(): Promise<void> {
    const { context: ctx } = this.parts;
    for (const owner of await listCallbackOwners(ctx)) {
      if (!this.#outlets.get(owner.ownerId)?.callback) await this.reload(owner);
    }
    const now = ctx.clock.now();
    for (const { kind, afterMs } of DEATHS) {
      // Nobody could come while this process was not there.
      if (now - this.#startedAt < afterMs) continue;
      const since = new Date(now - afterMs);
      for (const owner of await listInactive(ctx, { kind, since })) {
        const outlet = this.#outlets.get(owner.ownerId);
        if (!outlet || !isWaiting(outlet)) await expireChannel(ctx, owner, { kind, inactiveSince: since });
      }
    }
    for (const [ownerId, outlet] of this.#outlets) {
      if (!isWaiting(outlet) && outlet.polls.idle && now - outlet.usedAt > FORGET_MS)
        this.#outlets.delete(ownerId);
    }
  }
}

const isWaiting = ({ polls, socket, callback }: Outlet): boolean =>
  polls.open !== null || socket.connected || callback !== null;

function wake({ polls, socket, callback }: Outlet): void {
  polls.wake();
  socket.wake();
  callback?.wake();
}

function isWebSocket({ method, headers }: IncomingMessage): boolean {
  return (
    method === "GET" &&
    headers.upgrade?.toLowerCase() === "websocket" &&
    headers["sec-websocket-version"] === "13"
  );
}

/** What anything but a handshake of WebSocket's only version is answered [RFC6455 §4.4]. */
export const upgradeRequired = () =>
  failure(426, "upgrade_required", "This is for WebSockets (version 13).", {
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
  });

/** Of the Authorization header, or of the protocol `pelion_…`: browsers cannot set headers. */
function presentedKey({ headers }: IncomingMessage): string | null {
  const protocol = (headers["sec-websocket-protocol"] ?? "")
    .split(",")
    .map((one) => one.trim())
    .find((one) => one.startsWith(PROTOCOL_PREFIX));
  return bearerKey(headers.authorization) ?? protocol?.slice(PROTOCOL_PREFIX.length) ?? null;
}
