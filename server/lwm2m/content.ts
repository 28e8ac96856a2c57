import { resourceDefinition } from "./definitions";
import { ContentError } from "./errors";
import { decodeLwm2mCbor, decodeSingleCbor } from "./lwm2m-cbor";
import { decodeLwm2mJson } from "./lwm2m-json";
import { type Path, parsePath } from "./paths";
import {
  decodeSenmlCbor,
  decodeSenmlJson,
  decodeSenmlPaths,
  encodeSenmlCbor,
  encodeSenmlJson,
  encodeSenmlPaths,
} from "./senml";
import { decodeOpaque, decodeText, encodeOpaque, encodeText } from "./text";
import { decodeTlv, encodeTlv } from "./tlv";
import { type ContentValue, type ResourceValue, shown } from "./values";

/** CoAP content formats LwM2M uses. [LwM2M-Core 1.1.1 §7.4; IANA CoAP Content-Formats] */
export const ContentFormat = {
  text: 0,
  link: 40,
  opaque: 42,
  cbor: 60,
  senmlJson: 110,
  senmlCbor: 112,
  tlv: 11542,
  json: 11543,
  lwm2mCbor: 11544,
  /** The numbers TLV and JSON had before they were registered. */
  oldTlv: 1542,
  oldJson: 1543,
  /** Pelion's client before that. */
  pelionTlv: 99,
} as const;

export interface DecodeOptions {
  /** Milliseconds since 1970 that relative time stamps count from; default is the system's time. */
  now?: number;
  /** The payload of a Create: resources without an instance belong to the instance id 65535. */
  newInstance?: boolean;
}

/**
 * Reads the payload that answers, or is written to, `path`. Types come from the object definitions; without
 * one, JSON keeps its own kinds, and text and TLV are text when they are printable UTF-8, opaque otherwise.
 * Throws ContentError with the reason in words.
 */
export function decodeContent(
  contentFormat: number | null,
  payload: Uint8Array,
  path: Path,
  rootPath = "/",
  options: DecodeOptions = {},
): ContentValue[] {
  const ids = parsePath(path);
  if (!ids) throw new ContentError(`${shown(path)} is not a LwM2M path.`);
  if (contentFormat === null) throw new ContentError("The payload comes without a content format.");
  const named = { rootPath, now: options.now ?? Date.now() };
  const values = (() => {
    switch (contentFormat) {
      case ContentFormat.text:
        return decodeText(payload, path);
      case ContentFormat.opaque:
        return decodeOpaque(payload, path);
      case ContentFormat.tlv:
      case ContentFormat.oldTlv:
      case ContentFormat.pelionTlv:
        return decodeTlv(payload, path, options);
    }
    // An empty document stands for nothing below the path; only these formats know no other way to say so.
    if (payload.length === 0) return [];
    switch (contentFormat) {
      case ContentFormat.senmlJson:
        return decodeSenmlJson(payload, path, named);
      case ContentFormat.senmlCbor:
        return decodeSenmlCbor(payload, path, named);
      case ContentFormat.json:
      case ContentFormat.oldJson:
        return decodeLwm2mJson(payload, path, named);
      case ContentFormat.lwm2mCbor:
        return decodeLwm2mCbor(payload, path);
      case ContentFormat.cbor:
        return decodeSingleCbor(payload, path);
      default:
        throw new ContentError(`The content format ${contentFormat} is not known.`);
    }
  })();
  const mayBeEmpty = ids.length < 3 || (ids.length === 3 && resourceDefinition(path)?.multiple);
  if (values.length === 0 && !mayBeEmpty) throw new ContentError(`No value for ${path}.`);
  return values;
}

/** Writes one value at `path`, or several at and below it. Throws ContentError when they do not fit. */
export function encodeContent(
  contentFormat: number,
  path: Path,
  content: ResourceValue | readonly ContentValue[],
  rootPath = "/",
): Uint8Array {
  const values = isList(content) ? content : [{ path, value: content }];
  switch (contentFormat) {
    case ContentFormat.text:
      return encodeText(values, path);
    case ContentFormat.opaque:
      return encodeOpaque(values, path);
    case ContentFormat.tlv:
    case ContentFormat.oldTlv:
    case ContentFormat.pelionTlv:
      return encodeTlv(values, path);
    case ContentFormat.senmlJson:
      return encodeSenmlJson(values, rootPath);
    case ContentFormat.senmlCbor:
      return encodeSenmlCbor(values, rootPath);
    default:
      throw new ContentError(`The content format ${contentFormat} cannot be written.`);
  }
}

// Array.isArray does not narrow a readonly array.
const isList = (content: ResourceValue | readonly ContentValue[]): content is readonly ContentValue[] =>
  Array.isArray(content);

const senmlForm = (contentFormat: number): "json" | "cbor" => {
  if (contentFormat === ContentFormat.senmlJson) return "json";
  if (contentFormat === ContentFormat.senmlCbor) return "cbor";
  throw new ContentError(`Paths are listed in SenML, not in content format ${contentFormat}.`);
};

/** Reads the paths of a composite request. */
export function decodePaths(contentFormat: number, payload: Uint8Array, rootPath = "/"): Path[] {
  return decodeSenmlPaths(payload, senmlForm(contentFormat), rootPath);
}

/** Writes the paths of a composite request. */
export function encodePaths(contentFormat: number, paths: readonly Path[], rootPath = "/"): Uint8Array {
  return encodeSenmlPaths(paths, senmlForm(contentFormat), rootPath);
}

/** The content format to write one value with, out of those the client can use. */
export function writeFormat(value: ResourceValue, contentFormats: readonly number[]): number {
  const wanted =
    value.type === "opaque"
      ? [ContentFormat.opaque, ContentFormat.tlv]
      : [ContentFormat.text, ContentFormat.tlv];
  const order: number[] = [...wanted, ContentFormat.senmlCbor, ContentFormat.senmlJson];
  return order.find((format) => contentFormats.includes(format)) ?? ContentFormat.tlv;
}
