import type { Filter, FilterFields } from "@/server/services/filter";
import { readCondition, readFilter } from "@/server/services/filter-text";

/**
 * Reads the conditions of a query in both of Pelion's syntaxes: `?state__eq=registered`, and
 * `?filter=state%3Dregistered`, where a bare name means equality.
 */
export function parseFilters(query: URLSearchParams, fields: FilterFields): Filter[] {
  const filters: Filter[] = [];
  for (const [name, value] of query) {
    if (name === "filter") filters.push(...readFilter(value, fields));
    // Other parameters that are no field are somebody else's, unless they look like a condition.
    else if (name.includes("__") || Object.hasOwn(fields, name))
      filters.push(readCondition(name, value, fields));
  }
  return filters;
}

/** The parameters of the direct syntax, for the OpenAPI document. */
export function filterNames(fields: FilterFields): string[] {
  return Object.entries(fields).flatMap(([field, { kind, operators }]) =>
    kind === "attribute" ? [] : operators.map((operator) => `${field}__${operator}`),
  );
}
