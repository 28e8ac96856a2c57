import { ContentFormat } from "@/server/lwm2m";
import { splitTlv, type Tlv, TlvType } from "@/server/lwm2m/tlv";
import type { Delivery, PelionIncoming, Responder } from "./coap";
import { isCertificate, type PelionItems, readKey } from "./store";

export const MODE = { certificate: 2, noSecurity: 3, est: 4 } as const;
/** Instance of the bootstrap account in /0. */
const BOOTSTRAP_INSTANCE = 1;
/** The digits that the client looks at in a Delete: "(0-9)" or "(0-9)/(0-9)". */
const DELETE_LENGTHS = [0, 1, 3];
const CURRENT_TIME = 13;

/** What the client keeps in memory of an instance of /0; certificates and keys lie in the store. */
export interface SecurityInstance {
  uri: string;
  bootstrap: boolean;
  mode: number;
  shortServerId: number;
}

/** What a bootstrap wrote beside the security object. */
export interface ServerSettings {
  shortServerId: number;
  /** Seconds; null when it was not written. */
  lifetime: number | null;
  binding: string | null;
}

export interface BootstrapEvents {
  /** A write went into the store. */
  onstored(): void;
  /** The answer to Finish was acknowledged. */
  onfinished(deviceId: string | null): void;
  /** The client refused something and gives the bootstrap up. */
  onabort(reason: string): void;
  oncommand(what: string): void;
}

/** The client's part of a bootstrap session: writes reach its store at once, and stay there whatever comes after. */
export class PelionBootstrap {
  readonly security = new Map<number, SecurityInstance>();
  readonly server: ServerSettings = { shortServerId: 0, lifetime: null, binding: null };
  /** Seconds since 1970 as the server wrote them. */
  time: number | null = null;
  /** The answer to POST /bs has come. */
  accepted = false;
  #finishing = false;

  constructor(
    private readonly items: PelionItems,
    /** The bootstrap server's URI as it was used. */
    uri: string,
    private readonly events: BootstrapEvents,
  ) {
    this.security.set(BOOTSTRAP_INSTANCE, {
      uri,
      bootstrap: true,
      mode: uri.startsWith("coaps:") ? MODE.certificate : MODE.noSecurity,
      shortServerId: 0,
    });
  }

  /** The account that was written. */
  account(): SecurityInstance | null {
    return [...this.security.values()].find(({ bootstrap }) => !bootstrap) ?? null;
  }

  /** The URI to bootstrap at from now on: instance 1 may have been written. */
  bootstrapUri(): string {
    return [...this.security.values()].find(({ bootstrap }) => bootstrap)?.uri ?? this.items.bootstrap.uri;
  }

  handle(request: PelionIncoming, responder: Responder): void {
    const path = request.path.join("/");
    this.events.oncommand(`${request.method} /${path}`);
    switch (request.method) {
      case "PUT":
        this.#put(path, request, responder);
        break;
      case "DELETE":
        this.#delete(path, responder);
        break;
      case "POST":
        this.#finish(path, request, responder);
        break;
      default:
      // Nothing else is answered.
    }
  }

  #refuse(responder: Responder, reason: string): void {
    responder.piggyback({ code: "4.00" });
    this.events.onabort(reason);
  }

  // ---- writing

  #put(path: string, { contentFormat, payload }: PelionIncoming, responder: Responder): void {
    let fault: string | null;
    try {
      fault = this.#written(path, contentFormat, payload);
    } catch (error) {
      fault = (error as Error).message;
    }
    if (fault === null) responder.piggyback({ code: "2.04" });
    else this.#refuse(responder, `PUT /${path} was refused: ${fault}`);
  }

  /** Why the client refuses a write, or null. */
  #written(path: string, contentFormat: number | null, payload: Uint8Array): string | null {
    if (contentFormat !== ContentFormat.tlv && contentFormat !== ContentFormat.pelionTlv)
      return `content format ${contentFormat ?? "missing"}`;
    const entries = splitTlv(payload);
    if (entries[0]?.type !== TlvType.objectInstance) return "no object instance";
    // Only the first character of the path counts.
    switch (path[0]) {
      case "0":
        for (const { id, value } of entries) this.#writeSecurity(id, splitTlv(value));
        this.events.onstored();
        return this.#securityFault();
      case "1":
        return entries.every(({ id, value }) => this.#writeServer(id, splitTlv(value)))
          ? null
          : "server instance";
      case "3":
        return entries.every(({ value }) => this.#writeDevice(splitTlv(value))) ? null : "device resource";
      default:
        return "object";
    }
  }

  #writeSecurity(id: number, resources: Tlv[]): void {
    const instance: SecurityInstance = {
      uri: "",
      bootstrap: id === BOOTSTRAP_INSTANCE,
      mode: -1,
      shortServerId: 0,
    };
    // A write replaces the instance, but not what lies in the store.
    this.security.set(id, instance);
    let stored = true;
    for (const { id: resource, value } of resources) {
      const server = instance.bootstrap ? this.items.bootstrap : this.items.lwm2m;
      switch (resource) {
        case 0:
          instance.uri = Buffer.from(value).toString("utf8");
          break;
        case 1:
          instance.bootstrap = wholeOf(value) === 1;
          break;
        case 2:
          instance.mode = wholeOf(value);
          break;
        // What was there is deleted before the new one is looked at.
        case 3:
          server.chain = value.length > 0 && isCertificate(value) ? [Uint8Array.from(value)] : [];
          stored &&= value.length === 0 || server.chain.length > 0;
          break;
        case 4:
          server.serverCa = value.length > 0 && isCertificate(value) ? Uint8Array.from(value) : null;
          stored &&= value.length === 0 || server.serverCa !== null;
          break;
        case 5:
          server.privateKey = value.length > 0 ? readKey(value) : null;
          stored &&= value.length === 0 || server.privateKey !== null;
          break;
        case 10:
          instance.shortServerId = wholeOf(value);
          break;
        default:
      }
    }
    if (!stored) {
      this.events.onstored();
      throw new Error("a certificate or key cannot be stored");
    }
  }

  /** Every instance is judged by what lies in the store, not by what was just written. */
  #securityFault(): string | null {
    for (const [id, { uri, bootstrap, mode }] of this.security) {
      const { chain, privateKey, serverCa } = bootstrap ? this.items.bootstrap : this.items.lwm2m;
      const sizes = `invalid security object /0/${id}: mode ${mode}, chain ${chain.length}, CA ${serverCa?.length ?? 0}, key ${privateKey?.length ?? 0}`;
      if (!uri) return `invalid security object /0/${id}: no URI`;
      if (mode === MODE.certificate) {
        if (chain.length === 0 || !serverCa || !privateKey) return sizes;
      } else if (mode === MODE.est) {
        if (!bootstrap && (!serverCa || chain.length > 0 || privateKey)) return sizes;
      } else if (mode !== MODE.noSecurity) return sizes;
    }
    return null;
  }

  #writeServer(id: number, resources: Tlv[]): boolean {
    if (id !== 0) return false;
    for (const { id: resource, value } of resources) {
      if (resource === 0) this.server.shortServerId = wholeOf(value);
      else if (resource === 1) this.server.lifetime = wholeOf(value);
      else if (resource === 7) this.server.binding = Buffer.from(value).toString("utf8");
    }
    return true;
  }

  #writeDevice(resources: Tlv[]): boolean {
    for (const { id, value } of resources) {
      if (id !== CURRENT_TIME) return false;
      this.time = wholeOf(value);
    }
    return true;
  }

  // ---- deleting and the end

  #delete(path: string, responder: Responder): void {
    // Out of order it is not even answered.
    if (!this.accepted) return;
    if (!DELETE_LENGTHS.includes(path.length)) {
      this.#refuse(responder, `DELETE /${path}`);
      return;
    }
    responder.piggyback({ code: "2.02" });
    const [object, instance] = path.split("/");
    if (object !== "0" && object !== "") return;
    for (const [id, { bootstrap }] of this.security) {
      if (!bootstrap && (instance === undefined || id === Number(instance))) this.security.delete(id);
    }
  }

  #finish(path: string, { query }: PelionIncoming, responder: Responder): void {
    const account = this.account();
    const deviceId = query.find((item) => item.startsWith("iep="))?.slice(4) || null;
    if (path !== "bs") {
      this.#refuse(responder, `POST /${path}`);
      return;
    }
    if (!account) {
      this.#refuse(responder, "Finish without an account");
      return;
    }
    if (account.mode === MODE.est && !deviceId) {
      this.#refuse(responder, "Finish without iep");
      return;
    }
    this.server.shortServerId = account.shortServerId;
    responder.acknowledge();
    if (this.#finishing) return;
    this.#finishing = true;
    responder.separate({ code: "2.04" }, (delivery: Delivery) => {
      // The server may also just close, unless a certificate is still to be asked for.
      if (delivery === "ack" || (delivery === "closed" && account.mode !== MODE.est))
        this.events.onfinished(account.mode === MODE.est ? deviceId : null);
      else if (delivery === "reset") this.events.onabort("The answer to Finish was answered with a reset");
    });
  }
}

/** A whole number of one to eight bytes; the client does not mind other lengths. */
function wholeOf(value: Uint8Array): number {
  return value.length === 0 || value.length > 8 ? 0 : Number(`0x${Buffer.from(value).toString("hex")}`);
}
