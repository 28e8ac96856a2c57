import type { CoapRequest, CoapResponse, RequestHandler } from "@/server/coap/types";
import type { ServerUri } from "./uri";

/** A certificate with its key and what the server is checked against, all DER. */
export interface Credentials {
  certificate: Uint8Array;
  privateKey: Uint8Array;
  serverCa: Uint8Array;
}

/** One connection to a server, CoAP on it in both directions. */
export interface ServerLink {
  request(request: CoapRequest): Promise<CoapResponse>;
  close(): void;
}

/** What a connection tells its owner. */
export interface LinkEvents {
  onrequest: RequestHandler;
  /** Called once, unless the owner closed it. */
  onclose(reason: string): void;
}

/** Opens a connection; rejects with {@link ConnectError}. */
export type Connect = (
  uri: ServerUri,
  credentials: Credentials | null,
  events: LinkEvents,
) => Promise<ServerLink>;

/** Why there is no connection: nobody there, or credentials that one side refuses. */
export class ConnectError extends Error {
  constructor(
    readonly kind: "unreachable" | "refused",
    message: string,
  ) {
    super(message);
    this.name = "ConnectError";
  }
}

// Alerts about certificates [RFC5246 §7.2.2], by name, and our own refusal of the server's.
const REFUSALS =
  /certificate of .* was refused|(unsupported|bad|revoked|expired|unknown)[ _]certificate|certificate[ _](expired|revoked|unknown|required|not yet valid)|certificate verify failed|unknown[ _]ca|access[ _]denied|self.signed certificate/i;

/** True when a reason says that a certificate was not accepted. */
export const isRefusal = (reason: string): boolean => REFUSALS.test(reason);
