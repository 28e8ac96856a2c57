import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Clock } from "@/server/clock";
import { signatureHeaders } from "./signature";
import { type CallbackTargets, RefusedTarget } from "./targets";

/** More of an answer is not read. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** Where a callback goes, and what goes with every delivery. */
export interface CallbackTarget {
  url: string;
  headers: Readonly<Record<string, string>>;
  signingKey: Uint8Array;
}

/** How a delivery ended: `error` is a sentence for a person, empty when it was taken. */
export interface CallbackResult {
  /** HTTP status; null when there was no answer. */
  status: number | null;
  error: string;
  durationMs: number;
}

/** Sends to one callback, over a connection that stays open between deliveries. */
export class CallbackSender {
  readonly #http = new HttpAgent({ keepAlive: true, maxSockets: 1 });
  readonly #https = new HttpsAgent({ keepAlive: true, maxSockets: 1 });
  readonly #closed = new AbortController();

  constructor(
    private readonly targets: CallbackTargets,
    private readonly clock: Clock,
  ) {}

  /** PUTs a body; never throws. Statuses 200 and 204 mean that it was taken. */
  async put(target: CallbackTarget, id: string, body: string, timeoutMs: number): Promise<CallbackResult> {
    const start = this.clock.now();
    let status: number | null = null;
    let error: string;
    try {
      status = await this.#request(target, id, body, timeoutMs).catch((cause: unknown) => {
        // It closed a connection that was idle just when we took it again: that says nothing about this delivery.
        if (cause instanceof StaleConnection) return this.#request(target, id, body, timeoutMs);
        throw cause;
      });
      error = words(status);
    } catch (cause) {
      error = reason(cause);
    }
    return { status, error, durationMs: this.clock.now() - start };
  }

  /** Cuts what is under way and ends the connection. */
  close(): void {
    this.#closed.abort(new Error("It was called off."));
    this.#http.destroy();
    this.#https.destroy();
  }

  #request(target: CallbackTarget, id: string, body: string, timeoutMs: number): Promise<number> {
    const url = new URL(target.url);
    this.targets.checkLiteral(url.hostname);
    const secure = url.protocol === "https:";
    return new Promise((resolve, reject) => {
      let answer: IncomingMessage | undefined;
      const request = (secure ? httpsRequest : httpRequest)(url, {
        method: "PUT",
        agent: secure ? this.#https : this.#http,
        lookup: this.targets.lookup,
        signal: this.#closed.signal,
        headers: {
          "Content-Type": "application/json",
          "User-Agent": "Gangway",
          ...target.headers,
          "Content-Length": Buffer.byteLength(body),
          ...signatureHeaders(target.signingKey, id, this.clock.now(), body),
        },
      });
      // With the status there is all that matters, even if the rest of the answer never comes.
      const settle = (error: Error) => {
        timer.cancel();
        if (answer?.statusCode !== undefined) resolve(answer.statusCode);
        else reject(request.reusedSocket && isCut(error) ? new StaleConnection() : error);
      };
      const timer = this.clock.after(timeoutMs, () => {
        request.destroy(new Error(`It did not answer within ${timeoutMs / 1000} s.`));
      });
      request.once("error", settle);
      request.once("close", () => settle(new Error("It ended the connection without an answer.")));
      request.once("response", (response: IncomingMessage) => {
        answer = response;
        let length = 0;
        response.on("data", (chunk: Buffer) => {
          length += chunk.length;
          if (length > MAX_ANSWER_BYTES) response.destroy();
        });
        response.once("error", settle);
      });
      request.end(body);
    });
  }
}

/** A connection that was kept open is gone. */
class StaleConnection extends Error {
  override message = "It cut the connection.";
}

const isCut = (error: Error) => "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE");

function words(status: number): string {
  if (status === 200 || status === 204) return "";
  const redirect = status >= 300 && status < 400 ? "; redirects are not followed" : "";
  return `It answered ${status} instead of 200 or 204${redirect}.`;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: "Its host name is not known.",
  EAI_AGAIN: "Its host name could not be looked up.",
  ECONNREFUSED: "It refused the connection.",
  ECONNRESET: "It cut the connection.",
  EPIPE: "It cut the connection.",
  EHOSTUNREACH: "It cannot be reached.",
  ENETUNREACH: "It cannot be reached.",
  ETIMEDOUT: "It cannot be reached.",
  CERT_HAS_EXPIRED: "Its certificate has expired.",
  DEPTH_ZERO_SELF_SIGNED_CERT: "Its certificate is self-signed.",
  SELF_SIGNED_CERT_IN_CHAIN: "Its certificate comes from a CA that is not known here.",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "Its certificate comes from a CA that is not known here.",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "Its certificate comes from a CA that is not known here.",
  ERR_TLS_CERT_ALTNAME_INVALID: "Its certificate is for another host.",
};

function reason(error: unknown): string {
  if (error instanceof AggregateError) return reason(error.errors[0]);
  if (!(error instanceof Error)) return "It cannot be reached.";
  if (error instanceof RefusedTarget) return error.message;
  const code = "code" in error ? String(error.code) : "";
  if (code.startsWith("HPE_") || code === "EPROTO") return "It does not speak this protocol.";
  return REASONS[code] ?? (code === "" ? error.message : `It cannot be reached (${code}).`);
}
