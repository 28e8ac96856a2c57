import { OpenAPIHono } from "@hono/zod-openapi";
import { errorSchema } from "./errors";
import { filterNames } from "./filter";
import type { Operation } from "./operation";
import { operations } from "./operations";
import { z } from "./zod";

const SECURITY = "ApiKey";

/** The OpenAPI 3.1 document, from the same schemas that check requests. */
export function openApiDocument(version: string) {
  const app = new OpenAPIHono();
  const registry = app.openAPIRegistry;
  registry.registerComponent("securitySchemes", SECURITY, {
    type: "http",
    scheme: "bearer",
    description: "An API key: `Authorization: Bearer ak_1…`",
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
  const { method, path, tag, summary, params, query, body, filters, status, response, plainErrors } =
    operation;
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
    security: [{ [SECURITY]: [] }],
    request: {
      ...(params && { params: params as z.ZodObject }),
      ...(first && { query: second ? first.extend(second.shape) : first }),
      ...(body && { body: { required: true, content: { "application/json": { schema: body } } } }),
    },
    responses: {
      [status]: {
        description: status === 204 ? "Done." : status === 201 ? "Made." : "What was asked for.",
        ...(response && { content: { "application/json": { schema: response } } }),
      },
      400: { description: "The request is not valid.", ...error },
      401: { description: "There is no valid API key in the request.", ...envelope },
      ...(params && { 404: { description: "There is no such thing in this account.", ...error } }),
      ...((body || method === "delete") && {
        403: { description: "The key may not do this, or a limit is reached.", ...error },
      }),
      ...(body && { 409: { description: "Something with this name is there already.", ...error } }),
      429: { description: "Too many requests; `Retry-After` says when to come back.", ...envelope },
    },
  };
}

const operationId = ({ method, path }: Operation) =>
  [method, ...path.split("/").filter(Boolean)]
    .map((word) => word.replace(/[{}]/g, ""))
    .join("_")
    .replaceAll("-", "_");
