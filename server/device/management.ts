import type { Clock } from "@/server/clock";
import type { Code, IncomingRequest, Notification, OutgoingResponse } from "@/server/coap/types";
import {
  attributeConflict,
  ContentError,
  ContentFormat,
  type ContentValue,
  decodeContent,
  type ExecuteArgument,
  encodeContent,
  formatLinks,
  formatPath,
  link,
  type Path,
  parseArguments,
  parseIds,
  resourceDefinition,
} from "@/server/lwm2m";
import { AttributeStore } from "./attributes";
import { Observations } from "./observations";
import type { ResourceTree } from "./tree";

const READABLE: readonly number[] = [
  ContentFormat.text,
  ContentFormat.opaque,
  ContentFormat.senmlJson,
  ContentFormat.senmlCbor,
  ContentFormat.tlv,
  ContentFormat.oldTlv,
  ContentFormat.pelionTlv,
];
const WRITABLE: readonly number[] = [
  ...READABLE,
  ContentFormat.json,
  ContentFormat.oldJson,
  ContentFormat.lwm2mCbor,
];

/** The content formats of {@link Management} as a client announces them. */
export const ANNOUNCED_FORMATS: readonly number[] = [
  ContentFormat.text,
  ContentFormat.opaque,
  ContentFormat.senmlJson,
  ContentFormat.senmlCbor,
  ContentFormat.tlv,
];

class Refusal extends Error {
  constructor(
    readonly code: Code,
    message: string,
  ) {
    super(message);
  }
}

/** Answers the device management requests of a server [LwM2M-Core 1.1.1 §6.3, §6.4]. */
export class Management {
  readonly attributes = new AttributeStore();
  readonly observations: Observations;

  constructor(
    private readonly tree: ResourceTree,
    private readonly lwm2mVersion: string,
    clock: Clock,
    defaultPmin: () => number,
  ) {
    this.observations = new Observations(clock, this.attributes, {
      notification: (path, contentFormat) => this.#notification(path, contentFormat),
      number: (path) => this.#number(path),
      defaultPmin,
    });
    tree.onchange = (path, exact) => this.observations.changed(path, exact);
  }

  handle(request: IncomingRequest): OutgoingResponse {
    try {
      const ids = parseIds(request.path);
      // The Security object is not for device management servers. [LwM2M-Core 1.1.1 §E.1]
      if (!ids || ids.length === 0 || ids[0] === 0) throw new Refusal("4.04", "There is no such path here.");
      return this.#dispatch(request, formatPath(ids), ids.length);
    } catch (error) {
      if (error instanceof Refusal) return { code: error.code, payload: error.message };
      if (error instanceof ContentError) return { code: "4.00", payload: error.message };
      throw error;
    }
  }

  #dispatch(request: IncomingRequest, path: Path, level: number): OutgoingResponse {
    switch (request.method) {
      case "GET":
        return request.accept === ContentFormat.link
          ? this.#discover(path, level)
          : this.#read(request, path, level);
      case "PUT":
        if (request.payload.length === 0 && request.contentFormat === null && request.query.length > 0) {
          return this.#writeAttributes(path, request.query);
        }
        return this.#write(request, path, level);
      case "POST":
        return this.#post(request, path, level);
      case "DELETE":
        return this.#delete(path, level);
      default:
        throw new Refusal("4.05", "This device has no composite operations.");
    }
  }

  #demand(path: Path): void {
    if (!this.tree.has(path)) throw new Refusal("4.04", `There is no ${path}.`);
  }

  #read(request: IncomingRequest, path: Path, level: number): OutgoingResponse {
    const resource = level >= 3 ? this.tree.resource(path) : null;
    if (level >= 3 && !resource) throw new Refusal("4.04", `There is no ${path}.`);
    if (resource && !resource.read) throw new Refusal("4.05", `${path} cannot be read.`);
    if (level === 4 && !(resource?.read?.() instanceof Map)) {
      throw new Refusal("4.00", `${path.slice(0, path.lastIndexOf("/"))} is not a multiple resource.`);
    }
    this.#demand(path);
    const { accept } = request;
    if (accept !== null && !READABLE.includes(accept))
      throw new Refusal("4.06", "This format cannot be made.");
    const answer = { code: "2.05" as const, ...this.#content(path, accept) };
    if (request.observe !== 0) return answer;

    const conflict = attributeConflict(this.attributes.effective(path));
    if (conflict) throw new Refusal("5.00", conflict);
    return { ...answer, observe: (observer) => this.observations.add(path, observer, accept) };
  }

  #content(path: Path, accept: number | null): { contentFormat: number; payload: Uint8Array } {
    const values = this.tree.values(path);
    const contentFormat = accept ?? this.#usualFormat(path, values);
    try {
      return { contentFormat, payload: encodeContent(contentFormat, path, values) };
    } catch (error) {
      if (error instanceof ContentError) throw new Refusal("4.06", error.message);
      throw error;
    }
  }

  #usualFormat(path: Path, values: readonly ContentValue[]): number {
    const only = values.length === 1 && values[0]!.path === path ? values[0]!.value : null;
    if (!only) return ContentFormat.tlv;
    return only.type === "opaque" ? ContentFormat.opaque : ContentFormat.text;
  }

  #notification(path: Path, contentFormat: number | null): Notification {
    if (!this.tree.has(path)) return { code: "4.04" };
    return this.#content(path, contentFormat);
  }

  #number(path: Path): number | null {
    const reading = this.tree.resource(path)?.read?.();
    if (!reading || reading instanceof Map) return null;
    const { type, value } = reading as ContentValue["value"];
    const numeric = type === "integer" || type === "unsigned" || type === "float" || type === "time";
    return numeric && value !== null ? Number(value) : null;
  }

  #discover(path: Path, level: number): OutgoingResponse {
    if (level > 3) throw new Refusal("4.00", "Discover ends at resources.");
    this.#demand(path);
    const links = this.tree
      .discover(path, this.lwm2mVersion)
      .map((one) => link(one.path, { ...one.attributes, ...this.attributes.own(one.path) }));
    return { code: "2.05", contentFormat: ContentFormat.link, payload: formatLinks(links) };
  }

  #writeAttributes(path: Path, query: readonly string[]): OutgoingResponse {
    this.#demand(path);
    const reason = this.attributes.write(path, query);
    if (reason) throw new Refusal("4.00", reason);
    this.observations.attributesChanged(path);
    return { code: "2.04" };
  }

  #write(request: IncomingRequest, path: Path, level: number): OutgoingResponse {
    if (level === 1) throw new Refusal("4.05", "A whole object cannot be written.");
    const resource = level >= 3 ? this.tree.resource(path) : null;
    if (level >= 3 && !resource) throw new Refusal("4.04", `There is no ${path}.`);
    if (resource && !resource.write) throw new Refusal("4.05", `${path} cannot be written.`);
    if (level === 4 && !resourceDefinition(path)?.multiple) {
      throw new Refusal("4.00", `${path.slice(0, path.lastIndexOf("/"))} is not a multiple resource.`);
    }
    this.#demand(path);
    const contentFormat = request.contentFormat ?? ContentFormat.text;
    if (!WRITABLE.includes(contentFormat)) throw new Refusal("4.15", "This format is not understood.");
    const values = decodeContent(contentFormat, request.payload, path);
    // All or nothing: what cannot be written is found before anything is.
    const writes = values.map((one) => {
      const target = this.tree.resource(one.path);
      if (!target) throw new Refusal("4.04", `There is no ${one.path}.`);
      if (!target.write) throw new Refusal("4.05", `${one.path} cannot be written.`);
      return () => target.write?.(one.value);
    });
    const afterwards = writes.map((write) => write());
    return {
      code: "2.04",
      sent: () => {
        for (const { path: written } of values) this.tree.changed(written);
        for (const run of afterwards) run?.();
      },
    };
  }

  #post(request: IncomingRequest, path: Path, level: number): OutgoingResponse {
    if (level === 1) {
      this.#demand(path);
      throw new Refusal(path === "/3303" ? "4.05" : "4.00", "No instance can be created here.");
    }
    if (level === 2) return this.#write(request, path, level);
    const resource = this.tree.resource(path);
    if (!resource || level === 4) throw new Refusal("4.04", `There is no ${path} to execute.`);
    if (!resource.execute) throw new Refusal("4.05", `${path} cannot be executed.`);
    if (request.contentFormat !== null && request.contentFormat !== ContentFormat.text) {
      throw new Refusal("4.15", "Arguments are plain text.");
    }
    const after = resource.execute(readArguments(request.payload));
    return after ? { code: "2.04", sent: after } : { code: "2.04" };
  }

  #delete(path: Path, level: number): OutgoingResponse {
    if (level >= 3) throw new Refusal("4.00", "A resource cannot be deleted.");
    this.#demand(path);
    throw new Refusal("4.05", `${path} cannot be deleted.`);
  }
}

function readArguments(payload: Uint8Array): ExecuteArgument[] {
  return parseArguments(Buffer.from(payload).toString("latin1"));
}
