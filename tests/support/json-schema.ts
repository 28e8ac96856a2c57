import fc from "fast-check";

/** What of JSON Schema our own OpenAPI document uses. */
export interface JsonSchema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  format?: string;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  items?: JsonSchema;
  minItems?: number;
  maxItems?: number;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: boolean | JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
}

export type Schemas = Readonly<Record<string, JsonSchema>>;

const resolve = (schema: JsonSchema, schemas: Schemas): JsonSchema => {
  const found = schema.$ref && schemas[schema.$ref.replace("#/components/schemas/", "")];
  return found ? resolve(found, schemas) : schema;
};
const typesOf = ({ type }: JsonSchema): string[] => (type === undefined ? [] : [type].flat());

/** What a value has that its schema does not allow; an object may have no member that is not declared. */
export function complaints(given: JsonSchema, value: unknown, schemas: Schemas, at = "$"): string[] {
  const schema = resolve(given, schemas);
  const wrong = (words: string) => [`${at}: ${words}, not ${JSON.stringify(value)?.slice(0, 80)}`];
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) {
    const all = choices.map((one) => complaints(one, value, schemas, at));
    return all.some((one) => one.length === 0) ? [] : (all[0] ?? []);
  }
  if (schema.allOf) {
    const merged = schema.allOf.map((one) => resolve(one, schemas));
    const properties = Object.assign({}, ...merged.map((one) => one.properties ?? {}));
    return merged.flatMap((one) =>
      complaints(one.properties ? { ...one, properties } : one, value, schemas, at),
    );
  }
  if (schema.const !== undefined) return value === schema.const ? [] : wrong(`has to be ${schema.const}`);
  const types = typesOf(schema);
  if (types.length > 0 && !types.some((type) => isOf(type, value)))
    return wrong(`has to be ${types.join(" or ")}`);
  if (schema.enum && !schema.enum.includes(value)) return wrong(`has to be one of ${schema.enum.join(", ")}`);
  if (typeof value === "string") {
    if (schema.pattern && !new RegExp(schema.pattern).test(value))
      return wrong(`has to match ${schema.pattern}`);
    if (value.length < (schema.minLength ?? 0)) return wrong("is too short");
    if (value.length > (schema.maxLength ?? Number.POSITIVE_INFINITY)) return wrong("is too long");
    if (schema.format === "date-time" && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value))
      return wrong("has to be a time with milliseconds and Z");
    if (schema.format === "date" && !/^\d{4}-\d\d-\d\d$/.test(value)) return wrong("has to be a day");
  }
  if (typeof value === "number") {
    if (value < (schema.minimum ?? Number.NEGATIVE_INFINITY)) return wrong("is too small");
    if (value > (schema.maximum ?? Number.POSITIVE_INFINITY)) return wrong("is too large");
  }
  if (Array.isArray(value)) {
    const { items } = schema;
    return items ? value.flatMap((item, n) => complaints(items, item, schemas, `${at}[${n}]`)) : [];
  }
  if (typeof value !== "object" || value === null) return [];
  const { properties = {}, required = [], additionalProperties } = schema;
  return [
    ...required.filter((name) => !Object.hasOwn(value, name)).map((name) => `${at}: lacks ${name}`),
    ...Object.entries(value).flatMap(([name, member]) => {
      const inner = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
      if (inner === true || (inner === undefined && !schema.properties)) return [];
      return inner ? complaints(inner, member, schemas, `${at}.${name}`) : [`${at}: has ${name}`];
    }),
  ];
}

function isOf(type: string, value: unknown): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

/** Values that a schema allows, as far as the schema tells. */
export function valuesOf(given: JsonSchema, schemas: Schemas, depth = 0): fc.Arbitrary<unknown> {
  const schema = resolve(given, schemas);
  const inner = (one: JsonSchema) => valuesOf(one, schemas, depth + 1);
  if (depth > 8) return fc.constant(null);
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return fc.oneof(...choices.map(inner));
  if (schema.allOf) return inner(schema.allOf[0] ?? {});
  const types = typesOf(schema);
  if (types.length === 0) return fc.jsonValue({ maxDepth: 2 });
  return fc.oneof(...types.map((type) => valuesOfType(type, schema, inner)));
}

function valuesOfType(
  type: string,
  schema: JsonSchema,
  inner: (schema: JsonSchema) => fc.Arbitrary<unknown>,
): fc.Arbitrary<unknown> {
  switch (type) {
    case "null":
      return fc.constant(null);
    case "boolean":
      return fc.boolean();
    case "integer":
      return fc.integer({ min: schema.minimum ?? -1000, max: Math.min(schema.maximum ?? 1000, 2 ** 31 - 1) });
    case "number":
      return fc.double({ min: schema.minimum ?? -1e6, max: schema.maximum ?? 1e6, noNaN: true });
    case "array":
      return fc.array(inner(schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 4, Math.max(schema.minItems ?? 0, 4)),
      });
    case "object": {
      const { properties = {}, required = [], additionalProperties } = schema;
      const members = fc.record(
        Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, inner(one)])),
        { requiredKeys: required.filter((name) => Object.hasOwn(properties, name)), noNullPrototype: true },
      );
      if (!additionalProperties || additionalProperties === true) return members;
      const more = fc.dictionary(fc.string({ maxLength: 12 }), inner(additionalProperties), { maxKeys: 4 });
      return fc.tuple(members, more).map(([declared, others]) => ({ ...others, ...declared }));
    }
    default:
      return textsOf(schema);
  }
}

function textsOf({ format, pattern, minLength = 0, maxLength = 40 }: JsonSchema): fc.Arbitrary<string> {
  if (format === "date-time")
    return fc
      .date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
      .map((date) => date.toISOString());
  if (format === "date")
    return fc
      .date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
      .map((date) => date.toISOString().slice(0, 10));
  if (format === "byte") return fc.base64String({ maxLength: 64 });
  if (pattern && !/\(\?/.test(pattern)) return fc.stringMatching(new RegExp(pattern));
  return fc.string({ unit: "grapheme", minLength, maxLength: Math.min(maxLength, Math.max(minLength, 40)) });
}
