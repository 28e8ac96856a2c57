import { resourceDefinition } from "./definitions";
import { ContentError } from "./errors";
import { type Path, pathLevel } from "./paths";
import { decodeUtf8 } from "./tlv";
import {
  boolean,
  type ContentValue,
  checkType,
  fromBase64,
  numeric,
  opaque,
  parseObjlnk,
  type ResourceValue,
  shown,
  string,
} from "./values";

/** Refuses paths that name more than one value: text and opaque carry exactly one. */
function single(path: Path, format: string): void {
  const level = pathLevel(path);
  if (level < 3) throw new ContentError(`${format} cannot carry the content of ${path}.`);
  if (level === 3 && resourceDefinition(path)?.multiple) {
    throw new ContentError(`${format} cannot carry the instances of ${path}.`);
  }
}

/** Reads text/plain [LwM2M-Core 1.1.1 §7.4.1]; without a definition the text is the value, if it is one. */
export function decodeText(payload: Uint8Array, path: Path): ContentValue[] {
  single(path, "Plain text");
  // Pelion's client calls everything text that its application has not called opaque.
  if (!resourceDefinition(path) && !isText(payload)) return [{ path, value: opaque(payload) }];
  const text = decodeUtf8(payload, path);
  return [{ path, value: textValue(text, path) }];
}

function isText(bytes: Uint8Array): boolean {
  return !/[^\P{Cc}\t\r\n]|\uFFFD/u.test(Buffer.from(bytes).toString("utf8"));
}

function textValue(text: string, path: Path): ResourceValue {
  const type = resourceDefinition(path)?.type ?? "string";
  switch (type) {
    case "string":
    case "corelnk":
      return string(text);
    case "integer":
    case "unsigned":
    case "time":
    case "float":
      if (type === "float" && /^[+-]?(nan|inf(inity)?)$/i.test(text)) return { type, value: null };
      return numeric(type, text.trim());
    case "boolean":
      if (text !== "0" && text !== "1") throw new ContentError(`${path}: ${shown(text)} is neither 1 nor 0.`);
      return boolean(text === "1");
    case "opaque":
      return opaque(fromBase64(text.trim()));
    case "objlnk":
      return parseObjlnk(text.trim());
  }
}

/** Writes the one value of a resource as text/plain. */
export function encodeText(values: readonly ContentValue[], path: Path): Uint8Array {
  single(path, "Plain text");
  const value = onlyValue(values, path);
  const text =
    value.type === "boolean"
      ? value.value
        ? "1"
        : "0"
      : value.type === "float"
        ? String(value.value ?? Number.NaN)
        : value.value;
  return new Uint8Array(Buffer.from(text, "utf8"));
}

/** Reads application/octet-stream [LwM2M-Core 1.1.1 §7.4.2]. */
export function decodeOpaque(payload: Uint8Array, path: Path): ContentValue[] {
  single(path, "Opaque");
  const type = resourceDefinition(path)?.type;
  if (type && type !== "opaque") throw new ContentError(`${path} is not an opaque resource.`);
  return [{ path, value: opaque(payload) }];
}

/** Writes the one value of an opaque resource as its bytes. */
export function encodeOpaque(values: readonly ContentValue[], path: Path): Uint8Array {
  single(path, "Opaque");
  const value = onlyValue(values, path);
  if (value.type !== "opaque") throw new ContentError(`${path} is not an opaque resource.`);
  return fromBase64(value.value);
}

function onlyValue(values: readonly ContentValue[], path: Path): ResourceValue {
  const [one] = values;
  if (!one || values.length > 1 || one.path !== path) {
    throw new ContentError(`Exactly one value is needed for ${path}.`);
  }
  checkType(path, one.value);
  return one.value;
}
