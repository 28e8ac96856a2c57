import { ContentError } from "./errors";
import { formatPath, isWithin, type Path, parseIds } from "./paths";
import { cborScalar, decodeCbor } from "./senml";
import { typedValue } from "./typed";
import type { ContentValue } from "./values";

/** Reads LwM2M CBOR (11544): nested maps whose keys are ids or lists of ids. [LwM2M-Core 1.2 §7.5.6] */
export function decodeLwm2mCbor(payload: Uint8Array, path: Path): ContentValue[] {
  const document = decodeCbor(payload);
  if (!(document instanceof Map)) throw new ContentError("LwM2M CBOR: not a map.");
  const values = new Map<Path, ContentValue>();

  const walk = (node: unknown, ids: readonly number[]): void => {
    if (node instanceof Map) {
      for (const [key, inner] of node as Map<unknown, unknown>) walk(inner, [...ids, ...keyIds(key, ids)]);
      return;
    }
    const at = formatPath(ids);
    const raw = cborScalar(node);
    if (!raw || ids.length < 3) throw new ContentError(`LwM2M CBOR: ${at} holds no value of a resource.`);
    if (!isWithin(at, path)) throw new ContentError(`LwM2M CBOR: ${at} lies outside of ${path}.`);
    if (values.has(at)) throw new ContentError(`LwM2M CBOR: ${at} appears twice.`);
    values.set(at, { path: at, value: typedValue(raw, at) });
  };
  walk(document, []);
  return [...values.values()];
}

function keyIds(key: unknown, above: readonly number[]): number[] {
  const parts = Array.isArray(key) ? key : [key];
  const ids = parts.every((part) => typeof part === "number")
    ? parseIds([...above, ...(parts as number[])].map(String))
    : null;
  if (!ids || parts.length === 0)
    throw new ContentError(`LwM2M CBOR: a key below /${above.join("/")} is no id.`);
  return ids.slice(above.length);
}

/** Reads a single CBOR value (60) of a resource. */
export function decodeSingleCbor(payload: Uint8Array, path: Path): ContentValue[] {
  const raw = cborScalar(decodeCbor(payload));
  if (!raw) throw new ContentError(`CBOR: no single value for ${path}.`);
  return [{ path, value: typedValue(raw, path) }];
}
