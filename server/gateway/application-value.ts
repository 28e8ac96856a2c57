import type { PathValue, ResourceValue } from "@/server/bus/messages";
import type { CoapResponse } from "@/server/coap";
import {
  ContentError,
  ContentFormat,
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

/** The same, and when it was true (ms); null: when it came. */
export type Sample = ApplicationValue & { at: number | null };

/**
 * The same for applications that know only what Pelion's client sends: the value of a single resource as text, an
 * opaque one as its bytes, whatever format the device has chosen; of several with times of their own each by itself, the
 * newest last. Objects, instances and multiple resources stay as they came. `values` is what was read from the content.
 */
export function samplesOf(path: Path, content: Content, values: readonly PathValue[]): [Sample, ...Sample[]] {
  const asItCame: [Sample] = [{ ...asSent(content), at: null }];
  const { contentFormat } = content;
  if (
    contentFormat === null ||
    contentFormat === ContentFormat.text ||
    contentFormat === ContentFormat.opaque
  )
    return asItCame;
  if (pathLevel(path) < 3 || values.some((value) => value.path !== path)) return asItCame;
  try {
    const [first, ...more] = values.map(({ value, at }) => ({ ...ofValue(path, value), at }));
    return first ? [first, ...more] : asItCame;
  } catch (error) {
    // What cannot be written as text may well mean something to the application.
    if (error instanceof ContentError) return asItCame;
    throw error;
  }
}

/** The newest of them. */
export function forApplication(path: Path, content: Content, values: readonly PathValue[]): ApplicationValue {
  const { ct, payload } = samplesOf(path, content, values).at(-1) as Sample;
  return { ct, payload };
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
