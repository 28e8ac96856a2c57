import type { Config } from "@/server/config";
import type { Actor, Context } from "@/server/services/context";
import type { Filter, FilterFields } from "@/server/services/filter";
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
}

/** One method of one path: what it takes, what it answers, and how. */
export interface Operation<P = unknown, Q = unknown, B = unknown> {
  method: "get" | "post" | "put" | "delete";
  /** In OpenAPI's form: `/v3/devices/{id}`. */
  path: string;
  tag: string;
  summary: string;
  params?: z.ZodType<P>;
  query?: z.ZodType<Q>;
  body?: z.ZodType<B>;
  /** Fields that the list can be filtered by. */
  filters?: FilterFields;
  status: 200 | 201 | 204;
  response?: z.ZodType;
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
    handle(call: Call<z.output<P>, z.output<Q>, z.output<B>>): Promise<z.input<R>>;
  },
): Operation {
  return declared as unknown as Operation;
}
