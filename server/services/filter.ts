import { Prisma } from "@/server/db";
import { ServiceError } from "./errors";

export const filterOperators = ["eq", "neq", "in", "nin", "lte", "gte", "like"] as const;
export type FilterOperator = (typeof filterOperators)[number];

/** One condition on a list, as an application put it. */
export interface Filter {
  field: string;
  /** The name of a custom attribute. */
  key?: string;
  operator: FilterOperator;
  value: string;
}

/** What a field is to the database, and what may be asked of it. */
export interface FilterField {
  sql: Prisma.Sql;
  /** How the text of a condition is read: times become milliseconds since 1970. */
  kind: "text" | "integer" | "boolean" | "time" | "attribute";
  operators: readonly FilterOperator[];
  /** Turns the value asked for into the one that is kept. */
  stored?: (value: string) => string;
}

export type FilterFields = Readonly<Record<string, FilterField>>;

/** Operators of the kinds of fields in Pelion's lists. */
export const EQUALITY = ["eq", "neq"] as const;
export const MEMBERSHIP = ["eq", "neq", "in", "nin"] as const;
export const RANGE = ["eq", "neq", "in", "nin", "lte", "gte"] as const;

/** Values of one condition; a request line holds no more anyway. */
const MAX_VALUES = 1000;

/** Turns conditions into SQL in which every value is a bound parameter; the result starts with " AND " or is empty. */
export function compileFilters(fields: FilterFields, filters: readonly Filter[]): Prisma.Sql {
  if (filters.length === 0) return Prisma.empty;
  return Prisma.sql` AND ${Prisma.join(
    filters.map((filter) => condition(fields, filter)),
    " AND ",
  )}`;
}

function condition(fields: FilterFields, filter: Filter): Prisma.Sql {
  const { operator, value } = filter;
  const field = Object.hasOwn(fields, filter.field) ? fields[filter.field] : undefined;
  if (!field) throw invalid(filter, "is not a field to filter by");
  if (!field.operators.includes(operator))
    throw invalid(filter, `takes ${field.operators.map((name) => `__${name}`).join(", ")}`);
  if (field.kind === "attribute") {
    if (!filter.key) throw invalid(filter, "needs the name of an attribute");
    // Both stand in the text side by side, as JSON.stringify writes them; few other rows are worth parsing.
    const pair = `${JSON.stringify(filter.key)}:${JSON.stringify(value)}`;
    // The name is compared as a value: in a JSON path it would have to be quoted.
    return Prisma.sql`(instr(${field.sql}, ${pair}) > 0
      AND EXISTS (SELECT 1 FROM json_each(${field.sql}) WHERE "key" = ${filter.key} AND "value" = ${value}))`;
  }
  const bound = (text: string) => bind(filter, field, text.trim());
  switch (operator) {
    case "eq":
      return Prisma.sql`${field.sql} = ${bound(value)}`;
    case "neq":
      return Prisma.sql`(${field.sql} IS NULL OR ${field.sql} <> ${bound(value)})`;
    case "lte":
      return Prisma.sql`${field.sql} <= ${bound(value)}`;
    case "gte":
      return Prisma.sql`${field.sql} >= ${bound(value)}`;
    case "like":
      return Prisma.sql`LOWER(${field.sql}) LIKE ${`%${value.toLowerCase().replace(/[\\%_]/g, "\\$&")}%`} ESCAPE '\\'`;
    case "in":
    case "nin": {
      const values = value.split(",");
      if (values.length > MAX_VALUES) throw invalid(filter, `may have at most ${MAX_VALUES} values`);
      const list = Prisma.join(values.map(bound));
      return operator === "in"
        ? Prisma.sql`${field.sql} IN (${list})`
        : Prisma.sql`(${field.sql} IS NULL OR ${field.sql} NOT IN (${list}))`;
    }
  }
}

function bind(filter: Filter, { kind, stored }: FilterField, text: string): string | number {
  switch (kind) {
    case "integer": {
      if (!/^-?\d{1,15}$/.test(text)) throw invalid(filter, "must be a whole number");
      return Number(text);
    }
    case "boolean": {
      const word = text.toLowerCase();
      if (word !== "true" && word !== "false") throw invalid(filter, "must be true or false");
      return word === "true" ? 1 : 0;
    }
    case "time": {
      const at = parseTime(text);
      if (at === null) throw invalid(filter, "must be a time such as 2026-01-31T12:00:00.000Z");
      return at;
    }
    default:
      return stored ? stored(text) : text;
  }
}

const invalid = ({ field, key, operator }: Filter, message: string) => {
  const name = `${key ? `${field}__${key}` : field}${operator === "eq" ? "" : `__${operator}`}`;
  return new ServiceError("validation_error", `${name}: ${message}`, [{ name, message }]);
};

const TIME =
  /^(\d{4})-?(\d\d)-?(\d\d)(?:[Tt ](\d\d):?(\d\d):?(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):?(\d\d))?)?$/;

/** Milliseconds since 1970 of a date-time (RFC 3339, or compact as in 20161130T162512Z) or a date; null for anything else. */
export function parseTime(text: string): number | null {
  const match = TIME.exec(text);
  if (!match) return null;
  const [, year, month, day, hour = "00", minute = "00", second = "00", fraction = "", , sign, offH, offM] =
    match;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.padEnd(3, "0").slice(0, 3)}Z`;
  const at = Date.parse(iso);
  // Date takes February 30th for March 2nd.
  if (Number.isNaN(at) || new Date(at).getUTCDate() !== Number(day)) return null;
  if (!sign) return at;
  const offset = (Number(offH) * 60 + Number(offM)) * 60_000;
  return sign === "+" ? at - offset : at + offset;
}
