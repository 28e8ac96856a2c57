import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Hono } from "hono";
import type { Config } from "@/server/config";
import type { Logger } from "@/server/log";
import { authenticateApiKey } from "@/server/services/api-keys/authenticate";
import type { Context } from "@/server/services/context";
import { parseJson, readBody } from "./body";
import { openApiDocument } from "./document";
import { type ApiError, envelope, type Failure, failure, INTERNAL, invalid, toFailure } from "./errors";
import { parseFilters } from "./filter";
import { whyNotServed } from "./not-served";
import type { Operation } from "./operation";
import { operations } from "./operations";
import { KEY_RATE, type Rate, RateLimit, STRANGER_RATE } from "./rate-limit";
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
}

export interface Api {
  /** Whether a path is the API's. */
  owns(pathname: string): boolean;
  /** Answers a request; never throws. */
  answer(req: IncomingMessage, res: ServerResponse): Promise<void>;
}

/** A request as it comes from the server. */
interface Bindings {
  requestId: string;
  address: string;
  authorization: string | undefined;
  body: Uint8Array;
  header(name: string): string | null;
  signal: AbortSignal;
}

type Env = { Bindings: Bindings };

const OWN = /^\/+(?:v[23](?:\/|$)|openapi\.json\/*$)/;
const DOCUMENT = "/openapi.json";
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);

/** The REST API: everything under /v2 and /v3, and its description at /openapi.json. */
export function createApi(parts: ApiParts): Api {
  const { context, config, log } = parts;
  const keyRate = new RateLimit(parts.keyRate ?? KEY_RATE, context.clock);
  const strangerRate = new RateLimit(parts.strangerRate ?? STRANGER_RATE, context.clock);
  let document: string | null = null;

  const authenticated = async ({ authorization, address }: Bindings) => {
    const [, key] = /^\s*bearer\s+(\S+)\s*$/i.exec(authorization ?? "") ?? [];
    const actor = key && key.length <= 512 ? await authenticateApiKey(context, { key }) : null;
    const wait = actor ? keyRate.take(actor.id) : strangerRate.take(address);
    if (wait > 0)
      throw failure(429, "too_many_requests", `Too many requests. Come back in ${wait} s.`, {
        "Retry-After": String(wait),
      });
    if (!actor) throw failure(401, "invalid_auth", "Invalid access token.", { "WWW-Authenticate": "Bearer" });
    return actor;
  };

  const run = async (
    operation: Operation,
    request: Bindings,
    params: Record<string, string>,
    url: URL,
  ): Promise<Response> => {
    const actor = await authenticated(request);
    try {
      const call = {
        ctx: { ...context, actor },
        config,
        params: check(operation.params, params, "path", notFound),
        query: check(operation.query, Object.fromEntries(url.searchParams), "query"),
        body: operation.body && check(operation.body, parseJson(request.body), "body"),
        raw: {
          body: request.body,
          contentType: request.header("content-type"),
          header: request.header,
        },
        signal: request.signal,
        filters: operation.filters ? parseFilters(url.searchParams, operation.filters) : [],
      };
      const answer = await operation.handle(call);
      return answer === undefined
        ? new Response(null, { status: operation.status })
        : json(operation.status, answer);
    } catch (error) {
      const found = toFailure(error);
      if (!operation.plainErrors || !found) throw error;
      return new Response(found.status === 404 ? "RESOURCE_NOT_FOUND" : found.message, {
        status: found.status,
        headers: { "Content-Type": "text/plain; charset=utf-8" },
      });
    }
  };

  const app = new Hono<Env>();
  for (const operation of operations) {
    app.on(operation.method.toUpperCase(), operation.path.replace(/\{(\w+)\}/g, ":$1"), (c) =>
      run(operation, c.env, c.req.param(), new URL(c.req.url)),
    );
  }
  app.get(DOCUMENT, () => {
    document ??= JSON.stringify(openApiDocument(parts.version));
    return new Response(document, { headers: { "Content-Type": "application/json" } });
  });
  app.notFound((c) => {
    const { method, path } = c.req;
    const reason = whyNotServed(method, path);
    throw reason
      ? failure(501, "not_implemented", `${method} ${path} is not served here. ${reason}`)
      : failure(404, "not_found", `There is no ${method} ${path}.`);
  });
  app.onError((error, c) => {
    const found = toFailure(error);
    if (!found) log.error({ err: error, method: c.req.method, path: c.req.path }, "a request failed");
    return refusal(found ?? INTERNAL, c.env.requestId);
  });

  const respond = async (req: IncomingMessage, requestId: string): Promise<Response> => {
    const gone = new AbortController();
    try {
      const url = new URL(`http://gangway${normalize(req.url ?? "/")}`);
      const bindings: Bindings = {
        requestId,
        address: String(req.headers["x-forwarded-for"] ?? req.socket.remoteAddress ?? ""),
        authorization: req.headers.authorization,
        body: await readBody(req),
        header: (name) => String(req.headers[name.toLowerCase()] ?? "") || null,
        signal: gone.signal,
      };
      if (!METHODS.has(req.method ?? ""))
        throw failure(404, "not_found", `There is no ${req.method} ${url.pathname}.`);
      return await app.fetch(new Request(url, { method: req.method ?? "GET" }), bindings);
    } catch (error) {
      const found = toFailure(error);
      if (!found) log.error({ err: error, method: req.method }, "a request failed");
      return refusal(found ?? INTERNAL, requestId);
    }
  };

  return {
    owns: (pathname) => OWN.test(pathname),
    async answer(req, res) {
      const requestId = randomBytes(16).toString("hex");
      const response = await respond(req, requestId);
      const body = Buffer.from(await response.arrayBuffer());
      res.writeHead(response.status, {
        ...Object.fromEntries(response.headers),
        "X-Request-ID": requestId,
        "Cache-Control": "no-store",
        ...(response.status !== 204 && { "Content-Length": body.length }),
      });
      res.end(req.method === "HEAD" ? undefined : body);
    },
  };
}

const notFound = failure(404, "not_found", "Not found.");

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

const json = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });

const refusal = (found: Failure, requestId: string) =>
  json(found.status, envelope(found, requestId), found.headers);

/** Clients end paths with a slash, or double one; a redirect would lose what they send. */
function normalize(target: string): string {
  const [path = "/", ...query] = target.split("?");
  const plain = path.replace(/\/{2,}/g, "/").replace(/(.)\/$/, "$1");
  return query.length > 0 ? `${plain}?${query.join("?")}` : plain;
}
