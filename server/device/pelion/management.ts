import { ContentFormat } from "@/server/lwm2m";
import { splitTlv, TlvType } from "@/server/lwm2m/tlv";
import type { PelionAnswer, PelionIncoming, Responder } from "./coap";
import type { Notifier } from "./notifier";
import type { PelionNode, PelionTree } from "./tree";

const { text: TEXT, opaque: OPAQUE, link: LINK, tlv: TLV, pelionTlv: OLD_TLV } = ContentFormat;
const WRITABLE: readonly number[] = [TEXT, OPAQUE, TLV, OLD_TLV];
const ATTRIBUTE = /^(pmin|pmax|gt|lt|st)=(-?\d+(?:\.\d+)?)$/;

/** Answers the requests of a LwM2M server as the client does, the one it does not survive included. */
export class PelionManagement {
  /** Executes that have not been answered yet. */
  readonly #busy = new Set<string>();

  constructor(
    private readonly tree: PelionTree,
    private readonly notifier: Notifier,
    /** The client reads through a null pointer and is gone. */
    private readonly crash: (why: string) => void,
  ) {}

  handle(request: PelionIncoming, responder: Responder): void {
    const path = request.path.join("/");
    if (path === ".well-known/core" && request.method === "GET") {
      responder.piggyback({
        code: "2.05",
        contentFormat: LINK,
        payload: this.tree.discover(null),
        token: false,
      });
      return;
    }
    // The security object is not shown to anyone.
    const node = request.path[0] === "0" ? null : this.tree.find(path);
    if (!node) {
      responder.piggyback({ code: this.#missing(request) });
      return;
    }
    if (request.method === "GET") {
      if (node.kind === "resourceInstance" && request.accept === LINK)
        this.crash(`GET /${path} with Accept 40`);
      else responder.piggyback(this.#get(node, request));
    } else if (request.method === "PUT") this.#put(node, request, responder);
    else if (request.method === "POST") this.#post(node, request, responder);
    else responder.piggyback({ code: "4.05" });
  }

  /** A POST at an unknown instance of a known object would create it, which no object here allows. */
  #missing({ method, path, payload }: PelionIncoming): "4.00" | "4.04" | "4.05" {
    if (method !== "POST" || path.length !== 2 || !this.tree.find(path[0] ?? "")) return "4.04";
    return payload.length > 0 ? "4.05" : "4.00";
  }

  #get(node: PelionNode, request: PelionIncoming): PelionAnswer {
    if (node.execute || node.readable === false) return { code: "4.05" };
    node.refresh?.();
    const answer = this.#content(node, request.accept);
    if (answer.code !== "2.05" || request.observe === null) return answer;
    // The value goes with the refusal.
    if (node.aobs !== null || request.token.length === 0) return { ...answer, code: "4.00" };
    if (!node.obs) return { ...answer, code: "4.05" };
    if (request.observe === 0) this.notifier.observe(node.path, request.token);
    else this.notifier.cancel(node.path);
    return { ...answer, observe: 0 };
  }

  #content(node: PelionNode, accept: number | null): PelionAnswer {
    const single = (node.kind === "resource" && !node.multiple) || node.kind === "resourceInstance";
    const formats: number[] = single ? [TEXT, OPAQUE, LINK, TLV, OLD_TLV] : [LINK, TLV, OLD_TLV];
    if (accept !== null && !formats.includes(accept)) return { code: "4.06" };
    const contentFormat = accept ?? (single ? (node.type === "opaque" ? OPAQUE : TEXT) : TLV);
    const payload =
      contentFormat === LINK
        ? this.tree.discover(node.path)
        : contentFormat === TLV || contentFormat === OLD_TLV
          ? this.tree.tlv(node.path)
          : (node.value ?? "");
    return { code: "2.05", contentFormat, payload };
  }

  #put(node: PelionNode, request: PelionIncoming, responder: Responder): void {
    if (request.query.length > 0) {
      responder.piggyback({ code: this.#attributes(node, request.query) ? "2.04" : "4.00" });
      return;
    }
    if (!node.writable) {
      responder.piggyback({ code: "4.05" });
      return;
    }
    const contentFormat = request.contentFormat ?? TEXT;
    if (!WRITABLE.includes(contentFormat)) {
      responder.piggyback({ code: "4.15" });
      return;
    }
    let value = request.payload;
    if (contentFormat === TLV || contentFormat === OLD_TLV) {
      const read = readTlv(node, request.payload);
      if (!read) {
        responder.piggyback({ code: "4.00" });
        return;
      }
      value = read;
    } else {
      // What comes as TLV is not looked at this closely.
      const refusal = node.check?.(Buffer.from(value).toString("utf8"));
      if (refusal) {
        responder.piggyback({ code: refusal });
        return;
      }
    }
    responder.piggyback({ code: "2.04" });
    if (value.length === 0) return;
    this.tree.set(node.path, Uint8Array.from(value));
    node.written?.();
  }

  #attributes(node: PelionNode, query: readonly string[]): boolean {
    const found: Record<string, number> = {};
    for (const item of query) {
      const [, name, value] = ATTRIBUTE.exec(item) ?? [];
      if (name) found[name] = Number(value);
    }
    if (Object.keys(found).length === 0) return false;
    this.notifier.attributes(node.path, found);
    return true;
  }

  /** Every POST is acknowledged at once; what comes of it is a message of its own, or nothing ever. */
  #post(node: PelionNode, request: PelionIncoming, responder: Responder): void {
    const { path } = node;
    if (this.#busy.has(path)) {
      responder.piggyback({ code: "4.12" });
      return;
    }
    responder.acknowledge();
    if (node.kind === "resourceInstance") {
      responder.separate({ code: "4.00" });
      return;
    }
    if (!node.execute) {
      responder.separate({ code: "4.05" });
      return;
    }
    this.#busy.add(path);
    // The server waits in vain, and so do those that come after it.
    if (request.contentFormat !== null && request.contentFormat !== TEXT) return;
    node.execute({
      arguments: request.payload,
      finish: (payload, delivered) => {
        this.#busy.delete(path);
        responder.separate(
          { code: "2.04", ...(payload !== undefined && { payload, contentFormat: TEXT }) },
          (delivery) => {
            if (delivery !== "closed") delivered?.();
          },
        );
      },
    });
  }
}

/** The value of a resource out of TLV, as the client keeps it; null when it is none. */
function readTlv(node: PelionNode, payload: Uint8Array): Uint8Array | null {
  try {
    const [entry] = splitTlv(payload);
    if (entry?.type !== TlvType.resource || entry.id !== Number(node.path.split("/")[2])) return null;
    if (node.type !== "integer" && node.type !== "time" && node.type !== "boolean") return entry.value;
    if (![1, 2, 4, 8].includes(entry.value.length)) return null;
    const big = BigInt.asIntN(
      entry.value.length * 8,
      BigInt(`0x${Buffer.from(entry.value).toString("hex")}`),
    );
    return new Uint8Array(Buffer.from(String(big)));
  } catch {
    return null;
  }
}
