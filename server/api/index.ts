import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Config } from "@/server/config";
import type { Logger } from "@/server/log";
import { authenticateApiKey } from "@/server/services/api-keys/authenticate";
import type { Context, Scope } from "@/server/services/context";
import type { Filter } from "@/server/services/filter";
import { bearerKey } from "./authorization";
import { ClientGone, checkRaw, parseJson, readBody } from "./body";
import { openApiDocument } from "./document";
import { type ApiError, envelope, type Failure, failure, INTERNAL, invalid, toFailure } from "./errors";
import { parseFilters } from "./filter";
import { whyNotServed } from "./not-served";
import { Delivery } from "./notification/delivery";
import { type EventSource, EventStreams } from "./notification/event-streams";
import { type Call, type Operation, Reply } from "./operation";
import { operations as served } from "./operations";
import { KEY_RATE, type Rate, RateLimit, STRANGER_RATE } from "./rate-limit";
import { json, refuseUpgrade, send } from "./reply";
import { type Match, Router } from "./router";
import type { z } from "./zod";

/** What the API needs of the process it runs in. */
export interface ApiParts {
  /** Of the service itself; requests act as the key that they carry. */
  context: Context;
  config: Config;
  log: Logger;
  version: string;
  keyRate?: Rate;
  strangerRate?: Rate;
  operations?: readonly Operation[];
  /** Where what happens is heard of; without it, event streams stay silent and queues are looked at every second. */
  events?: EventSource;
}

export interface Api {
  /** Whether a path, with or without a query, is the API's. */
  owns(target: string): boolean;
  /** Answers a request; never throws. */
  answer(req: IncomingMessage, res: ServerResponse): Promise<void>;
  /** Whether a request to upgrade is for `upgrade`; another is answered like any request. */
  upgrades(req: IncomingMessage): boolean;
  /** Makes a connection a WebSocket, or refuses it; never throws. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>;
  /** Event streams; browsers have theirs among them. */
  readonly streams: EventStreams;
  readonly delivery: Delivery;
  /** Answers everyone who waits and ends what is open. */
  close(): Promise<void>;
}

const OWN = /^\/+(?:v[23](?:[/?]|$)|openapi\.json\/*(?:\?|$))/;
const DOCUMENT = "/openapi.json";
const WEBSOCKET_PATH = "/v2/notification/websocket-connect";

/** The REST API: everything under /v2 and /v3, and its description at /openapi.json. */
export function createApi(parts: ApiParts): Api {
  const { context, config, log, operations = served } = parts;
  const router = new Router(operations);
  const keyRate = new RateLimit(parts.keyRate ?? KEY_RATE, context.clock);
  const strangerRate = new RateLimit(parts.strangerRate ?? STRANGER_RATE, context.clock);
  let document: string | null = null;

  const streams = new EventStreams(parts.events ?? SILENCE, context.clock);
  const delivery = new Delivery({ context, config, log, events: parts.events ?? SILENCE });

  const authenticated = async (req: IncomingMessage, key: string | null) => {
    const actor = key ? await authenticateApiKey(context, { key }) : null;
    const wait = actor
      ? keyRate.take(actor.id)
      : strangerRate.take(String(req.headers["x-forwarded-for"] ?? req.socket.remoteAddress ?? ""));
    if (wait > 0)
      throw failure(429, "too_many_requests", `Too many requests. Come back in ${wait} s.`, {
        "Retry-After": String(wait),
      });
    if (!actor) throw failure(401, "invalid_auth", "Invalid access token.", { "WWW-Authenticate": "Bearer" });
    return actor;
  };

  const run = async (
    { operation, params }: Match,
    query: string,
    req: IncomingMessage,
    res: ServerResponse,
    requestId: string,
  ): Promise<Reply> => {
    const actor = await authenticated(req, bearerKey(req.headers.authorization));
    try {
      checkScope(operation.scope, actor.scopes);
      const body = await readBody(req, operation.maxBody);
      const header = (name: string) => String(req.headers[name.toLowerCase()] ?? "") || null;
      const contentType = req.headers["content-type"] ?? null;
      if (operation.rawBody) checkRaw(operation.rawBody, body, contentType);
      const search = new URLSearchParams(query);
      const call: Call<unknown, unknown, unknown> = {
        ctx: { ...context, actor, requestId },
        config,
        params: check(operation.params, params, "path", notFound),
        query: check(operation.query, Object.fromEntries(search), "query"),
        filters: filtersOf(operation, search),
        body:
          operation.body &&
          check(
            operation.body,
            parseJson(body, operation.plainErrors ? "MALFORMED_JSON_CONTENT" : undefined),
            "body",
          ),
        raw: { body, contentType, header },
        get signal() {
          return signalOf(res);
        },
        get delivered() {
          return deliveredOf(req, res);
        },
        delivery,
        streams,
      };
      const answer = await operation.handle(call);
      if (answer instanceof Reply) return answer;
      return answer === undefined ? new Reply(operation.status) : json(operation.status, answer);
    } catch (error) {
      const found = toFailure(error);
      if (!operation.plainErrors || !found) throw error;
      return new Reply(found.status, wordOf(found), found.headers);
    }
  };

  const respond = async (req: IncomingMessage, res: ServerResponse, requestId: string): Promise<Reply> => {
    const { path, query } = parseTarget(req.url ?? "/");
    const method = req.method ?? "GET";
    // A HEAD is a GET whose answer stays here.
    const sought = method === "HEAD" ? "GET" : method;
    const match = router.find(sought, path);
    if (match) return run(match, query, req, res, requestId);
    if (sought === "GET" && path === DOCUMENT) {
      document ??= JSON.stringify(openApiDocument(parts.version, operations));
      return new Reply(200, document, { "Content-Type": "application/json" });
    }
    const reason = whyNotServed(sought, path);
    throw reason
      ? failure(501, "not_implemented", `${method} ${path} is not served here. ${reason}`)
      : failure(404, "not_found", `There is no ${method} ${path}.`);
  };

  return {
    streams,
    delivery,
    owns: (target) => OWN.test(target),
    upgrades: ({ url, headers }) =>
      headers.upgrade?.toLowerCase() === "websocket" && parseTarget(url ?? "/").path === WEBSOCKET_PATH,
    async upgrade(req, socket, head) {
      const requestId = randomUUID().replaceAll("-", "");
      const onlost = () => socket.destroy();
      socket.on("error", onlost);
      try {
        await delivery.upgrade(req, socket, head, async (key) => {
          const actor = await authenticated(req, key);
          checkScope("connect", actor.scopes);
          return actor;
        });
      } catch (error) {
        const found = toFailure(error);
        if (!found) log.error({ err: error, path: req.url }, "a handshake failed");
        refuseUpgrade(socket, refusal(found ?? INTERNAL, requestId), requestId);
        return;
      }
      socket.off("error", onlost);
    },
    async close() {
      streams.close();
      await delivery.close();
    },
    async answer(req, res) {
      const requestId = randomUUID().replaceAll("-", "");
      let reply: Reply;
      try {
        reply = await respond(req, res, requestId);
      } catch (error) {
        const found = toFailure(error);
        // What a handler throws because its signal was aborted is no fault either.
        if (!found && !(error instanceof ClientGone) && !res.destroyed)
          log.error({ err: error, method: req.method, path: req.url }, "a request failed");
        reply = refusal(found ?? INTERNAL, requestId);
      }
      try {
        await send(req, res, reply, requestId);
      } catch (error) {
        // Clients leave streams when they like; anything else is a fault, seen by the client as an answer cut short.
        if (!signalOf(res).aborted && !(error instanceof ClientGone))
          log.error({ err: error, method: req.method, path: req.url }, "an answer was cut short");
        res.destroy();
      }
    },
  };
}

const SILENCE: EventSource = { subscribe: () => () => {}, watch: () => {} };

const notFound = failure(404, "not_found", "Not found.");

/** What Connect answers instead of an envelope: a word that applications know, else a sentence. */
const wordOf = ({ status, message, fields }: Failure): string =>
  status === 404
    ? "RESOURCE_NOT_FOUND"
    : (fields.find((field) => /^[A-Z]+(_[A-Z]+)+$/.test(field.message))?.message ?? message);

function checkScope(scope: Scope, allowed: readonly Scope[] | undefined): void {
  if (allowed && !allowed.includes(scope))
    throw failure(403, "forbidden", `This key lacks the scope “${scope}”.`);
}

/** The conditions of a query; an operation that takes parameters takes no others. */
function filtersOf({ query, filters }: Operation, search: URLSearchParams): Filter[] {
  if (!query && !filters) return [];
  return parseFilters(search, filters, query ? Object.keys((query as z.ZodObject).shape) : []);
}

function check<T>(
  schema: z.ZodType<T> | undefined,
  input: unknown,
  where: string,
  otherwise?: ApiError,
): T | undefined {
  if (!schema) return undefined;
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw otherwise ?? invalid(parsed.error, where);
}

const refusal = (found: Failure, requestId: string) =>
  json(found.status, envelope(found, requestId), found.headers);

/** Aborted when the connection is lost before the answer is written. */
function signalOf(res: ServerResponse): AbortSignal {
  const controller = new AbortController();
  const lost = () => {
    if (!res.writableFinished) controller.abort();
  };
  if (res.destroyed) lost();
  else res.once("close", lost);
  return controller.signal;
}

/** Whether the answer was written as a whole, over a connection that did not fail until now. */
function deliveredOf({ socket, method }: IncomingMessage, res: ServerResponse): () => boolean {
  let written = false;
  res.once("finish", () => {
    // A HEAD has no answer but its head.
    written = method !== "HEAD";
  });
  return () => written && socket.errored === null;
}

/** Clients end paths with a slash, or double one; a redirect would lose what they send. */
function parseTarget(target: string): { path: string; query: string } {
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  return {
    path: path.replace(/\/{2,}/g, "/").replace(/(.)\/$/, "$1"),
    query: mark < 0 ? "" : target.slice(mark + 1),
  };
}
