import { ContentFormat } from "./content";

/** Media types by their CoAP content format. [IANA CoAP Content-Formats] */
const MEDIA_TYPES: ReadonlyMap<number, string> = new Map([
  [ContentFormat.text, "text/plain"],
  [ContentFormat.link, "application/link-format"],
  [41, "application/xml"],
  [ContentFormat.opaque, "application/octet-stream"],
  [47, "application/exi"],
  [50, "application/json"],
  [ContentFormat.cbor, "application/cbor"],
  [ContentFormat.senmlJson, "application/senml+json"],
  [ContentFormat.senmlCbor, "application/senml+cbor"],
  [ContentFormat.tlv, "application/vnd.oma.lwm2m+tlv"],
  [ContentFormat.json, "application/vnd.oma.lwm2m+json"],
  [ContentFormat.lwm2mCbor, "application/vnd.oma.lwm2m+cbor"],
]);

/** Numbers that mean the same as another: those of LwM2M 1.0 drafts and of Pelion's client. */
const SAME_FORMAT: ReadonlyMap<number, number> = new Map([
  [1541, ContentFormat.text],
  [ContentFormat.oldTlv, ContentFormat.tlv],
  [ContentFormat.oldJson, ContentFormat.json],
  [1544, ContentFormat.opaque],
  [ContentFormat.pelionTlv, ContentFormat.tlv],
]);

const CONTENT_FORMATS: ReadonlyMap<string, number> = new Map([
  ...[...MEDIA_TYPES].map(([format, type]) => [type, format] as const),
  // Names that Pelion's applications use as well.
  ["application/vnd.oma.lwm2m+text", ContentFormat.text],
  ["application/vnd.oma.lwm2m+opaq", ContentFormat.opaque],
  ["application/nanoservice-tlv", ContentFormat.tlv],
]);

/** The media type of a CoAP content format; null when it has none that is known. */
export function mediaTypeOf(contentFormat: number): string | null {
  return MEDIA_TYPES.get(SAME_FORMAT.get(contentFormat) ?? contentFormat) ?? null;
}

/** The CoAP content format of a media type, whatever its parameters; null when it has none that is known. */
export function contentFormatOf(mediaType: string): number | null {
  const end = mediaType.indexOf(";");
  const name = (end < 0 ? mediaType : mediaType.slice(0, end)).trim().toLowerCase();
  return CONTENT_FORMATS.get(name) ?? null;
}
