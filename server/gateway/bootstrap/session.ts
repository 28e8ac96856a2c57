import { type CoapEndpoint, CoapFailure, type CoapRequest } from "@/server/coap";
import { type Link, parseLinks } from "@/server/lwm2m";
import type { Peer } from "@/server/transport";
import type { DeviceFacts, LiveRegistration } from "../directory";
import type { Profile } from "../profiles";

const LINK_FORMAT = 40;
const STEP_TIMEOUT_MS = 100_000;
/**
 * How often a request that is not answered is sent, each time with a message ID of its own: for some ten minutes. Clients
 * wait EXCHANGE_LIFETIME (247 s) for the next one, Pelion's half an hour, and the word that the session is over may be
 * lost: an outage in the middle is outlasted, not left to their timers.
 */
const STEP_ATTEMPTS = 8;

export interface BootstrapQuery {
  endpointName: string | null;
  accountId: string | null;
  deviceId: string | null;
  /** `mccv`: the version of Pelion's client library. */
  clientVersion: string | null;
}

/** One device on its way through bootstrap. */
export interface BootstrapSession {
  readonly device: DeviceFacts;
  readonly endpointName: string;
  readonly peer: Peer;
  readonly profile: Profile;
  readonly mode: "certificate" | "est" | "nosec";
  readonly startedAt: number;
  readonly steps: Steps;
  /** Its entry is new, and the device has never heard of its ID. */
  fresh: boolean;
  /** Another one of the device took over, or it has ended: what comes to an end of it changes nothing any longer. */
  over: boolean;
  /** What the device had registered before it got its new account: void when that is confirmed. */
  former: LiveRegistration | null;
  /** Hears that the device has registered; set from Finish on. */
  onregistered: (() => void) | null;
}

/** A step of the session that did not work, with the device's own word where it said one. */
export class StepFailure extends Error {
  constructor(
    readonly step: string,
    message: string,
    readonly code?: string,
  ) {
    super(message);
  }
}

/** Sends the requests of one session, strictly one after the other. */
export class Steps {
  /**
   * Until the first answer, nothing sent has a message ID twice: Pelion's client ignores what comes ahead of the answer to
   * its Bootstrap-Request, and from then on every repetition of it.
   */
  #renew = true;

  constructor(
    private readonly peer: Peer,
    private readonly coap: CoapEndpoint,
    private readonly over: () => boolean,
  ) {}

  async request(step: string, request: CoapRequest) {
    for (let attempt = 1; ; attempt++) {
      if (this.over()) throw new StepFailure(step, "another Bootstrap-Request of the device took over");
      try {
        const { peer } = this;
        const response = await this.coap.request(peer, {
          ...request,
          timeoutMs: STEP_TIMEOUT_MS,
          renew: this.#renew,
        });
        this.#renew = false;
        return response;
      } catch (error) {
        if (!(error instanceof CoapFailure)) throw error;
        // Every request of bootstrap may be carried out twice.
        if (error.kind !== "timeout" || attempt === STEP_ATTEMPTS) throw new StepFailure(step, error.message);
      }
    }
  }

  /** A request that has to succeed. */
  async take(step: string, request: CoapRequest): Promise<void> {
    const response = await this.request(step, request);
    if (response.code.startsWith("2.")) return;
    const words = Buffer.from(response.payload).toString("utf8").slice(0, 200);
    throw new StepFailure(
      step,
      `the device answered ${response.code}${words ? ` (${words})` : ""}`,
      response.code,
    );
  }

  /** The client's objects, or null when it does not answer Bootstrap-Discover. */
  async discover(): Promise<Link[] | null> {
    const response = await this.request("Discover", { method: "GET", path: [], accept: LINK_FORMAT });
    if (response.code !== "2.05") return null;
    try {
      return parseLinks(Buffer.from(response.payload).toString("utf8"));
    } catch {
      return null;
    }
  }
}
