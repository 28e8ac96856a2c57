import { resourceDefinition, type ValueType } from "./definitions";
import { ContentError } from "./errors";
import type { Path } from "./paths";

/** A resource value; integers and times (seconds since 1970) as decimal text, opaque as base64. */
export type ResourceValue =
  | { type: "string"; value: string }
  | { type: "integer"; value: string }
  | { type: "unsigned"; value: string }
  /** Null stands for what is no finite number. */
  | { type: "float"; value: number | null }
  | { type: "boolean"; value: boolean }
  | { type: "opaque"; value: string }
  | { type: "time"; value: string }
  /** "object:instance". */
  | { type: "objlnk"; value: string };

/** A value at a path of three or four ids; `at` is the time it was true at in ms, when the payload tells. */
export interface ContentValue {
  path: Path;
  value: ResourceValue;
  at?: number;
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;

export const string = (value: string): ResourceValue => ({ type: "string", value });
export const float = (value: number): ResourceValue => ({
  type: "float",
  value: Number.isFinite(value) ? value : null,
});
export const boolean = (value: boolean): ResourceValue => ({ type: "boolean", value });
export const opaque = (bytes: Uint8Array): ResourceValue => ({
  type: "opaque",
  value: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64"),
});

/** A 64-bit integer, unsigned integer or time; throws ContentError when it does not fit. */
export function whole(type: "integer" | "unsigned" | "time", value: bigint | number): ResourceValue {
  const big = typeof value === "number" ? wholeNumber(value) : value;
  const [min, max] = type === "unsigned" ? [0n, UINT64_MAX] : [INT64_MIN, INT64_MAX];
  if (big < min || big > max) throw new ContentError(`${big} does not fit a 64-bit ${NAMES[type]}.`);
  return { type, value: big.toString() };
}

/** A signed integer. */
export const integer = (value: bigint | number): ResourceValue => whole("integer", value);
/** Seconds since 1970. */
export const time = (seconds: bigint | number): ResourceValue => whole("time", seconds);

/** An object link from its two ids. */
export function objlnk(objectId: number, instanceId: number): ResourceValue {
  return { type: "objlnk", value: `${objectId}:${instanceId}` };
}

/** An object link from "3:0"; throws ContentError when it is none. */
export function parseObjlnk(text: string): ResourceValue {
  const match = /^(\d{1,5}):(\d{1,5})$/.exec(text);
  const [objectId, instanceId] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || objectId > 65535 || instanceId > 65535) {
    throw new ContentError(`${shown(text)} is not an object link such as 3:0.`);
  }
  return objlnk(objectId, instanceId);
}

/** The bytes of an opaque value. */
export function opaqueBytes(value: ResourceValue & { type: "opaque" }): Uint8Array {
  return new Uint8Array(Buffer.from(value.value, "base64"));
}

function wholeNumber(value: number): bigint {
  if (!Number.isInteger(value)) throw new ContentError(`${value} is not a whole number.`);
  return BigInt(value);
}

/** What the types are called in messages. */
const NAMES: Readonly<Record<ValueType, string>> = {
  string: "text",
  integer: "whole number",
  unsigned: "whole number from 0",
  float: "number",
  boolean: "true or false",
  opaque: "block of bytes",
  time: "time",
  objlnk: "object link",
  corelnk: "link list",
};

/** The name of a type in a sentence. */
export const typeName = (type: ValueType): string => NAMES[type];

/** Text in quotes, cut for a message. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

/** The exact whole number a decimal text stands for ("1e3" is 1000), or null when it has a fraction. */
export function exactWhole(text: string): bigint | null {
  const match = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (!match) return null;
  const [, sign, whole, fraction = "", exponent = "0"] = match;
  const digits = `${whole}${fraction}`.replace(/^0+(?=\d)/, "");
  const shift = Number(exponent) - fraction.length;
  if (/^0+$/.test(digits)) return 0n;
  // 64 bits have 20 digits; larger results are out of range anyway.
  if (digits.length > 400 || Math.abs(shift) > 400) return null;
  let result: bigint;
  if (shift >= 0) result = BigInt(digits + "0".repeat(shift));
  else {
    if (!/^0*$/.test(digits.slice(shift))) return null;
    result = BigInt(digits.slice(0, shift) || "0");
  }
  return sign === "-" ? -result : result;
}

/** A decimal text as a value of a numeric type. */
export function numeric(type: "integer" | "unsigned" | "time" | "float", text: string): ResourceValue {
  if (type === "float") {
    const number = Number(text);
    if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) || !Number.isFinite(number)) {
      throw new ContentError(`${shown(text)} is not a number.`);
    }
    return float(number);
  }
  const exact = exactWhole(text);
  if (exact === null) throw new ContentError(`${shown(text)} is not a whole number.`);
  return whole(type, exact);
}

/** Bytes of base64 text; accepts the URL alphabet and missing padding, refuses everything else. */
export function fromBase64(text: string): Uint8Array {
  const plain = text.replace(/=+$/, "");
  if (!/^[A-Za-z0-9+/_-]*$/.test(plain) || plain.length % 4 === 1 || text.length - plain.length > 2) {
    throw new ContentError(`${shown(text)} is not base64.`);
  }
  return new Uint8Array(Buffer.from(plain, "base64"));
}

/** Throws ContentError unless the value is of the type the definition of its resource asks for. */
export function checkType(path: Path, value: ResourceValue): void {
  const wanted = resourceDefinition(path)?.type;
  if (!wanted) return;
  const type = wanted === "corelnk" ? "string" : wanted;
  if (value.type !== type) {
    throw new ContentError(`${path} holds a ${typeName(wanted)}, not a ${typeName(value.type)}.`);
  }
  if (value.type === "integer" || value.type === "unsigned" || value.type === "time")
    numeric(value.type, value.value);
  if (value.type === "objlnk") parseObjlnk(value.value);
  if (value.type === "opaque") fromBase64(value.value);
}

const TRUE = new Set(["true", "1", "yes", "on"]);
const FALSE = new Set(["false", "0", "no", "off"]);

/**
 * What a person typed as a value of the resource. Times are seconds since 1970 or an ISO 8601 date; opaque
 * is base64, or hex behind 0x. Without a definition the text is taken as text.
 */
export function parseInput(path: Path, text: string): ResourceValue {
  const definition = resourceDefinition(path);
  const type = definition?.type ?? "string";
  const trimmed = text.trim();
  const value = ((): ResourceValue => {
    switch (type) {
      case "string":
      case "corelnk":
        return string(text);
      case "integer":
      case "unsigned":
      case "float":
        return numeric(type, trimmed);
      case "boolean": {
        const word = trimmed.toLowerCase();
        if (TRUE.has(word)) return boolean(true);
        if (FALSE.has(word)) return boolean(false);
        throw new ContentError(`${shown(text)} is neither true nor false.`);
      }
      case "time":
        return parseTime(trimmed);
      case "opaque":
        return opaque(parseBytes(trimmed));
      case "objlnk":
        return parseObjlnk(trimmed);
    }
  })();
  if (definition?.range) checkRange(value, definition.range);
  return value;
}

function parseTime(text: string): ResourceValue {
  if (/^[+-]?\d+$/.test(text)) return numeric("time", text);
  const date = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(date)) {
    throw new ContentError(`${shown(text)} is not a time: give seconds since 1970 or 2026-01-31T12:00:00Z.`);
  }
  return time(Math.floor(date / 1000));
}

function parseBytes(text: string): Uint8Array {
  if (!/^0x/i.test(text)) return fromBase64(text);
  const hex = text.slice(2).replace(/[\s:]/g, "");
  if (!/^([0-9a-f]{2})*$/i.test(hex)) throw new ContentError(`${shown(text)} is not hex.`);
  return new Uint8Array(Buffer.from(hex, "hex"));
}

function checkRange(value: ResourceValue, range: string): void {
  const match = /^(-?[\d.]+)\.\.(-?[\d.]+)( bytes)?$/.exec(range);
  if (!match) return;
  const [, low, high, bytes] = match;
  if (bytes) {
    if (value.type !== "string" && value.type !== "opaque") return;
    const length = Buffer.byteLength(value.value, value.type === "string" ? "utf8" : "base64");
    if (length < Number(low) || length > Number(high)) {
      throw new ContentError(`${length} bytes are outside of ${low} to ${high} bytes.`);
    }
  } else if (value.type === "integer" || value.type === "unsigned" || value.type === "float") {
    const number = Number(value.value);
    if (number < Number(low) || number > Number(high)) {
      throw new ContentError(`${value.value} is outside of ${low} to ${high}.`);
    }
  }
}

/** A value as a person reads it, with its unit when there is one. */
export function formatValue(value: ResourceValue, unit = ""): string {
  const text = plain(value);
  if (!unit || value.type === "opaque" || value.type === "boolean") return text;
  return unit.startsWith("/") ? `${text} ${unit}` : `${text} ${unit === "Cel" ? "°C" : unit}`;
}

function plain(value: ResourceValue): string {
  switch (value.type) {
    case "float":
      return value.value === null ? "not a number" : String(value.value);
    case "boolean":
      return value.value ? "true" : "false";
    case "time": {
      const date = new Date(Number(value.value) * 1000);
      return Number.isNaN(date.getTime()) ? `${value.value} s` : date.toISOString().replace(".000Z", "Z");
    }
    case "opaque": {
      const bytes = Buffer.from(value.value, "base64");
      const hex = bytes.toString("hex", 0, 32);
      const size = `${bytes.length} ${bytes.length === 1 ? "byte" : "bytes"}`;
      return bytes.length === 0 ? size : `${size}: ${hex}${bytes.length > 32 ? "…" : ""}`;
    }
    default:
      return value.value;
  }
}
