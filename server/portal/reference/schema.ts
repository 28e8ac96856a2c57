import type { Document, Schema } from "./document";

/** A schema as a person reads it. */
export interface SchemaView {
  /** "text", "list of Device", "number or null". */
  type: string;
  description: string | null;
  /** The words it may be. */
  choices: string[];
  /** Its limits: "at most 100 characters". */
  limits: string[];
  /** Of an object, or of the items of a list. */
  fields: FieldView[];
  /** Where it has one of several shapes. */
  variants: SchemaView[];
}

export interface FieldView extends SchemaView {
  name: string;
  required: boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  string: "text",
  integer: "integer",
  number: "number",
  boolean: "true or false",
  null: "null",
  object: "object",
};
const FORMATS: Readonly<Record<string, string>> = {
  "date-time": "time",
  date: "date",
  uri: "address",
  binary: "bytes",
  byte: "base64",
};
/** What the patterns that occur most say in words. */
const PATTERNS: Readonly<Record<string, string>> = {
  "^[0-9a-f]{32}$": "32 hexadecimal characters",
};

type Components = NonNullable<NonNullable<Document["components"]>["schemas"]>;

const nameOf = (ref: string) => ref.slice(ref.lastIndexOf("/") + 1);

/** Follows references; `names` are those that were followed on the way here. */
export function resolve(schema: Schema, components: Components): { schema: Schema; name: string | null } {
  let found = schema;
  let name: string | null = null;
  // A reference to itself would go on for ever.
  for (let hops = 0; found.$ref && hops < 10; hops++) {
    name = nameOf(found.$ref);
    found = components[name] ?? {};
  }
  return { schema: found, name };
}

/** Makes a schema readable; a component inside itself is only named. */
export function viewSchema(
  given: Schema,
  components: Components,
  inside: ReadonlySet<string> = new Set(),
): SchemaView {
  const { schema, name } = resolve(given, components);
  const description = given.description ?? schema.description ?? null;
  const view = (type: string, rest: Partial<SchemaView> = {}): SchemaView => ({
    type,
    description,
    choices: [],
    limits: [],
    fields: [],
    variants: [],
    ...rest,
  });
  if (name && inside.has(name)) return view(name);
  const within = name ? new Set([...inside, name]) : inside;

  const options = schema.anyOf ?? schema.oneOf;
  if (options) return viewOptions(options, schema, components, within, view, name);
  if (schema.allOf) {
    const fields = schema.allOf.flatMap((part) => viewSchema(part, components, within).fields);
    return view(name ?? "object", { fields });
  }

  const types = [schema.type ?? []].flat();
  const nullable = types.includes("null") || schema.enum?.includes(null);
  const orNull = (type: string) => (nullable && type !== "null" ? `${type} or null` : type);
  const type = types.find((one) => one !== "null") ?? (schema.properties ? "object" : types[0]);
  if (type === "array") {
    const items = viewSchema(schema.items ?? {}, components, within);
    return view(orNull(`list of ${items.type}`), {
      description: description ?? items.description,
      choices: items.choices,
      limits: [...lengths(schema.minItems, schema.maxItems, "item"), ...items.limits],
      fields: items.fields,
      variants: items.variants,
    });
  }
  if (type === "object") {
    const required = new Set(schema.required);
    const fields = Object.entries(schema.properties ?? {}).map(
      ([field, of]): FieldView => ({
        ...viewSchema(of, components, within),
        name: field,
        required: required.has(field),
      }),
    );
    const values = schema.additionalProperties;
    if (fields.length === 0 && typeof values === "object") {
      const of = viewSchema(values, components, within);
      return view(orNull(`object of ${of.type}`), { choices: of.choices, fields: of.fields });
    }
    return view(orNull(name ?? "object"), { fields });
  }
  return view(orNull(scalar(schema, type)), { choices: choices(schema), limits: limits(schema) });
}

function viewOptions(
  options: Schema[],
  schema: Schema,
  components: Components,
  within: ReadonlySet<string>,
  view: (type: string, rest?: Partial<SchemaView>) => SchemaView,
  name: string | null,
): SchemaView {
  const views = options.map((option) => viewSchema(option, components, within));
  const shapes = views.filter(({ type }) => type !== "null");
  const nullable = shapes.length < views.length;
  const types = [...new Set(shapes.map(({ type }) => type)), ...(nullable ? ["null"] : [])];
  const [only] = shapes;
  if (only && shapes.length === 1) return { ...only, ...view(types.join(" or "), rest(only)) };
  const plain = shapes.every(({ fields, variants }) => fields.length + variants.length === 0);
  if (plain)
    return view(types.join(" or "), {
      choices: [...new Set(shapes.flatMap((shape) => shape.choices))],
      limits: [...new Set([...shapes.flatMap((shape) => shape.limits), ...limits(schema)])],
    });
  return view(name ?? types.join(" or "), { variants: shapes });
}

/** Everything of a view but its type and, where the outer one has its own, its description. */
const rest = ({ choices, limits, fields, variants, description }: SchemaView): Partial<SchemaView> => ({
  choices,
  limits,
  fields,
  variants,
  ...(description && { description }),
});

function scalar(schema: Schema, type: string | undefined): string {
  if (schema.contentEncoding === "base64") return "base64";
  const format = schema.format && FORMATS[schema.format];
  if (format) return format;
  const values = choices(schema);
  if (!type && values.length > 0) return "text";
  return type ? (TYPES[type] ?? type) : "anything";
}

const choices = (schema: Schema): string[] =>
  (schema.enum ?? (schema.const === undefined ? [] : [schema.const]))
    .filter((value) => value !== null)
    .map((value) => String(value));

function limits(schema: Schema): string[] {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, pattern } = schema;
  const known = (value: number | undefined) =>
    value !== undefined && Math.abs(value) < Number.MAX_SAFE_INTEGER;
  return [
    known(minimum) && known(maximum)
      ? `${minimum} to ${maximum}`
      : known(minimum)
        ? `at least ${minimum}`
        : known(maximum)
          ? `at most ${maximum}`
          : "",
    known(exclusiveMinimum) ? `more than ${exclusiveMinimum}` : "",
    known(exclusiveMaximum) ? `less than ${exclusiveMaximum}` : "",
    ...lengths(schema.minLength, schema.maxLength, "character"),
    pattern && !schema.format ? (PATTERNS[pattern] ?? `like ${pattern}`) : "",
    schema.default === undefined ? "" : `default ${JSON.stringify(schema.default)}`,
  ].filter(Boolean);
}

function lengths(min: number | undefined, max: number | undefined, one: string): string[] {
  const many = (count: number) => `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;
  if (min && max) return [min === max ? many(min) : `${min.toLocaleString("en")} to ${many(max)}`];
  if (max) return [`at most ${many(max)}`];
  // One character at least: it must not be empty, which "required" says already.
  return min && min > 1 ? [`at least ${many(min)}`] : [];
}

/** A value that fits: its own example where it has one. */
export function example(given: Schema, components: Components, depth = 0): unknown {
  const { schema } = resolve(given, components);
  const own = given.example ?? schema.example ?? schema.examples?.[0] ?? schema.default ?? schema.const;
  if (own !== undefined) return own;
  const [choice] = schema.enum ?? [];
  if (choice !== undefined) return choice;
  const options = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (options?.[0]) return example(options[0], components, depth);
  const type = [schema.type ?? []].flat().find((one) => one !== "null");
  switch (type) {
    case "integer":
    case "number":
      return schema.minimum ?? 1;
    case "boolean":
      return true;
    case "array":
      return depth > 4 || !schema.items ? [] : [example(schema.items, components, depth + 1)];
    case "object":
      return depth > 4 ? {} : exampleObject(schema, components, depth);
    default:
      return schema.format === "date-time" ? "2026-01-31T12:00:00.000Z" : "…";
  }
}

/** With what is required; where nothing is, with the first fields. */
function exampleObject(schema: Schema, components: Components, depth: number): Record<string, unknown> {
  const all = Object.entries(schema.properties ?? {});
  const needed = all.filter(([name]) => schema.required?.includes(name));
  return Object.fromEntries(
    (needed.length > 0 ? needed : all.slice(0, 2)).map(([name, of]) => [
      name,
      exampleText(name, of, components, depth),
    ]),
  );
}

function exampleText(name: string, of: Schema, components: Components, depth: number): unknown {
  const value = example(of, components, depth + 1);
  return value === "…" ? (WORDS[name] ?? name.replaceAll("_", " ")) : value;
}

/** What stands in an example where the schema has none of its own. */
const WORDS: Readonly<Record<string, string>> = {
  name: "my-name",
  description: "What it is for",
  email: "ada@example.com",
  url: "https://app.example.com/notifications",
};
