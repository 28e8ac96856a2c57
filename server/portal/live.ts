import type { IncomingMessage, ServerResponse } from "node:http";
import { decode } from "next-auth/jwt";
import type { BusEvent } from "@/server/bus/messages";
import type { Timer } from "@/server/clock";
import { listEvents } from "@/server/services/events/list";
import { seesInstance } from "@/server/services/instance/operator";
import { runtime } from "./runtime";
import { contextOf, userOfToken } from "./session-user";

const KEEP_ALIVE_MS = 20_000;
/** A browser that does not read is let go; it comes back and asks for what it missed. */
const MAX_UNREAD_BYTES = 1 << 20;
const MAX_STREAMS_PER_USER = 50;
const MAX_REPLAY = 200;
const ID = /^[0-9a-f]{32}$/;

interface Stream {
  userId: string;
  accountId: string;
  /** Milliseconds since 1970. */
  sessionEndsAt: number;
  /** Also told of strangers that belong to no account. */
  seesInstance: boolean;
  deviceId: string | null;
  res: ServerResponse;
}

/** Server-sent events: everything that happens in the account of whoever is signed in. */
export class LiveHub {
  private readonly streams = new Set<Stream>();
  private readonly unsubscribe: () => void;
  private keepAlive: Timer;
  /** Accounts whose events the gateway is asked for. */
  private watched: ReadonlySet<string> | null = null;

  constructor() {
    const { bus, clock } = runtime();
    this.unsubscribe = bus.subscribe((event) => this.tell(event));
    this.watch();
    const beat = () => {
      void this.dropSignedOut();
      for (const stream of this.streams) this.write(stream, ": still here\n\n");
      this.keepAlive = clock.after(KEEP_ALIVE_MS, beat);
    };
    this.keepAlive = clock.after(KEEP_ALIVE_MS, beat);
  }

  /** Answers GET /live. */
  async open(req: IncomingMessage, res: ServerResponse, url: URL): Promise<void> {
    const token = await sessionToken(req);
    const user = await userOfToken(token);
    if (!token || !user) return refuse(res, 401, "Sign in first.");
    if ([...this.streams].filter((stream) => stream.userId === user.id).length >= MAX_STREAMS_PER_USER)
      return refuse(res, 429, "Too many open pages.");
    const deviceId = url.searchParams.get("device");
    if (deviceId !== null && !ID.test(deviceId)) return refuse(res, 400, "device is not a device ID.");
    const sees = await seesInstance(contextOf(user));
    res.writeHead(200, {
      "Content-Type": "text/event-stream",
      "Cache-Control": "no-cache, no-transform",
      Connection: "keep-alive",
      "X-Accel-Buffering": "no",
    });
    const stream: Stream = {
      userId: user.id,
      accountId: user.accountId,
      sessionEndsAt: Number(token.exp ?? 0) * 1000,
      seesInstance: sees,
      deviceId,
      res,
    };
    this.streams.add(stream);
    // Accounts that nobody looks at any more are let go with the next beat: a page that is loaded again misses nothing.
    if (!this.watched?.has(user.accountId)) this.watch();
    res.on("close", () => this.streams.delete(stream));
    this.write(stream, "retry: 2000\n\n");
    const last = req.headers["last-event-id"];
    if (typeof last === "string" && ID.test(last)) {
      const missed = await listEvents(contextOf(user), {
        after: last,
        limit: MAX_REPLAY,
        deviceId: deviceId ?? undefined,
      });
      for (const { deviceId: of, ...event } of [...missed.rows].reverse())
        this.write(stream, frame({ kind: "event", accountId: user.accountId, deviceId: of, event }));
    }
  }

  /** Asks the gateway for the events of the accounts that somebody looks at. */
  private watch(): void {
    const accounts = new Set([...this.streams].map(({ accountId }) => accountId));
    if (this.watched?.size === accounts.size && [...accounts].every((id) => this.watched?.has(id))) return;
    this.watched = accounts;
    runtime().bus.watch([...accounts]);
  }

  /** Ends every stream; the process is going. */
  close(): void {
    this.unsubscribe();
    this.keepAlive.cancel();
    for (const { res } of this.streams) res.end();
    this.streams.clear();
  }

  /** A stream lives as long as the session behind it, not as long as its connection. */
  private async dropSignedOut(): Promise<void> {
    const now = runtime().clock.now();
    const users = new Map([...this.streams].map(({ userId, accountId }) => [userId, accountId]));
    for (const [userId, accountId] of users) {
      if (await userOfToken({ userId, accountId })) users.delete(userId);
    }
    for (const stream of this.streams) {
      if (users.has(stream.userId) || stream.sessionEndsAt <= now) stream.res.end();
    }
  }

  private tell(event: BusEvent): void {
    let text: string | undefined;
    for (const stream of this.streams) {
      if (event.accountId === null ? !stream.seesInstance : event.accountId !== stream.accountId) continue;
      if (stream.deviceId !== null && event.deviceId !== stream.deviceId) continue;
      this.write(stream, (text ??= frame(event)));
    }
  }

  private write(stream: Stream, text: string): void {
    if (stream.res.writableEnded) return;
    if (stream.res.writableLength > MAX_UNREAD_BYTES) stream.res.destroy();
    else stream.res.write(text);
  }
}

/** Only rows of the timeline have an id: they are what can be asked for again. */
function frame(event: BusEvent): string {
  const id = event.kind === "event" ? `id: ${event.event.id}\n` : "";
  return `${id}data: ${JSON.stringify(event)}\n\n`;
}

function refuse(res: ServerResponse, status: number, message: string): void {
  res.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end(message);
}

/** next-auth's session cookie has another name over https. */
async function sessionToken(req: IncomingMessage) {
  const secure = req.headers["x-forwarded-proto"] === "https";
  const name = `${secure ? "__Secure-" : ""}next-auth.session-token`;
  const cookies = new Map(
    (req.headers.cookie ?? "").split(";").map((pair) => {
      const [key = "", ...value] = pair.trim().split("=");
      return [key, value.join("=")];
    }),
  );
  const token = cookies.get(name);
  if (!token) return null;
  return decode({ token, secret: runtime().sessionSecret }).catch(() => null);
}
