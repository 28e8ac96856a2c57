import { objectDefinition, resourceDefinition } from "./definitions";
import { ContentError } from "./errors";
import { formatPath, type Path, parsePath, UNDEFINED_INSTANCE } from "./paths";
import {
  boolean,
  type ContentValue,
  checkType,
  float,
  fromBase64,
  objlnk,
  opaque,
  type ResourceValue,
  string,
  typeName,
  whole,
} from "./values";

/** The identifier types of a TLV. [LwM2M-Core 1.1.1 §7.4.3] */
export const TlvType = { objectInstance: 0, resourceInstance: 1, multipleResource: 2, resource: 3 } as const;
export type TlvType = (typeof TlvType)[keyof typeof TlvType];

/** One type-length-value entry. */
export interface Tlv {
  type: TlvType;
  id: number;
  value: Uint8Array;
}

/** Splits one level of a TLV payload; the values of containers are TLV again. */
export function splitTlv(bytes: Uint8Array): Tlv[] {
  const entries: Tlv[] = [];
  let at = 0;
  const take = (count: number): Uint8Array => {
    if (at + count > bytes.length) {
      throw new ContentError(
        `TLV: an entry needs ${count} bytes at offset ${at}, ${bytes.length - at} are left.`,
      );
    }
    at += count;
    return bytes.subarray(at - count, at);
  };
  while (at < bytes.length) {
    const head = take(1)[0]!;
    const id = unsigned(take(head & 0x20 ? 2 : 1));
    const lengthBytes = (head >> 3) & 0x03;
    const length = lengthBytes === 0 ? head & 0x07 : unsigned(take(lengthBytes));
    entries.push({ type: (head >> 6) as TlvType, id, value: take(length) });
  }
  return entries;
}

const unsigned = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum * 256 + byte, 0);

/** Writes TLV entries one behind the other. */
export function joinTlv(entries: readonly Tlv[]): Uint8Array {
  return new Uint8Array(Buffer.concat(entries.flatMap((one) => [tlvHead(one), one.value])));
}

function tlvHead({ type, id, value }: Tlv): Uint8Array {
  const length = value.length;
  if (length > 0xffffff) throw new ContentError("A value of more than 16 MiB does not fit a TLV.");
  const lengthBytes = length < 8 ? 0 : length < 0x100 ? 1 : length < 0x10000 ? 2 : 3;
  const head = [(type << 6) | (id > 0xff ? 0x20 : 0) | (lengthBytes << 3) | (lengthBytes === 0 ? length : 0)];
  if (id > 0xff) head.push(id >> 8);
  head.push(id & 0xff);
  for (let byte = lengthBytes - 1; byte >= 0; byte--) head.push((length >> (8 * byte)) & 0xff);
  return Uint8Array.from(head);
}

export interface TlvDecodeOptions {
  /** For the payload of a Create: resources without an instance get the id {@link UNDEFINED_INSTANCE}. */
  newInstance?: boolean;
}

/** Reads a TLV payload that answers, or is written to, `path` (one to four ids). */
export function decodeTlv(payload: Uint8Array, path: Path, options: TlvDecodeOptions = {}): ContentValue[] {
  const ids = parsePath(path);
  if (!ids || ids.length === 0) throw new ContentError(`TLV cannot carry the content of ${path}.`);
  const entries = splitTlv(payload);
  const out = new Collector();
  switch (ids.length) {
    case 1:
      readObject(ids[0]!, entries, out, options);
      break;
    case 2:
      readInstance(ids[0]!, ids[1]!, unwrap(entries, ids[1]!), out);
      break;
    case 3:
      readResource(ids as [number, number, number], unwrap(entries, ids[1]!), out);
      break;
    default:
      readResourceInstance(ids as [number, number, number, number], unwrap(entries, ids[1]!), out);
  }
  return out.values;
}

class Collector {
  readonly values: ContentValue[] = [];
  readonly #seen = new Set<Path>();

  once(path: Path): void {
    if (this.#seen.has(path)) throw new ContentError(`${path} appears twice.`);
    this.#seen.add(path);
  }

  add(ids: readonly number[], bytes: Uint8Array): void {
    const path = formatPath(ids);
    this.once(path);
    this.values.push({ path, value: decodeValue(bytes, path) });
  }
}

/** Takes the resources out of an object instance that a client wrapped around them; its id has to fit. */
function unwrap(entries: Tlv[], instanceId: number): Tlv[] {
  const wrapper = entries.find((one) => one.type === TlvType.objectInstance);
  if (!wrapper) return entries;
  if (entries.length > 1)
    throw new ContentError("TLV: more than the one object instance that was asked for.");
  if (wrapper.id !== instanceId) {
    throw new ContentError(`TLV: object instance ${wrapper.id} in place of instance ${instanceId}.`);
  }
  return splitTlv(wrapper.value);
}

function readObject(objectId: number, entries: Tlv[], out: Collector, options: TlvDecodeOptions): void {
  if (entries.length > 0 && entries.every((one) => one.type !== TlvType.objectInstance)) {
    const definition = objectDefinition(objectId);
    if (definition?.multiple && !options.newInstance) {
      throw new ContentError(
        `TLV: resources of object ${objectId} do not say which instance they belong to.`,
      );
    }
    readInstance(objectId, options.newInstance ? UNDEFINED_INSTANCE : 0, entries, out);
    return;
  }
  for (const one of entries) {
    if (one.type !== TlvType.objectInstance)
      throw new ContentError("TLV: a resource between object instances.");
    out.once(formatPath([objectId, one.id]));
    readInstance(objectId, one.id, splitTlv(one.value), out);
  }
}

function readInstance(objectId: number, instanceId: number, entries: Tlv[], out: Collector): void {
  for (const one of entries) readEntry([objectId, instanceId, one.id], one, out);
}

function readEntry(ids: [number, number, number], entry: Tlv, out: Collector): void {
  if (entry.type === TlvType.resource) {
    out.add(ids, entry.value);
  } else if (entry.type === TlvType.multipleResource) {
    out.once(formatPath(ids));
    for (const one of splitTlv(entry.value)) {
      if (one.type !== TlvType.resourceInstance) {
        throw new ContentError(`TLV: ${formatPath(ids)} holds something other than resource instances.`);
      }
      out.add([...ids, one.id], one.value);
    }
  } else {
    throw new ContentError(
      entry.type === TlvType.objectInstance
        ? "TLV: an object instance inside of an object instance."
        : "TLV: a resource instance outside of a resource.",
    );
  }
}

function readResource(ids: [number, number, number], entries: Tlv[], out: Collector): void {
  const path = formatPath(ids);
  if (entries.length === 0) {
    if (resourceDefinition(path)?.multiple) return;
    throw new ContentError(`TLV: no value for ${path}.`);
  }
  if (entries.every((one) => one.type === TlvType.resourceInstance)) {
    for (const one of entries) out.add([...ids, one.id], one.value);
    return;
  }
  if (entries.length > 1)
    throw new ContentError(`TLV: more than the one resource ${path} that was asked for.`);
  const [one] = entries;
  if (one!.id !== ids[2]) throw new ContentError(`TLV: resource ${one!.id} in place of ${path}.`);
  readEntry(ids, one!, out);
}

function readResourceInstance(ids: [number, number, number, number], entries: Tlv[], out: Collector): void {
  const path = formatPath(ids);
  const [one] = entries;
  if (!one || entries.length > 1)
    throw new ContentError(`TLV: not the one value of ${path} that was asked for.`);
  if (one.type === TlvType.multipleResource && one.id === ids[2]) {
    readResourceInstance(ids, splitTlv(one.value), out);
    return;
  }
  if (one.type !== TlvType.resourceInstance || one.id !== ids[3]) {
    throw new ContentError(`TLV: something other than ${path} that was asked for.`);
  }
  out.add(ids, one.value);
}

/**
 * Bytes of a TLV as a value of the resource's type. Without a definition printable UTF-8 is taken as text
 * and everything else as opaque.
 */
export function decodeValue(bytes: Uint8Array, path: Path): ResourceValue {
  const type = resourceDefinition(path)?.type;
  if (!type) return guess(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = (...allowed: number[]) => {
    if (!allowed.includes(bytes.length)) {
      throw new ContentError(`${path}: ${bytes.length} bytes are no ${typeName(type)}.`);
    }
  };
  switch (type) {
    case "string":
    case "corelnk":
      return string(decodeUtf8(bytes, path));
    case "integer":
    case "unsigned":
    case "time": {
      length(1, 2, 4, 8);
      const big = BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
      return whole(type, type === "unsigned" ? big : BigInt.asIntN(bytes.length * 8, big));
    }
    case "float":
      length(4, 8);
      return float(bytes.length === 4 ? shortFloat(view.getFloat32(0)) : view.getFloat64(0));
    case "boolean":
      length(1);
      if (bytes[0]! > 1) throw new ContentError(`${path}: ${bytes[0]} is neither true (1) nor false (0).`);
      return boolean(bytes[0] === 1);
    case "opaque":
      return opaque(bytes);
    case "objlnk":
      length(4);
      return objlnk(view.getUint16(0), view.getUint16(2));
  }
}

// A single precision 21.3 should read 21.3, not 21.299999237060547: 9 digits hold every float32 exactly.
function shortFloat(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

function guess(bytes: Uint8Array): ResourceValue {
  const text = Buffer.from(bytes).toString("utf8");
  const printable = !/[\p{Cc}\uFFFD]/u.test(text);
  return printable && bytes.length > 0 ? string(text) : opaque(bytes);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes as text; throws ContentError when they are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array, path: Path): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new ContentError(`${path}: the text is not UTF-8.`);
  }
}

/** The bytes of a value as TLV carries them: numbers in the fewest of 1, 2, 4 or 8 bytes. */
export function encodeValue(value: ResourceValue): Uint8Array {
  switch (value.type) {
    case "string":
      return new Uint8Array(Buffer.from(value.value, "utf8"));
    case "integer":
    case "time":
      return fewestBytes(BigInt(value.value), true);
    case "unsigned":
      return fewestBytes(BigInt(value.value), false);
    case "float": {
      const number = value.value ?? Number.NaN;
      const single = Object.is(Math.fround(number), number);
      const bytes = Buffer.alloc(single ? 4 : 8);
      if (single) bytes.writeFloatBE(number);
      else bytes.writeDoubleBE(number);
      return new Uint8Array(bytes);
    }
    case "boolean":
      return Uint8Array.of(value.value ? 1 : 0);
    case "opaque":
      return fromBase64(value.value);
    case "objlnk": {
      const [objectId, instanceId] = value.value.split(":").map(Number) as [number, number];
      return Uint8Array.of(objectId >> 8, objectId & 0xff, instanceId >> 8, instanceId & 0xff);
    }
  }
}

function fewestBytes(value: bigint, signed: boolean): Uint8Array {
  const size = [1, 2, 4, 8].find((bytes) =>
    signed ? BigInt.asIntN(bytes * 8, value) === value : BigInt.asUintN(bytes * 8, value) === value,
  );
  if (!size) throw new ContentError(`${value} does not fit 64 bits.`);
  const hex = BigInt.asUintN(size * 8, value).toString(16);
  return new Uint8Array(Buffer.from(hex.padStart(size * 2, "0"), "hex"));
}

export interface TlvEncodeOptions {
  /** Wraps the resources of an instance path in an object instance. */
  instanceTlv?: boolean;
}

/** Writes values at or below `path` as TLV. */
export function encodeTlv(
  values: readonly ContentValue[],
  path: Path,
  options: TlvEncodeOptions = {},
): Uint8Array {
  const ids = parsePath(path);
  if (!ids || ids.length === 0) throw new ContentError(`TLV cannot carry the content of ${path}.`);
  for (const one of values) checkType(one.path, one.value);
  const instances = group(values, path);
  if (ids.length === 1) {
    return joinTlv([...instances].map(([id, resources]) => instanceEntry(id, resources)));
  }
  const resources = instances.get(ids[1]!) ?? [];
  if (ids.length === 4) return joinTlv(resources.flatMap((one) => splitTlv(one.value)));
  return joinTlv(ids.length === 2 && options.instanceTlv ? [instanceEntry(ids[1]!, resources)] : resources);
}

const instanceEntry = (id: number, resources: Tlv[]): Tlv => ({
  type: TlvType.objectInstance,
  id,
  value: joinTlv(resources),
});

function group(values: readonly ContentValue[], path: Path): Map<number, Tlv[]> {
  const instances = new Map<number, Map<number, { single: Uint8Array | null; many: Tlv[] }>>();
  for (const { path: at, value } of values) {
    const ids = parsePath(at);
    if (!ids || ids.length < 3 || !(at === path || at.startsWith(`${path}/`))) {
      throw new ContentError(`${at} is not a resource within ${path}.`);
    }
    const [, instanceId, resourceId, id] = ids as [number, number, number, number | undefined];
    let resources = instances.get(instanceId);
    if (!resources) instances.set(instanceId, (resources = new Map()));
    let resource = resources.get(resourceId);
    if (!resource) resources.set(resourceId, (resource = { single: null, many: [] }));
    if (resource.single || (id === undefined && resource.many.length > 0)) {
      throw new ContentError(`${at} appears twice.`);
    }
    if (id === undefined) resource.single = encodeValue(value);
    else resource.many.push({ type: TlvType.resourceInstance, id, value: encodeValue(value) });
  }
  return new Map(
    [...instances].map(([instanceId, resources]) => [
      instanceId,
      [...resources].map(
        ([id, { single, many }]): Tlv =>
          single
            ? { type: TlvType.resource, id, value: single }
            : { type: TlvType.multipleResource, id, value: joinTlv(many) },
      ),
    ]),
  );
}

/** One resource of a bootstrap write: a value, or the bytes of an opaque one. */
export interface InstanceResource {
  id: number;
  value: ResourceValue | Uint8Array;
}

/**
 * An object instance with its resources as one TLV, the form of a bootstrap write that every client takes
 * (Pelion's takes nothing else).
 */
export function encodeObjectInstance(
  objectId: number,
  instanceId: number,
  resources: readonly InstanceResource[],
): Uint8Array {
  for (const { id, value } of resources) checkType(formatPath([objectId, instanceId, id]), typed(value));
  return joinTlv([{ type: TlvType.objectInstance, id: instanceId, value: encodeResources(resources) }]);
}

/** Single-valued resources as bare TLV, for a write to an object instance. */
export function encodeResources(resources: readonly InstanceResource[]): Uint8Array {
  return joinTlv(
    resources.map(({ id, value }) => ({ type: TlvType.resource, id, value: encodeValue(typed(value)) })),
  );
}

const typed = (value: ResourceValue | Uint8Array): ResourceValue =>
  value instanceof Uint8Array ? opaque(value) : value;
