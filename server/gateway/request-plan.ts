import type { CoapFailure, CoapRequest, CoapResponse } from "@/server/coap";
import {
  ContentFormat,
  contentFormatOf,
  describeCode,
  type Path,
  parsePath,
  resourceDefinition,
} from "@/server/lwm2m";

/** What an application's request comes to on a device. */
export type RequestOperation = "read" | "write" | "execute" | "create" | "delete" | "configure";

/** A request of an application, as far as the device gets to see it. */
export interface ApplicationRequest {
  method: "GET" | "PUT" | "POST" | "DELETE";
  /** Path, and query where there is one. */
  uri: string;
  /** Media types; null: whatever suits. */
  accept: string | null;
  contentType: string | null;
  payload: Uint8Array;
}

export interface RequestPlan {
  operation: RequestOperation;
  path: Path;
  request: Pick<CoapRequest, "method" | "query" | "accept" | "contentFormat" | "payload">;
  /** The application named the format of the answer. */
  asked: boolean;
}

/** The path and the parts of the query of a uri; null when the path is none of LwM2M. */
export function readUri(uri: string): { path: Path; query: string[] } | null {
  const cut = uri.indexOf("?");
  const path = `/${(cut < 0 ? uri : uri.slice(0, cut)).split("/").filter(Boolean).join("/")}`;
  if (!parsePath(path)?.length) return null;
  const query = cut < 0 ? [] : uri.slice(cut + 1).split("&");
  return { path, query: query.filter((part) => part !== "").map(decoded) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * The request as it is sent. Without a wish of the application a single resource comes in the format that the device
 * prefers, everything else in TLV, which is also what objects and instances are written in; resources are written as
 * text. Null: a media type is not known.
 */
export function planRequest(application: ApplicationRequest): RequestPlan | null {
  const { method, uri, payload } = application;
  const target = readUri(uri);
  if (!target) return null;
  const { path, query } = target;
  const accept = wanted(application.accept);
  const contentFormat = wanted(application.contentType);
  if (accept === null || contentFormat === null) return null;
  const level = parsePath(path)?.length ?? 0;
  const asked = accept !== undefined;
  const sent = { method, ...(query.length > 0 && { query }), ...(asked && { accept }) };
  const withBody = (operation: RequestOperation): RequestPlan => ({
    operation,
    path,
    asked,
    request: {
      ...sent,
      contentFormat: contentFormat ?? (level > 2 ? ContentFormat.text : ContentFormat.tlv),
      payload,
    },
  });
  switch (method) {
    case "GET": {
      const single = level > 2 && !(level === 3 && resourceDefinition(path)?.multiple);
      return {
        operation: "read",
        path,
        asked,
        request: { ...sent, ...(!asked && !single && { accept: ContentFormat.tlv }) },
      };
    }
    case "PUT":
      // Only a query: Write-Attributes [LwM2M-Core 1.1.1 §6.4.4].
      return query.length > 0 && payload.length === 0
        ? { operation: "configure", path, asked, request: sent }
        : withBody("write");
    case "POST":
      if (level === 1) return withBody("create");
      if (level === 2) return withBody("write");
      return payload.length > 0 ? withBody("execute") : { operation: "execute", path, asked, request: sent };
    case "DELETE":
      return { operation: "delete", path, asked, request: sent };
  }
}

/** The content format of a media type that an application names; undefined when it leaves the choice. */
function wanted(mediaType: string | null): number | undefined | null {
  const name = mediaType?.trim() ?? "";
  return name === "" || name.startsWith("*/*") ? undefined : contentFormatOf(name);
}

/** Statuses of Pelion's async responses; for what it has none the proxy's [RFC8075 §7]. */
const STATUSES: Readonly<Record<string, number>> = {
  "4.04": 404,
  "4.06": 406,
  "4.12": 412,
  "4.13": 413,
  "4.15": 415,
  "5.00": 500,
  "5.01": 501,
  "5.03": 503,
  "5.04": 504,
};

/** What an application is told of a code that a device answered with. */
export function statusOf(code: string): number {
  if (code.startsWith("2.")) return 200;
  return STATUSES[code] ?? (code.startsWith("4.") ? 400 : 502);
}

/** Why the device refused, in words: what its code means and what it said itself. */
export function refusalOf({ code, payload }: Pick<CoapResponse, "code" | "payload">): string {
  const words = Buffer.from(payload)
    .toString("utf8", 0, 400)
    .replace(/[\p{Cc}\uFFFD]/gu, " ")
    .trim()
    .slice(0, 200);
  return `${describeCode(code)} (${code}${words && `: ${words}`})`;
}

/** How a request ended that got no answer. */
export interface Ending {
  status: number;
  error: string;
}

/** What an application is told when there is no answer. */
export function endingOf(failure: CoapFailure, transport: string): Ending {
  switch (failure.kind) {
    case "timeout":
      return { status: 504, error: "TIMEOUT" };
    case "too_large":
      return { status: 413, error: failure.message };
    case "bad_response":
      return { status: 502, error: failure.message };
    case "reset":
    case "closed":
    case "cancelled":
      return transport === "tcp" || transport === "tls"
        ? { status: 502, error: "CONNECTION_FAILED" }
        : { status: 503, error: "NOT_CONNECTED" };
  }
}
