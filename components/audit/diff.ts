type State = Readonly<Record<string, unknown>> | null;

/** A field that a change is about; null where it was not, or is no more. */
export interface Change {
  field: string;
  was: string | null;
  is: string | null;
}

/** What is different between two states; of something that was made or deleted, everything that it had. */
export function changes(
  before: State,
  after: State,
  /** What things are called, by the IDs that stand for them. */
  names: Readonly<Record<string, string>> = {},
): Change[] {
  const was = flatten(before ?? {}, names);
  const is = flatten(after ?? {}, names);
  return [...new Set([...was.keys(), ...is.keys()])]
    .map((field) => ({ field, was: was.get(field) ?? null, is: is.get(field) ?? null }))
    .filter((change) => change.was !== change.is);
}

/** Fields by their names, those of an object inside as "attributes: colour". */
function flatten(state: object, names: Readonly<Record<string, string>>, prefix = ""): Map<string, string> {
  const show = (value: unknown) => (typeof value === "string" && names[value]) || plain(value);
  const fields = new Map<string, string>();
  for (const [name, value] of Object.entries(state)) {
    const field = prefix ? `${prefix}: ${name}` : words(name);
    if (value === null || value === undefined || value === "") continue;
    if (Array.isArray(value)) {
      if (value.length > 0) fields.set(field, value.map(show).join(", "));
    } else if (typeof value === "object") {
      for (const [inner, text] of flatten(value, names, field)) fields.set(inner, text);
    } else fields.set(field, show(value));
  }
  return fields;
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

function plain(value: unknown): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "object") return JSON.stringify(value);
  const text = String(value);
  return TIME.test(text) ? `${text.slice(0, 19).replace("T", " ")} UTC` : text;
}

/** "expiresAt" and "object_type" as words. */
export const words = (name: string): string =>
  name
    .replace(/([a-z\d])([A-Z])/g, "$1 $2")
    .replaceAll(/[_-]/g, " ")
    .toLowerCase();
