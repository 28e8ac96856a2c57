import { resourceDefinition } from "./definitions";
import { ContentError } from "./errors";
import { type Json, JsonNumber, parseJson } from "./json";
import type { Path } from "./paths";
import { decodeUtf8 } from "./tlv";
import { type RawValue, resolveName, stampToMs, typedValue } from "./typed";
import { type ContentValue, fromBase64, shown } from "./values";

const MAX_ENTRIES = 16_384;

/** Reads LwM2M JSON (11543) [LwM2M-Core 1.0 §6.4.4]. */
export function decodeLwm2mJson(
  payload: Uint8Array,
  path: Path,
  { rootPath, now }: { rootPath: string; now: number },
): ContentValue[] {
  const document = parseJson(decodeUtf8(payload, "LwM2M JSON"));
  if (!(document instanceof Map)) throw new ContentError("LwM2M JSON: not an object.");
  const entries = document.get("e");
  if (!Array.isArray(entries)) throw new ContentError('LwM2M JSON: the list "e" is missing.');
  if (entries.length > MAX_ENTRIES) throw new ContentError(`LwM2M JSON: more than ${MAX_ENTRIES} entries.`);
  const baseName = text(document.get("bn"), "bn") ?? "";
  const baseTime = number(document.get("bt"), "bt");
  const seen = new Set<string>();
  return entries.map((entry) => {
    if (!(entry instanceof Map)) throw new ContentError("LwM2M JSON: an entry is not an object.");
    const name = resolveName(baseName + (text(entry.get("n"), "n") ?? ""), path, rootPath);
    const time = number(entry.get("t"), "t");
    const at = timeOf(baseTime ?? 0, time, now);
    const key = `${name} ${at ?? ""}`;
    if (seen.has(key)) throw new ContentError(`LwM2M JSON: ${name} appears twice.`);
    seen.add(key);
    const value = typedValue(rawValue(entry, name), name);
    return at === undefined ? { path: name, value } : { path: name, value, at };
  });
}

/**
 * A base time is seconds since 1970, however small, and "t" counts from it. Without one "t" is a time since 1970, or
 * seconds before now when it is negative. [LwM2M-Core 1.0 §6.4.4; draft-jennings-senml-10 §4]
 */
function timeOf(baseTime: number, time: number | null, now: number): number | undefined {
  if (baseTime !== 0) return stampToMs(baseTime + (time ?? 0));
  if (time === null) return undefined;
  return time > 0 ? stampToMs(time) : stampToMs(time, now);
}

function rawValue(entry: Map<string, Json>, path: Path): RawValue {
  const given = ["v", "bv", "ov", "sv"].filter((field) => entry.has(field));
  if (given.length === 0) throw new ContentError(`LwM2M JSON: no value for ${path}.`);
  if (given.length > 1) throw new ContentError(`LwM2M JSON: ${path} has two values.`);
  const field = given[0]!;
  const value = entry.get(field);
  if (field === "v" && value instanceof JsonNumber) return { kind: "number", text: value.text };
  if (field === "bv" && typeof value === "boolean") return { kind: "boolean", value };
  if (field === "ov" && typeof value === "string") return { kind: "link", text: value };
  if (field === "sv" && typeof value === "string") {
    // Opaque has no field of its own: it is base64 in the text field.
    return resourceDefinition(path)?.type === "opaque"
      ? { kind: "bytes", bytes: fromBase64(value) }
      : { kind: "text", text: value };
  }
  throw new ContentError(`LwM2M JSON: the field ${field} of ${path} has the wrong kind of value.`);
}

function text(value: Json | undefined, field: string): string | null {
  if (value === undefined) return null;
  if (typeof value !== "string") throw new ContentError(`LwM2M JSON: ${field} is not text.`);
  return value;
}

function number(value: Json | undefined, field: string): number | null {
  if (value === undefined) return null;
  if (!(value instanceof JsonNumber)) throw new ContentError(`LwM2M JSON: ${shown(field)} is not a number.`);
  return Number(value.text);
}
