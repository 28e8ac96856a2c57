import { resourceDefinition } from "./definitions";
import { ContentError } from "./errors";
import { formatPath, isWithin, type Path, parsePath } from "./paths";
import {
  boolean,
  exactWhole,
  float,
  numeric,
  opaque,
  parseObjlnk,
  type ResourceValue,
  shown,
  string,
  typeName,
} from "./values";

/** A value as the self-describing formats carry it: JSON and CBOR know these kinds, LwM2M knows more. */
export type RawValue =
  /** Decimal text, or "NaN". */
  | { kind: "number"; text: string }
  | { kind: "text"; text: string }
  | { kind: "boolean"; value: boolean }
  | { kind: "bytes"; bytes: Uint8Array }
  | { kind: "link"; text: string };

const KINDS: Readonly<Record<RawValue["kind"], string>> = {
  number: "a number",
  text: "text",
  boolean: "true or false",
  bytes: "bytes",
  link: "an object link",
};

/**
 * A raw value in the type the resource's definition asks for. Without a definition it stays what it is;
 * numbers without a fraction become integers.
 */
export function typedValue(raw: RawValue, path: Path): ResourceValue {
  const type = resourceDefinition(path)?.type;
  if (!type) return untyped(raw);
  switch (type) {
    case "string":
    case "corelnk":
      if (raw.kind === "text") return string(raw.text);
      break;
    case "integer":
    case "unsigned":
    case "time":
      if (raw.kind === "number") return numeric(type, raw.text);
      break;
    case "float":
      if (raw.kind === "number") return finite(raw.text) ? numeric(type, raw.text) : { type, value: null };
      break;
    case "boolean":
      if (raw.kind === "boolean") return boolean(raw.value);
      break;
    case "opaque":
      if (raw.kind === "bytes") return opaque(raw.bytes);
      break;
    case "objlnk":
      if (raw.kind === "link" || raw.kind === "text") return parseObjlnk(raw.text);
  }
  throw new ContentError(`${path} holds a ${typeName(type)}, the payload has ${KINDS[raw.kind]}.`);
}

const finite = (text: string): boolean => Number.isFinite(Number(text));

function untyped(raw: RawValue): ResourceValue {
  switch (raw.kind) {
    case "number": {
      const exact = /^-?\d+$/.test(raw.text) ? exactWhole(raw.text) : null;
      if (exact !== null && BigInt.asIntN(64, exact) === exact) return numeric("integer", raw.text);
      if (exact !== null && BigInt.asUintN(64, exact) === exact) return numeric("unsigned", raw.text);
      return float(Number(raw.text));
    }
    case "text":
      return string(raw.text);
    case "boolean":
      return boolean(raw.value);
    case "bytes":
      return opaque(raw.bytes);
    case "link":
      return parseObjlnk(raw.text);
  }
}

/** Seconds since 1970, or before or after `from` (ms) where that is given, as ms since 1970. */
export function stampToMs(seconds: number, from = 0): number {
  if (!Number.isFinite(seconds)) throw new ContentError("A time stamp is no number.");
  const ms = Math.round((from / 1000 + seconds) * 1000);
  if (Math.abs(ms) > 8.64e15) throw new ContentError("A time stamp is out of range.");
  return ms;
}

/**
 * The path a name in a payload stands for: absolute, with or without the alternate root, with or without the
 * leading slash, or relative to the path that was asked for.
 */
export function resolveName(name: string, path: Path, rootPath: string): Path {
  const absolute = name.startsWith("/") ? name : `/${name}`;
  const candidates = [
    ...(rootPath !== "/" && absolute.startsWith(rootPath) ? [`/${absolute.slice(rootPath.length)}`] : []),
    absolute,
    // What starts with a slash is never relative.
    ...(name.startsWith("/") ? [] : [name === "" ? path : `${path === "/" ? "" : path}${absolute}`]),
  ];
  let outside = false;
  for (const candidate of candidates) {
    const ids = parsePath(candidate);
    if (!ids || ids.length < 3) continue;
    if (isWithin(candidate, path)) return formatPath(ids);
    outside = true;
  }
  throw new ContentError(
    outside ? `${shown(name)} lies outside of ${path}.` : `${shown(name)} is not the path of a resource.`,
  );
}
