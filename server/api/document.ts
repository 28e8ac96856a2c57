import { OpenAPIHono } from "@hono/zod-openapi";
import { errorSchema } from "./errors";
import { filterNames } from "./filter";
import type { Operation } from "./operation";
import { operations as served } from "./operations";
import { z } from "./zod";

const SECURITY = "ApiKey";

/** The OpenAPI 3.1 document, from the same schemas that check requests. */
export function openApiDocument(version: string, operations: readonly Operation[] = served) {
  const app = new OpenAPIHono();
  const registry = app.openAPIRegistry;
  registry.registerComponent("securitySchemes", SECURITY, {
    type: "http",
    scheme: "bearer",
    description: "An API key or access key: `Authorization: Bearer ak_1…`. It may be limited to scopes.",
  });
  for (const operation of operations) registry.registerPath(describe(operation));
  return app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Gangway",
      version,
      description:
        "Device onboarding for LwM2M, in the form of Pelion Device Management's REST API. Trailing slashes do not matter. Lists take their conditions as `field__operator=value` or all together in `filter`.",
    },
    servers: [{ url: "/" }],
  });
}

function describe(operation: Operation): Parameters<OpenAPIHono["openAPIRegistry"]["registerPath"]>[0] {
  const { method, path, tag, scope, summary, params, query, body, rawBody, filters } = operation;
  const { status, response, replies, plainErrors } = operation;
  const filterQuery =
    filters &&
    z.object({
      filter: z
        .string()
        .optional()
        .openapi({ description: "Conditions joined by `&`, encoded: `state=registered`." }),
      ...Object.fromEntries(filterNames(filters).map((name) => [name, z.string().optional()])),
    });
  const error = plainErrors
    ? { content: { "text/plain": { schema: z.string() } } }
    : { content: { "application/json": { schema: errorSchema } } };
  const envelope = { content: { "application/json": { schema: errorSchema } } };
  const parameters = [query, filterQuery].filter((schema) => schema !== undefined) as z.ZodObject[];
  const [first, second] = parameters;
  return {
    method,
    path,
    tags: [tag],
    summary,
    operationId: operationId(operation),
    // From OpenAPI 3.1 on, the roles that a key of any kind must have.
    security: [{ [SECURITY]: [scope] }],
    request: {
      ...(params && { params: params as z.ZodObject }),
      ...(first && { query: second ? first.extend(second.shape) : first }),
      ...(rawBody && {
        body: {
          required: rawBody.required ?? false,
          content: Object.fromEntries(rawBody.contentTypes.map((type) => [type, { schema: z.any() }])),
        },
      }),
      ...(body && { body: { required: true, content: { "application/json": { schema: body } } } }),
    },
    responses: {
      [status]: {
        description: DONE[status],
        ...(response && { content: { "application/json": { schema: response } } }),
      },
      400: { description: "The request is not valid.", ...error },
      401: { description: "There is no valid API key in the request.", ...envelope },
      ...(params && { 404: { description: "There is no such thing in this account.", ...error } }),
      403: {
        description: `The key lacks the scope “${scope}”, may not do this, or a limit is reached.`,
        ...error,
      },
      ...(body && { 409: { description: "Something with this name is there already.", ...error } }),
      ...((body || rawBody) && { 413: { description: "The body is too long.", ...error } }),
      ...(rawBody && { 415: { description: "The body is of a type that is not taken.", ...error } }),
      429: { description: "Too many requests; `Retry-After` says when to come back.", ...envelope },
      ...Object.fromEntries(
        Object.entries(replies ?? {}).map(([status, { description, contentType, schema }]) => [
          status,
          {
            description,
            ...((contentType || schema) && {
              content: { [contentType ?? "application/json"]: { schema: schema ?? z.string() } },
            }),
          },
        ]),
      ),
    },
  };
}

const DONE: Readonly<Record<Operation["status"], string>> = {
  101: "The connection is a WebSocket now.",
  200: "What was asked for.",
  201: "Made.",
  202: "Accepted.",
  204: "Done.",
};

const operationId = ({ method, path }: Operation) =>
  [method, ...path.split("/").filter(Boolean)]
    .map((word) => word.replace(/[{}]/g, ""))
    .join("_")
    .replaceAll("-", "_");
