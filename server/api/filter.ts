import type { Filter, FilterFields, FilterOperator } from "@/server/services/filter";
import { failure } from "./errors";

const CONDITION = /^([a-z][a-z0-9_]*?)(?:__([a-z]+))?$/;
const OPERATORS: ReadonlySet<string> = new Set<FilterOperator>([
  "eq",
  "neq",
  "in",
  "nin",
  "lte",
  "gte",
  "like",
]);
/** A field whose conditions name an attribute: `custom_attributes__colour=red`. */
const ATTRIBUTES = "custom_attributes__";

/**
 * Reads the conditions of a query in both of Pelion's syntaxes: `?state__eq=registered`, and
 * `?filter=state%3Dregistered`, where a bare name means equality.
 */
export function parseFilters(query: URLSearchParams, fields: FilterFields): Filter[] {
  const filters: Filter[] = [];
  for (const [name, value] of query) {
    if (name === "filter") filters.push(...parseFilter(value, fields));
    // Other parameters that are no field are somebody else's, unless they look like a condition.
    else if (name.includes("__") || Object.hasOwn(fields, name)) filters.push(condition(name, value, fields));
  }
  return filters;
}

/** Reads a filter as it is saved: `state=registered&custom_attributes__colour=red`. */
export function parseFilter(text: string, fields: FilterFields): Filter[] {
  return text
    .split("&")
    .filter((part) => part.trim() !== "")
    .map((part) => {
      const equals = part.indexOf("=");
      if (equals < 0) throw failure(400, "validation_error", `filter: “${part}” is no condition`);
      return condition(decode(part.slice(0, equals).trim()), decode(part.slice(equals + 1)), fields);
    });
}

function condition(name: string, value: string, fields: FilterFields): Filter {
  if (name.startsWith(ATTRIBUTES) && Object.hasOwn(fields, "custom_attributes")) {
    const key = name.slice(ATTRIBUTES.length).replace(/__eq$/, "");
    const other = /__(neq|in|nin|lte|gte|like)$/.exec(key);
    if (!key || other)
      throw failure(400, "validation_error", `${name}: custom attributes can only be compared for equality`);
    return { field: "custom_attributes", key, operator: "eq", value };
  }
  const [, field = "", operator = "eq"] = CONDITION.exec(name) ?? [];
  if (!OPERATORS.has(operator) || !Object.hasOwn(fields, field))
    throw failure(400, "validation_error", `${name}: is no condition that this list knows`);
  return { field, operator: operator as FilterOperator, value };
}

/** Some clients encode the values of a filter once more; a text that is not encoded stays what it is. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The parameters of the direct syntax, for the OpenAPI document. */
export function filterNames(fields: FilterFields): string[] {
  return Object.entries(fields).flatMap(([field, { kind, operators }]) =>
    kind === "attribute" ? [] : operators.map((operator) => `${field}__${operator}`),
  );
}
