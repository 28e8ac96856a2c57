import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream";
import { decode } from "next-auth/jwt";
import {
  EVENT_STREAM_HEADERS,
  type EventStream,
  type EventStreams,
  framedOnce,
} from "@/server/api/notification/event-streams";
import { missedEvents } from "@/server/services/events/replay";
import { seesInstance } from "@/server/services/instance/operator";
import type { UserView } from "@/server/services/users/get";
import { runtime } from "./runtime";
import { contextOf, userOfToken } from "./session-user";

const MAX_STREAMS_PER_USER = 50;
const ID = /^[0-9a-f]{32}$/;

/** A browser that listens. */
interface Listener {
  userId: string;
  accountId: string;
  /** Milliseconds since 1970. */
  sessionEndsAt: number;
  stream: EventStream;
}

/** Server-sent events: everything that happens in the account of whoever is signed in. */
export class LiveHub {
  readonly #listeners = new Set<Listener>();

  constructor(private readonly streams: EventStreams) {
    streams.onbeat(() => this.#dropSignedOut());
  }

  /** Answers GET /live. */
  async open(req: IncomingMessage, res: ServerResponse, url: URL): Promise<void> {
    const token = await sessionToken(req);
    const user = await userOfToken(token);
    if (!token || !user) return refuse(res, 401, "Sign in first.");
    if (this.streams.count(user.id) >= MAX_STREAMS_PER_USER) return refuse(res, 429, "Too many open pages.");
    const deviceId = url.searchParams.get("device");
    if (deviceId !== null && !ID.test(deviceId)) return refuse(res, 400, "device is not a device ID.");
    const seesAll = await seesInstance(contextOf(user));
    res.writeHead(200, { ...EVENT_STREAM_HEADERS, Connection: "keep-alive" });
    const stream = this.streams.open({
      accountId: user.accountId,
      holder: user.id,
      seesInstance: seesAll,
      frame: (event) => (deviceId === null || event.deviceId === deviceId ? frame(event) : null),
    });
    const listener = {
      userId: user.id,
      accountId: user.accountId,
      sessionEndsAt: Number(token.exp ?? 0) * 1000,
      stream,
    };
    this.#listeners.add(listener);
    // Browsers come and go, and come back with what they heard last.
    pipeline(stream, res, () => this.#listeners.delete(listener));
    const last = req.headers["last-event-id"];
    if (typeof last === "string" && ID.test(last))
      await stream.replay(missed(user, last, deviceId)).catch((error: Error) => stream.destroy(error));
  }

  /** A stream lives as long as the session behind it, not as long as its connection. */
  async #dropSignedOut(): Promise<void> {
    const now = runtime().clock.now();
    const users = new Map([...this.#listeners].map(({ userId, accountId }) => [userId, accountId]));
    for (const [userId, accountId] of users) {
      if (await userOfToken({ userId, accountId })) users.delete(userId);
    }
    for (const { userId, sessionEndsAt, stream } of this.#listeners)
      if (users.has(userId) || sessionEndsAt <= now) stream.end();
  }
}

async function* missed(user: UserView, after: string, deviceId: string | null): AsyncGenerator<string[]> {
  const { accountId } = user;
  for await (const rows of missedEvents(contextOf(user), { after, ...(deviceId && { deviceId }) }))
    yield rows.map(({ deviceId: of, ...event }) => frame({ kind: "event", accountId, deviceId: of, event }));
}

/** Only rows of the timeline have an id: they are what can be asked for again. */
const frame = framedOnce((event) => {
  const id = event.kind === "event" ? `id: ${event.event.id}\n` : "";
  return `${id}data: ${JSON.stringify(event)}\n\n`;
});

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
