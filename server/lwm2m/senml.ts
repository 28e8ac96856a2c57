import { decode, encode, Tagged } from "cborg";
import { ContentError } from "./errors";
import { type Json, JsonNumber, parseJson } from "./json";
import { formatPath, type Path, parentPath, parsePath } from "./paths";
import { decodeUtf8 } from "./tlv";
import { type RawValue, resolveName, stampToMs, typedValue } from "./typed";
import { type ContentValue, checkType, fromBase64, type ResourceValue, shown } from "./values";

/** One SenML record [RFC8428 §4] in either form. */
interface SenmlRecord {
  baseName?: string;
  /** Seconds. */
  baseTime?: number;
  name?: string;
  time?: number;
  value?: RawValue;
}

const MAX_RECORDS = 16_384;

/** How names are read and written, and what relative times count from. */
export interface SenmlOptions {
  rootPath: string;
  /** Milliseconds since 1970. */
  now: number;
}

/** Reads SenML JSON (110). */
export function decodeSenmlJson(payload: Uint8Array, path: Path, options: SenmlOptions): ContentValue[] {
  return readRecords(jsonRecords(payload), path, options);
}

/** Reads SenML CBOR (112). */
export function decodeSenmlCbor(payload: Uint8Array, path: Path, options: SenmlOptions): ContentValue[] {
  return readRecords(cborRecords(payload), path, options);
}

/** Reads the paths of a composite request; a value or time in it is refused. */
export function decodeSenmlPaths(payload: Uint8Array, format: "json" | "cbor", rootPath: string): Path[] {
  const records = format === "json" ? jsonRecords(payload) : cborRecords(payload);
  let baseName = "";
  return records.map((record) => {
    baseName = record.baseName ?? baseName;
    if (record.value || record.time !== undefined || record.baseTime !== undefined) {
      throw new ContentError("SenML: a list of paths holds a value or a time.");
    }
    const name = baseName + (record.name ?? "");
    const absolute = name.startsWith("/") ? name : `/${name}`;
    const inner = absolute.startsWith(rootPath) ? `/${absolute.slice(rootPath.length)}` : absolute;
    const ids = parsePath(inner);
    if (!ids) throw new ContentError(`SenML: ${shown(name)} is not a LwM2M path.`);
    return formatPath(ids);
  });
}

function readRecords(records: SenmlRecord[], path: Path, { rootPath, now }: SenmlOptions): ContentValue[] {
  let baseName = "";
  let baseTime: number | undefined;
  const seen = new Set<string>();
  return records.map((record) => {
    baseName = record.baseName ?? baseName;
    baseTime = record.baseTime ?? baseTime;
    const name = resolveName(baseName + (record.name ?? ""), path, rootPath);
    if (!record.value) throw new ContentError(`SenML: no value for ${name}.`);
    // A base time of 0 ends an earlier one: the value has no time of its own.
    const stamped = record.time !== undefined || (baseTime !== undefined && baseTime !== 0);
    const at = stamped ? senmlTime((baseTime ?? 0) + (record.time ?? 0), now) : undefined;
    const key = `${name} ${at ?? ""}`;
    if (seen.has(key)) throw new ContentError(`SenML: ${name} appears twice.`);
    seen.add(key);
    const value = typedValue(record.value, name);
    return at === undefined ? { path: name, value } : { path: name, value, at };
  });
}

/** Below 2^28 seconds count from now, from there on since 1970. [RFC8428 §4.5.3] */
function senmlTime(seconds: number, now: number): number {
  return seconds < 2 ** 28 ? stampToMs(seconds, now) : stampToMs(seconds);
}

// Labels of SenML CBOR [RFC8428 §6]; "vlo" has none and is always text. [LwM2M-Core 1.1.1 §7.4.5]
const LABELS = new Map<unknown, string>([
  [-1, "bver"],
  [-2, "bn"],
  [-3, "bt"],
  [-4, "bu"],
  [-5, "bv"],
  [-6, "bs"],
  [0, "n"],
  [1, "u"],
  [2, "v"],
  [3, "vs"],
  [4, "vb"],
  [5, "s"],
  [6, "t"],
  [7, "ut"],
  [8, "vd"],
]);

function jsonRecords(payload: Uint8Array): SenmlRecord[] {
  const pack = parseJson(decodeUtf8(payload, "SenML"));
  if (!Array.isArray(pack)) throw new ContentError("SenML: not an array of records.");
  return limited(pack).map((record) => {
    if (!(record instanceof Map)) throw new ContentError("SenML: a record is not an object.");
    return readFields(record, (label: string) => label, jsonScalar);
  });
}

function cborRecords(payload: Uint8Array): SenmlRecord[] {
  const pack = decodeCbor(payload);
  if (!Array.isArray(pack)) throw new ContentError("SenML: not an array of records.");
  return limited(pack).map((record) => {
    if (!(record instanceof Map)) throw new ContentError("SenML: a record is not a map.");
    return readFields(record as Map<unknown, unknown>, (label) => LABELS.get(label) ?? label, cborScalar);
  });
}

function limited<T>(records: T[]): T[] {
  if (records.length > MAX_RECORDS) throw new ContentError(`SenML: more than ${MAX_RECORDS} records.`);
  return records;
}

function jsonScalar(value: Json): RawValue | null {
  if (value instanceof JsonNumber) return { kind: "number", text: value.text };
  if (typeof value === "string") return { kind: "text", text: value };
  return typeof value === "boolean" ? { kind: "boolean", value } : null;
}

/** A CBOR item as a raw value, null when it is a container or nothing we know. */
export function cborScalar(value: unknown): RawValue | null {
  if (typeof value === "number" || typeof value === "bigint") return { kind: "number", text: String(value) };
  if (typeof value === "string") return { kind: "text", text: value };
  if (typeof value === "boolean") return { kind: "boolean", value };
  return value instanceof Uint8Array ? { kind: "bytes", bytes: value } : null;
}

function readFields<K, V>(
  fields: Map<K, V>,
  label: (key: K) => unknown,
  scalar: (value: V) => RawValue | null,
): SenmlRecord {
  const record: SenmlRecord = {};
  const setValue = (value: RawValue) => {
    if (record.value) throw new ContentError("SenML: a record has two values.");
    record.value = value;
  };
  for (const [key, item] of fields) {
    const name = label(key);
    const value = scalar(item);
    const kind = value?.kind;
    switch (name) {
      case "bn":
        record.baseName = textOf(value, "bn");
        break;
      case "n":
        record.name = textOf(value, "n");
        break;
      case "bt":
        record.baseTime = numberOf(value, "bt");
        break;
      case "t":
        record.time = numberOf(value, "t");
        break;
      case "v":
        if (kind !== "number") throw new ContentError("SenML: v is not a number.");
        setValue(value!);
        break;
      case "vs":
        setValue({ kind: "text", text: textOf(value, "vs") });
        break;
      case "vb":
        if (kind !== "boolean") throw new ContentError("SenML: vb is neither true nor false.");
        setValue(value!);
        break;
      case "vd":
        setValue(value?.kind === "bytes" ? value : { kind: "bytes", bytes: fromBase64(textOf(value, "vd")) });
        break;
      case "vlo":
        setValue({ kind: "link", text: textOf(value, "vlo") });
        break;
      case "bv":
      case "bs":
      case "s":
        throw new ContentError(`SenML: the field ${name} is not supported.`);
      default:
        // Fields with this ending must be understood or the whole is refused. [RFC8428 §4.4]
        if (typeof name === "string" && name.endsWith("_")) {
          throw new ContentError(`SenML: the field ${shown(name)} is not supported.`);
        }
    }
  }
  return record;
}

function textOf(value: RawValue | null, field: string): string {
  if (value?.kind !== "text") throw new ContentError(`SenML: ${field} is not text.`);
  return value.text;
}

function numberOf(value: RawValue | null, field: string): number {
  const number = value?.kind === "number" ? Number(value.text) : Number.NaN;
  if (!Number.isFinite(number)) throw new ContentError(`SenML: ${field} is not a number.`);
  return number;
}

/** Reads CBOR with maps kept as such; everything that goes wrong is a ContentError. */
export function decodeCbor(payload: Uint8Array): unknown {
  try {
    return decode(payload, {
      useMaps: true,
      rejectDuplicateMapKeys: true,
      tags: { 1: (content) => content(), 4: (content) => decimalFraction(content()) },
    });
  } catch (error) {
    // A stack that runs out on deep nesting arrives here as well.
    const reason = error instanceof RangeError ? "nested too deep" : (error as Error).message;
    throw new ContentError(`CBOR: ${reason.replace(/^CBOR decode error:\s*/, "")}.`);
  }
}

// [exponent, mantissa], mantissa · 10^exponent [RFC8949 §3.4.4]
function decimalFraction(content: unknown): number {
  if (!Array.isArray(content) || content.length !== 2) throw new Error("a decimal fraction is not a pair");
  return Number(`${content[1]}e${content[0]}`);
}

/** Writes SenML JSON (110). */
export function encodeSenmlJson(values: readonly ContentValue[], rootPath: string): Uint8Array {
  const records = makeRecords(values, rootPath).map(({ bn, bt, n, value }) => {
    const fields: string[] = [];
    if (bn !== undefined) fields.push(`"bn":${JSON.stringify(bn)}`);
    if (bt !== undefined) fields.push(`"bt":${bt / 1000}`);
    if (n !== undefined) fields.push(`"n":${JSON.stringify(n)}`);
    if (value) fields.push(jsonField(value));
    return `{${fields.join(",")}}`;
  });
  return new Uint8Array(Buffer.from(`[${records.join(",")}]`, "utf8"));
}

function jsonField(value: ResourceValue): string {
  switch (value.type) {
    case "string":
      return `"vs":${JSON.stringify(value.value)}`;
    case "integer":
    case "unsigned":
    case "time":
      return `"v":${BigInt(value.value)}`;
    case "float":
      if (value.value === null) throw new ContentError("JSON cannot carry a number that is not finite.");
      return `"v":${value.value}`;
    case "boolean":
      return `"vb":${value.value}`;
    case "opaque":
      return `"vd":"${Buffer.from(fromBase64(value.value)).toString("base64url")}"`;
    case "objlnk":
      return `"vlo":${JSON.stringify(value.value)}`;
  }
}

/** Writes SenML CBOR (112). */
export function encodeSenmlCbor(values: readonly ContentValue[], rootPath: string): Uint8Array {
  return toCbor(
    makeRecords(values, rootPath).map(({ bn, bt, n, value }) => {
      const fields = new Map<unknown, unknown>();
      if (bn !== undefined) fields.set(-2, bn);
      if (bt !== undefined) fields.set(-3, new Tagged(4, bt % 1000 === 0 ? [0, bt / 1000] : [-3, bt]));
      if (n !== undefined) fields.set(0, n);
      if (value) fields.set(...cborField(value));
      return fields;
    }),
  );
}

function cborField(value: ResourceValue): [unknown, unknown] {
  switch (value.type) {
    case "string":
      return [3, value.value];
    case "integer":
    case "unsigned":
    case "time":
      return [2, BigInt(value.value)];
    case "float":
      return [2, value.value ?? Number.NaN];
    case "boolean":
      return [4, value.value];
    case "opaque":
      return [8, fromBase64(value.value)];
    case "objlnk":
      return ["vlo", value.value];
  }
}

// Fields keep the order they are given in, base name first, as readers on small devices expect.
const toCbor = (value: unknown): Uint8Array => new Uint8Array(encode(value, { mapSorter: () => 0 }));

/** Writes the paths of a composite request. */
export function encodeSenmlPaths(
  paths: readonly Path[],
  format: "json" | "cbor",
  rootPath: string,
): Uint8Array {
  const names = paths.map((path) => rootPath.slice(0, -1) + path);
  return format === "cbor"
    ? toCbor(names.map((name) => new Map([[0, name]])))
    : new Uint8Array(Buffer.from(JSON.stringify(names.map((n) => ({ n }))), "utf8"));
}

interface OutRecord {
  bn?: string;
  /** Milliseconds. */
  bt?: number;
  n?: string;
  value?: ResourceValue;
}

function makeRecords(values: readonly ContentValue[], rootPath: string): OutRecord[] {
  // Values without a time come first: a base time holds for every record behind it.
  const groups = new Map<number | undefined, ContentValue[]>([[undefined, []]]);
  for (const one of values) {
    if ((parsePath(one.path)?.length ?? 0) < 3) throw new ContentError(`${one.path} is not a resource.`);
    checkType(one.path, one.value);
    const group = groups.get(one.at);
    if (group) group.push(one);
    else groups.set(one.at, [one]);
  }
  const root = rootPath.slice(0, -1);
  return [...groups].flatMap(([bt, group]) => {
    const stamp = bt === undefined ? {} : { bt };
    if (group.length === 1) return [{ bn: root + group[0]!.path, ...stamp, value: group[0]!.value }];
    const base = commonParent(group.map((one) => one.path));
    const prefix = base === "/" ? "/" : `${base}/`;
    return group.map((one, index): OutRecord => {
      const n = one.path.slice(prefix.length);
      return index === 0 ? { bn: root + prefix, ...stamp, n, value: one.value } : { n, value: one.value };
    });
  });
}

function commonParent(paths: readonly Path[]): Path {
  let base = parentPath(paths[0] ?? "/");
  while (base !== "/" && !paths.every((path) => path.startsWith(`${base}/`))) base = parentPath(base);
  return base;
}
