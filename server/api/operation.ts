import type { Config } from "@/server/config";
import type { Actor, Context, Scope } from "@/server/services/context";
import type { Filter, FilterFields } from "@/server/services/filter";
import type { Delivery } from "./notification/delivery";
import type { EventStreams } from "./notification/event-streams";
import type { z } from "./zod";

type ApiKeyActor = Extract<Actor, { kind: "apiKey" }>;

/** What a handler gets: its input is checked, its actor is known. */
export interface Call<P, Q, B> {
  ctx: Context & { actor: ApiKeyActor };
  config: Config;
  params: P;
  query: Q;
  body: B;
  filters: Filter[];
  /** What came with the request, for operations that take no JSON. */
  raw: { body: Uint8Array; contentType: string | null; header(name: string): string | null };
  /** Aborted when the client goes before it has its answer. */
  signal: AbortSignal;
  /** Whether the answer was written as a whole and its connection has not failed since; to be taken now and asked later. */
  delivered: () => boolean;
  /** Brings notifications to the applications. */
  delivery: Delivery;
  /** Streams of what happens. */
  streams: EventStreams;
}

/** An answer other than the declared status with JSON: text, bytes, a stream, another status or headers. */
export class Reply {
  constructor(
    readonly status: number,
    /** Undefined: no body. A string or bytes go as they are, a stream as it comes, anything else as JSON. */
    readonly body?: unknown,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {}
}

/** One method of one path: what it takes, what it answers, and how. */
export interface Operation<P = unknown, Q = unknown, B = unknown> {
  method: "get" | "post" | "put" | "delete";
  /** In OpenAPI's form: `/v3/devices/{id}`; a parameter called `resource_path` takes any number of segments. */
  path: string;
  /** What a key must be allowed to. */
  scope: Scope;
  tag: string;
  summary: string;
  params?: z.ZodType<P>;
  query?: z.ZodType<Q>;
  body?: z.ZodType<B>;
  /** Takes bytes of these media types (`call.raw`) instead of JSON. */
  rawBody?: { contentTypes: readonly string[]; required?: boolean };
  /** Bytes its body may have, where that is not what every body may have. */
  maxBody?: number;
  /** Fields that the list can be filtered by. */
  filters?: FilterFields;
  status: 101 | 200 | 201 | 202 | 204;
  response?: z.ZodType;
  /** What else it may answer (by a Reply), by status, beside the errors that every operation has. */
  replies?: Readonly<Record<number, { description: string; contentType?: string; schema?: z.ZodType }>>;
  /** Errors are a word of plain text, as in Connect (/v2). */
  plainErrors?: boolean;
  handle(call: Call<P, Q, B>): Promise<unknown>;
}

/** Declares an operation; its handler has to answer what the response schema says. */
export function operation<
  P extends z.ZodType = z.ZodType<undefined>,
  Q extends z.ZodType = z.ZodType<undefined>,
  B extends z.ZodType = z.ZodType<undefined>,
  R extends z.ZodType = z.ZodType<void>,
>(
  declared: Omit<
    Operation<z.output<P>, z.output<Q>, z.output<B>>,
    "params" | "query" | "body" | "response" | "handle"
  > & {
    params?: P;
    query?: Q;
    body?: B;
    response?: R;
    handle(call: Call<z.output<P>, z.output<Q>, z.output<B>>): Promise<z.input<R> | Reply>;
  },
): Operation {
  return declared as unknown as Operation;
}
