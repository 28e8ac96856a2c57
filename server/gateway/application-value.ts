import type { ResourceValue } from "@/server/bus/messages";
import type { CoapResponse } from "@/server/coap";
import {
  ContentError,
  ContentFormat,
  decodeContent,
  encodeContent,
  mediaTypeOf,
  type Path,
  pathLevel,
} from "@/server/lwm2m";

type Content = Pick<CoapResponse, "contentFormat" | "payload">;

/** What a device sent, as applications get it. */
export interface ApplicationValue {
  /** Media type. */
  ct: string;
  /** Base64. */
  payload: string;
}

/** What a device sent, as it is: for applications that asked for this format. */
export function asSent({ contentFormat, payload }: Content): ApplicationValue {
  return {
    ct: mediaTypeOf(contentFormat ?? formatOfBytes(payload)) ?? "application/octet-stream",
    payload: base64(payload),
  };
}

/**
 * The same for applications that know only what Pelion's client sends: the value of a single resource as text, an
 * opaque one as its bytes, whatever format the device has chosen. Objects, instances and multiple resources stay as
 * they came.
 */
export function forApplication(path: Path, content: Content, rootPath = "/"): ApplicationValue {
  const { contentFormat, payload } = content;
  if (
    contentFormat === null ||
    contentFormat === ContentFormat.text ||
    contentFormat === ContentFormat.opaque
  )
    return asSent(content);
  if (pathLevel(path) < 3) return asSent(content);
  try {
    const [only, ...more] = decodeContent(contentFormat, payload, path, rootPath);
    if (only?.path !== path || more.length > 0) return asSent(content);
    return ofValue(path, only.value);
  } catch (error) {
    // What cannot be read here may well mean something to the application.
    if (error instanceof ContentError) return asSent(content);
    throw error;
  }
}

/** A single value, as text or, an opaque one, as its bytes; throws ContentError. */
export function ofValue(path: Path, value: ResourceValue): ApplicationValue {
  const contentFormat = value.type === "opaque" ? ContentFormat.opaque : ContentFormat.text;
  return asSent({ contentFormat, payload: encodeContent(contentFormat, path, value) });
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");

/** Who does not say what it sends means text where it can be read as such. */
function formatOfBytes(payload: Uint8Array): number {
  const text = Buffer.from(payload).toString("utf8");
  return /[^\P{Cc}\t\r\n]|\uFFFD/u.test(text) ? ContentFormat.opaque : ContentFormat.text;
}
