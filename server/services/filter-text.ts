import { ServiceError } from "./errors";
import { type Filter, type FilterFields, type FilterOperator, filterOperators } from "./filter";

const CONDITION = /^([a-z][a-z0-9_]*?)(?:__([a-z]+))?$/;
const OPERATORS: ReadonlySet<string> = new Set(filterOperators);
/** A field whose conditions name an attribute: `custom_attributes__colour=red`. */
const ATTRIBUTES = "custom_attributes__";

/** Reads a filter as it is saved: `state=registered&custom_attributes__colour=red`. */
export function readFilter(text: string, fields: FilterFields): Filter[] {
  return text
    .split("&")
    .filter((part) => part.trim() !== "")
    .map((part) => {
      const equals = part.indexOf("=");
      if (equals < 0) throw invalid("filter", `“${part}” is no condition`);
      return readCondition(decode(part.slice(0, equals).trim()), decode(part.slice(equals + 1)), fields);
    });
}

/** Reads one condition: a field, where need be with an operator, and what is asked of it. */
export function readCondition(name: string, value: string, fields: FilterFields): Filter {
  if (name.startsWith(ATTRIBUTES) && Object.hasOwn(fields, "custom_attributes")) {
    const key = name.slice(ATTRIBUTES.length).replace(/__eq$/, "");
    const other = /__(neq|in|nin|lte|gte|like)$/.exec(key);
    if (!key || other) throw invalid(name, "custom attributes can only be compared for equality");
    return { field: "custom_attributes", key, operator: "eq", value };
  }
  const [, field = "", operator = "eq"] = CONDITION.exec(name) ?? [];
  if (!OPERATORS.has(operator) || !Object.hasOwn(fields, field)) throw unknownParameter(name);
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

/** Somebody asks for something that is not known: to ignore it would be to answer another question. */
const unknownParameter = (name: string) =>
  invalid(name.slice(0, 100), "is no parameter or condition that is known here");

const invalid = (name: string, message: string) =>
  new ServiceError("validation_error", `${name}: ${message}`, [{ name, message }]);
