import type { CoapRequest, Method } from "../coap/types";
import { parseArguments } from "./arguments";
import { ContentFormat, encodeContent, encodePaths } from "./content";
import { ContentError } from "./errors";
import { type Path, parsePath, UNDEFINED_INSTANCE } from "./paths";
import { encodeTlv } from "./tlv";
import { type ContentValue, type ResourceValue, shown } from "./values";

/** The operations of a server on a client. */
export type Operation =
  | "read"
  | "discover"
  | "observe"
  | "write"
  | "update"
  | "execute"
  | "create"
  | "delete"
  | "writeAttributes"
  | "readComposite"
  | "observeComposite"
  | "writeComposite"
  | "bootstrapDiscover"
  | "bootstrapRead"
  | "bootstrapWrite"
  | "bootstrapDelete"
  | "bootstrapFinish";

interface OperationRule {
  method: Method;
  /** How many ids its path may have. */
  levels: readonly [min: number, max: number];
  /** Codes that mean it was done. [LwM2M-Transport 1.1.1 §6.4, §6.7] */
  success: readonly string[];
  /** Codes a client may refuse it with, apart from those every operation knows. */
  errors: readonly string[];
  accept?: number;
}

const COMMON_ERRORS = [
  "4.00",
  "4.01",
  "4.02",
  "4.03",
  "4.04",
  "4.05",
  "4.08",
  "4.12",
  "4.13",
  "5.00",
  "5.01",
  "5.03",
];

/** Everything that tells the operations apart. */
export const operations: Readonly<Record<Operation, OperationRule>> = {
  read: { method: "GET", levels: [1, 4], success: ["2.05"], errors: ["4.06"] },
  discover: {
    method: "GET",
    levels: [1, 3],
    success: ["2.05"],
    errors: ["4.06"],
    accept: ContentFormat.link,
  },
  // 2.04 is what older clients answer notifications with.
  observe: { method: "GET", levels: [1, 4], success: ["2.05", "2.04"], errors: ["4.06"] },
  write: { method: "PUT", levels: [2, 4], success: ["2.04"], errors: ["4.06", "4.15"] },
  update: { method: "POST", levels: [2, 3], success: ["2.04"], errors: ["4.06", "4.15"] },
  execute: { method: "POST", levels: [3, 3], success: ["2.04"], errors: ["4.15"] },
  create: { method: "POST", levels: [1, 1], success: ["2.01"], errors: ["4.06", "4.15"] },
  delete: { method: "DELETE", levels: [2, 4], success: ["2.02"], errors: [] },
  writeAttributes: { method: "PUT", levels: [1, 4], success: ["2.04"], errors: [] },
  readComposite: { method: "FETCH", levels: [0, 0], success: ["2.05"], errors: ["4.06", "4.15"] },
  observeComposite: { method: "FETCH", levels: [0, 0], success: ["2.05"], errors: ["4.06", "4.15"] },
  writeComposite: {
    method: "iPATCH",
    levels: [0, 0],
    success: ["2.04"],
    errors: ["4.06", "4.09", "4.15", "4.22"],
  },
  bootstrapDiscover: {
    method: "GET",
    levels: [0, 1],
    success: ["2.05"],
    errors: ["4.06"],
    accept: ContentFormat.link,
  },
  bootstrapRead: { method: "GET", levels: [1, 2], success: ["2.05"], errors: ["4.06"] },
  bootstrapWrite: { method: "PUT", levels: [1, 3], success: ["2.04"], errors: ["4.06", "4.15"] },
  bootstrapDelete: { method: "DELETE", levels: [0, 2], success: ["2.02"], errors: [] },
  bootstrapFinish: { method: "POST", levels: [0, 0], success: ["2.04"], errors: ["4.06"] },
};

/** What an operation needs besides its path. */
export interface OperationInput {
  /** The alternate root of the registration; default "/". Bootstrap requests have none. */
  rootPath?: string;
  accept?: number;
  contentFormat?: number;
  /** What to write, create or update. */
  content?: ResourceValue | readonly ContentValue[];
  /** A payload that is encoded already, for instance an object instance of a bootstrap write. */
  payload?: Uint8Array;
  /** Paths of a composite read. */
  paths?: readonly Path[];
  /** Arguments of an Execute. */
  args?: string;
  /** Attributes to write; null takes one away. */
  attributes?: Readonly<Record<string, number | null>>;
  query?: readonly string[];
}

/** The CoAP request of an operation; throws ContentError when it is refused before anything is sent. */
export function buildRequest(operation: Operation, path: Path, input: OperationInput = {}): CoapRequest {
  const rule = operations[operation];
  const ids = parsePath(path);
  if (!ids) throw new ContentError(`${shown(path)} is not a LwM2M path.`);
  if (ids.length < rule.levels[0] || ids.length > rule.levels[1]) {
    throw new ContentError(`The operation ${operation} is not possible on ${path}.`);
  }
  const rootPath = input.rootPath ?? "/";
  const segments =
    operation === "bootstrapFinish" ? ["bs"] : [...rootPath.split("/").filter(Boolean), ...ids.map(String)];
  const request: CoapRequest = { method: rule.method, path: segments };
  const accept = input.accept ?? rule.accept;
  if (accept !== undefined) request.accept = accept;
  if (input.query) request.query = input.query;

  const body = (contentFormat: number, payload: Uint8Array) => {
    request.contentFormat = contentFormat;
    request.payload = payload;
  };
  const contentFormat = input.contentFormat ?? ContentFormat.tlv;
  switch (operation) {
    case "write":
    case "update":
    case "create":
    case "writeComposite":
    case "bootstrapWrite":
      if (input.payload) body(contentFormat, input.payload);
      else if (!input.content) throw new ContentError(`The operation ${operation} needs something to write.`);
      else if (operation === "create")
        body(contentFormat, createPayload(path, contentFormat, input.content, rootPath));
      else {
        const format =
          operation === "writeComposite" ? (input.contentFormat ?? ContentFormat.senmlCbor) : contentFormat;
        body(format, encodeContent(format, path, input.content, rootPath));
      }
      break;
    case "execute":
      if (input.args) {
        parseArguments(input.args);
        body(ContentFormat.text, new Uint8Array(Buffer.from(input.args, "utf8")));
      }
      break;
    case "writeAttributes":
      request.query = attributeQuery(input.attributes ?? {});
      break;
    case "readComposite":
    case "observeComposite": {
      const format = input.contentFormat ?? ContentFormat.senmlCbor;
      body(format, encodePaths(format, input.paths ?? [], rootPath));
      if (accept === undefined) request.accept = format;
    }
  }
  return request;
}

// Without an instance id the resources come bare [LwM2M-Core 1.1.1 §6.3.6]; 65535 stands for "none given".
function createPayload(
  path: Path,
  contentFormat: number,
  content: ResourceValue | readonly ContentValue[],
  rootPath: string,
): Uint8Array {
  const undefinedInstance = `${path}/${UNDEFINED_INSTANCE}`;
  if (!("type" in content) && content.every((one) => one.path.startsWith(`${undefinedInstance}/`))) {
    const zero = content.map((one) => ({
      ...one,
      path: `${path}/0${one.path.slice(undefinedInstance.length)}`,
    }));
    return encodeTlv(zero, `${path}/0`);
  }
  return encodeContent(contentFormat, path, content, rootPath);
}

const ATTRIBUTE_NAMES = ["pmin", "pmax", "gt", "lt", "st", "epmin", "epmax"] as const;

/** The query of Write-Attributes; refuses combinations no client may take. [LwM2M-Core 1.1.1 §7.3.2] */
export function attributeQuery(attributes: Readonly<Record<string, number | null>>): string[] {
  for (const [name, value] of Object.entries(attributes)) {
    if (!ATTRIBUTE_NAMES.some((known) => known === name))
      throw new ContentError(`The attribute ${shown(name)} is not known.`);
    if (value === null) continue;
    if (!Number.isFinite(value)) throw new ContentError(`${name} is not a number.`);
    if (/^e?pm/.test(name) && (!Number.isInteger(value) || value < 0)) {
      throw new ContentError(`${name} is not a whole number of seconds.`);
    }
  }
  const reason = attributeConflict(attributes);
  if (reason) throw new ContentError(reason);
  return Object.entries(attributes).map(([name, value]) => (value === null ? name : `${name}=${value}`));
}

/** Why these attributes of one node contradict each other, or null. */
export function attributeConflict(
  attributes: Readonly<Record<string, number | null | undefined>>,
): string | null {
  const { pmin, pmax, epmin, epmax, gt, lt, st } = attributes;
  const both = (a: number | null | undefined, b: number | null | undefined): [number, number] | null =>
    typeof a === "number" && typeof b === "number" ? [a, b] : null;
  const period = both(pmin, pmax);
  if (period && period[0] > period[1]) return "pmin is greater than pmax.";
  const evaluation = both(epmin, epmax);
  if (evaluation && evaluation[0] >= evaluation[1]) return "epmin is not less than epmax.";
  if (typeof st === "number" && st < 0) return "st is negative.";
  const band = both(lt, gt);
  if (band && band[0] >= band[1]) return "lt is not less than gt.";
  if (band && typeof st === "number" && band[0] + 2 * st >= band[1]) return "lt + 2·st is not less than gt.";
  return null;
}

/** What a response code means for an operation. */
export type Outcome = "done" | "refused" | "invalid";

/** Judges a response code: done, refused by the client, or one this operation cannot have. */
export function judgeCode(operation: Operation, code: string): Outcome {
  const rule = operations[operation];
  if (rule.success.includes(code)) return "done";
  return COMMON_ERRORS.includes(code) || rule.errors.includes(code) ? "refused" : "invalid";
}

const CODE_WORDS: Readonly<Record<string, string>> = {
  "4.00": "the device calls the request malformed",
  "4.01": "the device does not allow it for this server",
  "4.02": "the device does not understand an option of the request",
  "4.03": "the device forbids it",
  "4.04": "the device has no such object, instance or resource",
  "4.05": "the device does not allow this operation here",
  "4.06": "the device cannot answer in an acceptable format",
  "4.08": "the device missed a part of the request",
  "4.09": "it conflicts with the state of the device",
  "4.12": "a precondition failed on the device",
  "4.13": "the request is too large for the device",
  "4.15": "the device does not know the format of the value",
  "4.22": "the device cannot process the content",
  "5.00": "the device had an internal error",
  "5.01": "the device has not implemented it",
  "5.03": "the device cannot do it at the moment",
};

/** What it means that a device answered with this code, for a person: "the device has no such …". */
export function describeCode(code: string): string {
  return CODE_WORDS[code] ?? (code.startsWith("5.") ? "the device failed" : "the device refused");
}
