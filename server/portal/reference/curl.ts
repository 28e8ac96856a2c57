import type { Document, DocumentOperation, Schema } from "./document";
import { example } from "./schema";

/** A command that makes the request; what only its reader knows stands in capitals. */
export function curl(
  document: Document,
  { method, path, source }: { method: string; path: string; source: DocumentOperation },
  /** Origin of this instance, and values of parameters that are known. */
  { origin, known = {} }: { origin: string; known?: Readonly<Record<string, string>> },
): string {
  const components = document.components?.schemas ?? {};
  const filled = path.replace(/\{([^}]+)\}/g, (_, name: string) => known[name] ?? placeholder(name));
  const query = (source.parameters ?? [])
    .filter((parameter) => parameter.in === "query" && parameter.required)
    .map(({ name, schema }) => `${name}=${encodeURIComponent(queryValue(name, schema, document))}`);
  const target = `${origin}${filled}${query.length > 0 ? `?${query.join("&")}` : ""}`;
  const lines = [
    `${method === "GET" ? "curl" : `curl -X ${method}`}${isStream(source) ? " -N" : ""} ${quote(target)}`,
    '-H "Authorization: Bearer $GANGWAY_KEY"',
    ...bodyLines(source, components),
  ];
  return lines.join(" \\\n  ");
}

function bodyLines(
  source: DocumentOperation,
  components: NonNullable<NonNullable<Document["components"]>["schemas"]>,
): string[] {
  const [media] = Object.entries(source.requestBody?.content ?? {});
  if (!media) return [];
  const [contentType, { schema = {} }] = media;
  if (contentType === "multipart/form-data") {
    const fields = Object.entries(schema.properties ?? {});
    const needed = fields.filter(([name]) => schema.required?.includes(name) ?? true);
    return (needed.length > 0 ? needed : [["file", {}] as const]).map(([name, of]) =>
      (of as Schema).format === "binary" || (of as Schema).type !== "string"
        ? `-F ${name}=@FILE`
        : `-F ${quote(`${name}=…`)}`,
    );
  }
  const header = `-H ${quote(`Content-Type: ${contentType}`)}`;
  if (!/json$/.test(contentType))
    return [header, contentType.startsWith("text/") ? "-d 21.5" : "--data-binary @FILE"];
  return [header, `-d ${quote(JSON.stringify(example(schema, components)))}`];
}

const isStream = ({ responses }: DocumentOperation) =>
  Object.values(responses).some(({ content }) => content && "text/event-stream" in content);

/** "device-id" and "device_id" become DEVICE_ID. */
const placeholder = (name: string): string =>
  name === "resource_path" || name === "resourcePath"
    ? "3303/0/5700"
    : name
        .replaceAll("-", "_")
        .replace(/([a-z])([A-Z])/g, "$1_$2")
        .toUpperCase();

function queryValue(name: string, schema: Schema | undefined, document: Document): string {
  const value = schema && example(schema, document.components?.schemas ?? {});
  return value === undefined || value === "…"
    ? name === "async-id"
      ? "my-request-1"
      : placeholder(name)
    : String(value);
}

/** For a shell of any kind that knows single quotes. */
const quote = (text: string): string =>
  /^[\w\-./:@=,+%]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
