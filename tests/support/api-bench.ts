import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "vitest";
import { type Api, createApi } from "@/server/api";
import { errorSchema } from "@/server/api/errors";
import type { Operation } from "@/server/api/operation";
import { operations as served } from "@/server/api/operations";
import type { Rate } from "@/server/api/rate-limit";
import { Router } from "@/server/api/router";
import type { BusEvent, GatewayOp, GatewayRequests } from "@/server/bus/messages";
import { type Clock, systemClock } from "@/server/clock";
import type { Config } from "@/server/config";
import { openTestDatabase, type PrismaClient } from "@/server/db";
import { createLogger } from "@/server/log";
import { createApiKey } from "@/server/services/api-keys/create";
import type { BusClient, Context } from "@/server/services/context";
import { actAs, createContext } from "@/server/services/create-context";
import { ServiceError } from "@/server/services/errors";
import { newId } from "@/server/services/ids";
import { ensureInstance } from "@/server/services/instance/ensure";

/** An account with a user, and keys of both roles. */
export interface ApiTenant {
  id: string;
  userId: string;
  /** Acts as its administrator. */
  ctx: Context;
  admin: string;
  developer: string;
}

export interface ApiAnswer {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies that the schema has checked
  body: any;
}

export interface ApiBench {
  url: string;
  db: PrismaClient;
  config: Config;
  system: Context;
  a: ApiTenant;
  b: ApiTenant;
  /** What the gateway was asked for. */
  asked: { op: string; input: unknown }[];
  /** What the gateway answers; what is not there is answered as if it were down. */
  answers: { [K in GatewayOp]?: (input: GatewayRequests[K]["input"]) => GatewayRequests[K]["output"] };
  api: Api;
  /** Sends a request and checks the answer against what the operation declares. */
  call(key: string | null, method: string, path: string, body?: unknown): Promise<ApiAnswer>;
  close(): Promise<void>;
}

/** The REST API on a port of its own, with two accounts; the gateway is a list of what it was asked. */
export async function openApiBench(
  parts: {
    keyRate?: Rate;
    strangerRate?: Rate;
    operations?: readonly Operation[];
    clock?: Clock;
    env?: Record<string, string>;
  } = {},
): Promise<ApiBench> {
  const { clock = systemClock } = parts;
  const router = new Router(parts.operations ?? served);
  const { db, config, close } = await openTestDatabase(parts.env);
  const asked: ApiBench["asked"] = [];
  const answers: ApiBench["answers"] = {};
  const listeners = new Set<(event: BusEvent) => void>();
  const bus: BusClient = {
    publish: (event: BusEvent) => {
      for (const listener of listeners) listener(event);
    },
    request: async (op, input) => {
      asked.push({ op, input });
      const answer = answers[op];
      if (answer) return answer(input);
      if (op === "ping")
        return {
          pid: 1,
          startedAt: 0,
          storageTrouble: null,
          registrations: 0,
          peers: 0,
          listeners: [
            { service: "bootstrap", uri: "coaps://127.0.0.1:25784" },
            { service: "lwm2m", uri: "coaps://127.0.0.1:25684" },
          ],
        } as never;
      if (op === "trust.reload") return { trusted: 0 } as never;
      if (op === "device.added" || op === "device.removed") return {} as never;
      throw new ServiceError("unavailable", "The gateway is not running.");
    },
  };
  const system = createContext({ config, db, bus, clock });
  await ensureInstance(system, { publicHost: config.publicHost });
  const tenant = async (name: string): Promise<ApiTenant> => {
    const id = newId();
    await db.account.create({ data: { id, name } });
    const userId = newId();
    const email = `${name}@example.com`;
    await db.user.create({
      data: { id: userId, accountId: id, email, name, passwordHash: "-", role: "administrator" },
    });
    const ctx = actAs(system, { kind: "user", id: userId, accountId: id, role: "administrator", email });
    const admin = await createApiKey(ctx, { name: "admin", role: "administrator" });
    const developer = await createApiKey(ctx, { name: "developer" });
    return { id, userId, ctx, admin: admin.key, developer: developer.key };
  };
  const a = await tenant("alpha");
  const b = await tenant("beta");
  const api = createApi({
    context: system,
    config,
    log: createLogger("test", process.env.API_LOG === "1" ? "error" : "silent"),
    version: "0.0.0",
    events: {
      watch: () => {},
      subscribe: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    ...parts,
  });
  const server = createServer((req, res) => {
    const { pathname } = new URL(`http://test${req.url}`);
    if (api.owns(pathname)) void api.answer(req, res);
    else res.writeHead(418).end();
  });
  server.on("upgrade", (req, socket, head) => void api.upgrade(req, socket, head));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    db,
    config,
    system,
    a,
    b,
    asked,
    answers,
    api,
    async call(key, method, path, body) {
      const response = await fetch(url + path, {
        method,
        headers: {
          ...(key && { Authorization: `Bearer ${key}` }),
          "Content-Type": "application/json",
        },
        body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
        redirect: "manual",
      });
      const text = await response.text();
      const answer = { status: response.status, headers: response.headers, text, body: parse(text) };
      checkAnswer(router, method, path, answer);
      return answer;
    },
    async close() {
      await api.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await close();
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** An answer holds what its schema declares, and nothing else. */
function checkAnswer(
  router: Router,
  method: string,
  path: string,
  { status, headers, text, body }: ApiAnswer,
): void {
  const { pathname } = new URL(`http://test${path.replace(/\/{2,}/g, "/")}`);
  const operation = router.find(method, pathname.replace(/(.)\/$/, "$1"))?.operation;
  expect(headers.get("x-request-id")).toMatch(/^[0-9a-f]{32}$/);
  if (status >= 400) {
    if (operation?.plainErrors && !body) return;
    expect(errorSchema.strict().parse(body)).toEqual(body);
    expect(body).toMatchObject({ code: status, request_id: headers.get("x-request-id") });
    return;
  }
  if (!operation) return;
  const reply = operation.replies?.[status];
  if (reply) {
    if (reply.schema && !reply.contentType) expect(reply.schema.parse(body)).toEqual(body);
    else if (reply.contentType) expect(headers.get("content-type")).toContain(reply.contentType);
    return;
  }
  expect(status).toBe(operation.status);
  if (!operation.response) expect(text).toBe("");
  // What the schema does not name would be gone after parsing.
  else expect(operation.response.parse(body)).toEqual(body);
}
