import type { Filter, FilterFields } from "@/server/services/filter";
import { readCondition, readFilter } from "@/server/services/filter-text";

/**
 * Reads the conditions of a query in both of Pelion's syntaxes: `?state__eq=registered`, and
 * `?filter=state%3Dregistered`, where a bare name means equality. What is neither a condition nor one of the `others`
 * is refused: whoever mistypes a condition must not get everything.
 */
export function parseFilters(
  query: URLSearchParams,
  fields: FilterFields = {},
  others: readonly string[] = [],
): Filter[] {
  const filters: Filter[] = [];
  for (const [name, value] of query) {
    if (others.includes(name)) continue;
    if (name === "filter") filters.push(...readFilter(value, fields));
    else filters.push(readCondition(name, value, fields));
  }
  return filters;
}

/** The parameters of the direct syntax, for the OpenAPI document. */
export function filterNames(fields: FilterFields): string[] {
  return Object.entries(fields).flatMap(([field, { kind, operators }]) =>
    kind === "attribute" ? [] : operators.map((operator) => `${field}__${operator}`),
  );
}
