import {
  CoapFailure,
  type CoapRequest,
  type CoapResponse,
  type IncomingRequest,
  type Observer,
  type OutgoingResponse,
} from "@/server/coap/types";
import type { Connect, LinkEvents } from "@/server/device";
import { ConnectError, type DeviceState, type StateStore } from "@/server/device";
import { boolean, encodeObjectInstance, type InstanceResource, integer, string } from "@/server/lwm2m";
import {
  type Bundle,
  createDeveloperCertificate,
  createRootAuthority,
  DeviceCertificateIssuer,
} from "@/server/pki";
import type { FakeClock } from "../../support/fake-clock";

export const BOOTSTRAP_URI = "coaps://gangway.example:5784";
export const LWM2M_URI = "coaps://gangway.example:5684?aid=0190";
const ACCOUNT = "0190".padEnd(32, "0");

/** A request as the server sees it. */
export interface Seen {
  uri: string;
  method: string;
  path: string;
  query: readonly string[];
  payload: string;
  at: number;
}

/** Both servers of a device, without a network: what it asks is written down, answers can be bent. */
export class FakeServers {
  readonly seen: Seen[] = [];
  readonly bundle: Bundle;
  readonly #issuer: DeviceCertificateIssuer;
  readonly #ca: Uint8Array;
  events: LinkEvents | null = null;
  deviceId = "0191".padEnd(32, "a");
  /** How long the certificates it issues are valid. */
  validMs = 365 * 86_400_000;
  /** Answers of the bootstrap session's commands, in order. */
  commands: string[] = [];
  onconnect: ((uri: string, transport: "udp" | "tcp") => void) | null = null;
  answer: ((seen: Seen) => Partial<CoapResponse> & { code: CoapResponse["code"] }) | null = null;
  /** Sends something else than the usual writes. */
  session:
    | ((send: (request: Partial<IncomingRequest>) => Promise<OutgoingResponse>) => Promise<void>)
    | null = null;
  links = 0;
  #registrations = 0;

  constructor(readonly clock: FakeClock) {
    const root = createRootAuthority("Test CA", 20, clock);
    this.#ca = root.certificate;
    this.#issuer = new DeviceCertificateIssuer(root, clock);
    const developer = createDeveloperCertificate({ accountId: ACCOUNT, endpointName: "dev-endpoint" }, clock);
    this.bundle = {
      version: 1,
      endpointName: "dev-endpoint",
      accountId: ACCOUNT,
      bootstrapUri: { udp: BOOTSTRAP_URI, tcp: BOOTSTRAP_URI.replace("coaps", "coaps+tcp") },
      certificate: developer.certificate,
      privateKey: developer.privateKey,
      serverCa: root.certificate,
    };
  }

  readonly connect: Connect = async (uri, _credentials, events) => {
    this.onconnect?.(uri.text, uri.transport);
    this.links++;
    this.events = events;
    let open = true;
    const bootstraps = uri.text.startsWith(this.bundle.bootstrapUri.udp) || uri.port === 5784;
    return {
      request: async (request) => {
        if (!open) throw new CoapFailure("closed", "closed");
        const response = this.#respond(uri.text, request);
        if (bootstraps && request.path.join() === "bs" && response.code === "2.04") {
          queueMicrotask(() => void this.#runSession(events));
        }
        return response;
      },
      close: () => {
        open = false;
        if (this.events === events) this.events = null;
        this.links--;
      },
    };
  };

  #respond(uri: string, request: CoapRequest): CoapResponse {
    const seen: Seen = {
      uri,
      method: request.method,
      path: `/${request.path.join("/")}`,
      query: request.query ?? [],
      payload: Buffer.from(request.payload ?? []).toString(),
      at: this.clock.now(),
    };
    this.seen.push(seen);
    const usual: CoapResponse["code"] =
      seen.path === "/rd" ? "2.01" : request.method === "DELETE" ? "2.02" : "2.04";
    const { payload = new Uint8Array(), ...rest } = { code: usual, ...this.answer?.(seen) };
    return {
      contentFormat: null,
      observe: null,
      maxAge: null,
      locationPath: rest.code === "2.01" ? ["rd", ACCOUNT, `r${++this.#registrations}`] : [],
      payload,
      ...rest,
    };
  }

  /** The resources of the account a server writes into /0/x. */
  security(change: Record<number, InstanceResource["value"] | null> = {}): InstanceResource[] {
    const issued = this.#issuer.issue({
      deviceId: this.deviceId,
      accountId: ACCOUNT,
      endpointName: "dev-endpoint",
      notAfter: new Date(this.clock.now() + this.validMs),
    });
    const usual: Record<number, InstanceResource["value"] | null> = {
      0: string(LWM2M_URI),
      1: boolean(false),
      2: integer(2),
      3: issued.certificate,
      4: this.#ca,
      5: issued.privateKey as Uint8Array,
      10: integer(1),
    };
    return Object.entries({ ...usual, ...change })
      .filter((entry): entry is [string, InstanceResource["value"]] => entry[1] !== null)
      .map(([id, value]) => ({ id: Number(id), value }));
  }

  async #runSession(events: LinkEvents): Promise<void> {
    const send = async (request: Partial<IncomingRequest>): Promise<OutgoingResponse> => {
      const response = await events.onrequest(incoming(request));
      this.commands.push(`${request.method} /${request.path?.join("/")} ${response.code}`);
      response.sent?.();
      return response;
    };
    if (this.session) return this.session(send);
    await send({
      method: "PUT",
      path: ["0"],
      contentFormat: 11542,
      payload: encodeObjectInstance(0, 0, this.security()),
    });
    await send({
      method: "PUT",
      path: ["1"],
      contentFormat: 11542,
      payload: encodeObjectInstance(1, 0, SERVER),
    });
    await send({ method: "POST", path: ["bs"], query: [`iep=${this.deviceId}`] });
  }

  /** A request of the server to the device. */
  async send(request: Partial<IncomingRequest>): Promise<OutgoingResponse> {
    const response = await this.events!.onrequest(incoming(request));
    response.sent?.();
    return response;
  }

  count(method: string, path: string): number {
    return this.seen.filter((one) => one.method === method && one.path.startsWith(path)).length;
  }
}

/** Object 1 as the server writes it. */
export const SERVER: InstanceResource[] = [
  { id: 0, value: integer(1) },
  { id: 1, value: integer(86_400) },
  { id: 6, value: boolean(true) },
  { id: 7, value: string("U") },
];

/** A refused handshake. */
export const refusal = () => new ConnectError("refused", "the server sent the alert certificate_expired");
/** Nobody there. */
export const unreachable = () => new ConnectError("unreachable", "connection refused");

/** A whole request out of what matters. */
export function incoming(request: Partial<IncomingRequest>): IncomingRequest {
  return {
    peer: null as unknown as IncomingRequest["peer"],
    method: "GET",
    path: [],
    query: [],
    confirmable: true,
    contentFormat: null,
    accept: null,
    payload: new Uint8Array(),
    token: "00",
    observe: null,
    ...request,
  };
}

/** An observer that writes down what it is told. */
export class FakeObserver implements Observer {
  readonly peer = null as unknown as Observer["peer"];
  readonly token = "01";
  readonly told: { at: number; code: string; text: string }[] = [];
  onend: Observer["onend"] = null;

  constructor(
    private readonly clock: FakeClock,
    readonly path: readonly string[],
  ) {}

  notify({ code = "2.05", payload = "" }: Parameters<Observer["notify"]>[0]): void {
    this.told.push({ at: this.clock.now(), code, text: Buffer.from(payload as string).toString() });
  }
}

/** State in memory. */
export class MemoryState implements StateStore {
  saves = 0;
  constructor(public state: DeviceState = { deviceId: null, account: null }) {}
  async load() {
    return this.state;
  }
  async save(state: DeviceState) {
    this.saves++;
    this.state = state;
  }
}

export const silentLog = { info() {}, warn() {} };
