import type { Clock } from "@/server/clock";
import {
  type CoapEndpoint,
  CoapFailure,
  type CoapRequest,
  type IncomingRequest,
  type OutgoingResponse,
} from "@/server/coap";
import type { Entry, GroupCommit } from "@/server/db";
import {
  encodeObjectInstance,
  encodeResources,
  type Link,
  parseLinks,
  type ResourceValue,
} from "@/server/lwm2m";
import { DerError, type DeviceCertificateIssuer } from "@/server/pki";
import {
  claimEntries,
  finishBootstrap,
  insertDevice,
  putCredentials,
  startBootstrap,
} from "@/server/services/enrollment/statements";
import { enrollmentIdentity } from "@/server/services/enrollments/identity";
import { clearRegistration } from "@/server/services/registrations/statements";
import type { Peer } from "@/server/transport";
import { type Admissions, formatAddress } from "../admission";
import type { DeviceFacts, Directory, LiveRegistration } from "../directory";
import { type CertificateEnrolment, enrolmentAnswer, isEnrolment } from "../est";
import { identityOf } from "../identity";
import { endNotice } from "../notices";
import type { Notifier } from "../notifier";
import type { Timeline } from "../timeline";
import { type AccountPlace, placeAccount } from "./account";

const TLV = 11542;
const LINK_FORMAT = 40;
/** Short server id of the LwM2M account that is handed out. */
const SHORT_SERVER_ID = 1;
/** A client waits EXCHANGE_LIFETIME (247 s) for the next request; one that does not answer for this long is gone. */
const STEP_TIMEOUT_MS = 100_000;
/** How often a request that is not answered is sent, each time with a message ID of its own. */
const STEP_ATTEMPTS = 2;
/**
 * The first request of a session is given up sooner: Pelion's client ignores it, with all its repetitions, when it comes
 * ahead of the answer to the Bootstrap-Request.
 */
const FIRST_STEP_MS = 12_000;
/** Security modes of /0/x/2 [LwM2M-Core 1.1.1 §E.1]. */
const MODE_CERTIFICATE = 2;
const MODE_NOSEC = 3;
/** Pelion's own: the device makes its key and asks for a certificate on the same connection. */
const MODE_EST = 4;
const MODES = { certificate: MODE_CERTIFICATE, est: MODE_EST, nosec: MODE_NOSEC } as const;
/** Certificate usage of /0/x/15: the CA in /0/x/4 is the trust anchor. */
const USAGE_TRUST_ANCHOR = 2;

export interface BootstrapOptions {
  clock: Clock;
  coap: () => CoapEndpoint;
  directory: Directory;
  admissions: Admissions;
  commit: GroupCommit;
  timeline: Timeline;
  notifier: Notifier;
  issuer: DeviceCertificateIssuer;
  enrolment: CertificateEnrolment;
  /** Whether devices of Pelion's kind make their own keys in this account. */
  usesEst(accountId: string): boolean;
  /** DER. */
  serverCa: Uint8Array;
  /** DER; what a LwM2M 1.0 client pins. */
  lwm2mCertificate: Uint8Array;
  /** Where a device that came over this transport is to register, for instance "coaps://host:5684". */
  lwm2mUri(transport: Peer["transport"]): string;
  /** How long an issued LwM2M certificate is valid, ms. */
  certificateLifetimeMs: number;
  /** Lifetime that is written into /1/x/1, seconds. */
  registrationLifetime(accountId: string): number;
  onchange(device: DeviceFacts, change: "created" | "updated"): void;
  /** The registration that a device had before it bootstrapped again is void. */
  onended(registration: LiveRegistration): void;
  /** An error that is no device's fault. */
  onerror(error: unknown): void;
}

interface BootstrapQuery {
  endpointName: string | null;
  accountId: string | null;
  deviceId: string | null;
  /** `mccv`: a client of Pelion's kind, which has rules of its own for what may be written how. */
  clientVersion: string | null;
}

type Resources = { id: number; value: ResourceValue | Uint8Array }[];

/** Pelion's client keeps its bootstrap account at /0/1 and cannot be asked. */
const PELION_PLACE: AccountPlace = { securityInstance: 0, serverInstance: 0, lwm2mVersion: "1.0" };

/** What an issued certificate brings into the security object. */
interface Credentials {
  certificate: Uint8Array;
  privateKey: Uint8Array;
  fingerprint: string;
  notAfter: number;
}

/** What came out of a session: what is written into the directory. */
interface Outcome {
  fingerprint: string | null;
  notAfter: number | null;
}

interface Session {
  device: DeviceFacts;
  endpointName: string;
  peer: Peer;
  query: BootstrapQuery;
  mode: "certificate" | "est" | "nosec";
  /** Its entry is new, and the device has never heard of its ID. */
  fresh: boolean;
  cancelled: boolean;
  startedAt: number;
  steps: Steps;
  /** What the device had registered before it got its new account: void when that is confirmed. */
  former: LiveRegistration | null;
}

/** Most devices that hold a key of an enrolment that broke off are soon back. */
const REMEMBERED_TRAPS = 10_000;

/** Answers Bootstrap-Requests and takes each device through its session [LwM2M-Core 1.1.1 §6.1.7]. */
export class BootstrapServer {
  readonly #sessions = new Map<string, Session>();
  /** Sessions whose device is to ask for a certificate now. */
  readonly #enrolling = new WeakMap<Peer, Session>();
  /** How many devices, by certificate and address, hold a key of an enrolment which broke off. */
  readonly #trapped = new Map<string, number>();

  constructor(private readonly options: BootstrapOptions) {}

  async handle(request: IncomingRequest): Promise<OutgoingResponse> {
    if (isEnrolment(request.path)) return request.method === "POST" ? this.#enrol(request) : { code: "4.05" };
    if (request.path.length !== 1 || request.path[0] !== "bs") return { code: "4.04" };
    if (request.method !== "POST") return { code: "4.05" };
    if (!request.confirmable) return { code: "4.00", payload: "A Bootstrap-Request is sent as CON." };
    const query = parseQuery(request.query);
    if (typeof query === "string") return { code: "4.00", payload: query };
    if (!query.endpointName && !identityOf(request.peer))
      return { code: "4.00", payload: "A device without transport security has to name itself (ep)." };
    return this.#start(request.peer, query);
  }

  async #start(peer: Peer, query: BootstrapQuery): Promise<OutgoingResponse> {
    const { admissions, timeline, directory, commit, clock } = this.options;
    const pelion = query.clientVersion !== null;
    // It never acknowledges a separate response, and its blocks are half as large as others'.
    if (pelion) this.options.coap().adjust(peer, { blockSize: 512, piggybackMs: Number.POSITIVE_INFINITY });
    const admission = await admissions.admit(peer, { ...query, keepsDeviceId: pelion });
    const from = { address: formatAddress(peer), transport: peer.transport };
    if (!admission.ok) {
      const { accountId, caId, message } = admission;
      const name = query.endpointName ?? identityOf(peer)?.commonName;
      timeline.knock("bootstrap.refused", `bs ${accountId} ${peer.remote.address} ${message}`, {
        accountId,
        deviceId: null,
        data: {
          ...from,
          reason: message,
          code: "4.03",
          ...(name && { endpointName: name }),
          ...(caId && { trustedCertificateId: caId }),
        },
      });
      return { code: "4.03", payload: message };
    }

    const { device, created, endpointName, row, claim, claimed } = admission;
    directory.takeUnfinished(device, peer.remote.address);
    try {
      await commit.addAll([
        [created ? insertDevice : startBootstrap, row],
        ...(claim ? claimEntries(claim) : []),
      ]);
    } catch (error) {
      if (created) directory.removeDevice(device.id);
      throw error;
    }
    const { accountId, id: deviceId } = device;
    timeline.note("bootstrap.requested", {
      accountId,
      deviceId,
      data: { ...from, endpointName, again: !created },
    });
    if (created) timeline.note("bootstrap.device-created", { accountId, deviceId, data: { endpointName } });
    if (claim && claimed) {
      const identity = enrollmentIdentity(claim.fingerprint);
      timeline.note("device.claimed", { accountId, deviceId, data: { identity } });
    }
    this.options.onchange(device, created ? "created" : "updated");

    // A second authorised request of the device takes over; an answer of the first that comes late is nobody's.
    const former = this.#sessions.get(deviceId);
    if (former) former.cancelled = true;
    const session: Session = {
      device,
      endpointName,
      peer,
      query,
      mode: this.#mode(peer, query, accountId),
      fresh: created || (pelion && query.deviceId === null && device.identity.startsWith("id:")),
      cancelled: false,
      startedAt: clock.now(),
      steps: new Steps(peer, this.options.coap(), () => session.cancelled),
      former: null,
    };
    this.#sessions.set(deviceId, session);
    const before = peer.onclose;
    peer.onclose = (reason) => {
      before?.(reason);
      if (this.#enrolling.get(peer) === session)
        this.#fail(session, new StepFailure("the enrolment", reason));
    };
    // The first request may not overtake the answer.
    return {
      code: "2.04",
      sent: () => {
        this.#run(session).catch((error) => this.#fail(session, error));
      },
      repeated: () => session.steps.missed(),
    };
  }

  #mode(peer: Peer, query: BootstrapQuery, accountId: string): Session["mode"] {
    if (!identityOf(peer)) return "nosec";
    // The reference device calls itself by our own name and leaves its key to the server.
    const makesKeys = query.clientVersion !== null && !query.clientVersion.startsWith("gangway-");
    if (!makesKeys || !this.options.usesEst(accountId)) return "certificate";
    const trapped = this.#trapped.get(trapKey(peer)) ?? 0;
    if (trapped === 0) return "est";
    if (trapped === 1) this.#trapped.delete(trapKey(peer));
    else this.#trapped.set(trapKey(peer), trapped - 1);
    return "certificate";
  }

  async #run(session: Session): Promise<void> {
    const { commit } = this.options;
    const { device, peer, endpointName, query, mode, steps } = session;
    const { accountId, id: deviceId } = device;
    const pelion = query.clientVersion !== null;
    const place = pelion ? PELION_PLACE : placeAccount(await discover(steps), SHORT_SERVER_ID);

    const credentials = mode === "certificate" ? this.#credentials(device, endpointName) : null;
    const uri = pelion
      ? `${pelionScheme(this.options.lwm2mUri(peer.transport))}?aid=${accountId}`
      : this.options.lwm2mUri(peer.transport);
    if (credentials) this.#issued(session, credentials, uri);
    // It checks an account that is already there together with the new one, and refuses both.
    if (pelion) await steps.take("Delete (/0)", { method: "DELETE", path: ["0"] });
    try {
      await this.#write(
        steps,
        device,
        pelion,
        0,
        place.securityInstance,
        this.#security(uri, place, mode, credentials),
      );
    } catch (error) {
      // A key that an interrupted enrolment left on the device makes it refuse the mode for good; with a key from
      // here it is free again.
      if (mode === "est" && error instanceof StepFailure && error.code === "4.00") this.#trap(peer);
      throw error;
    }
    await this.#write(steps, device, pelion, 1, place.serverInstance, this.#server(peer, accountId, pelion));
    if (credentials && session.fresh) {
      await commit.add(putCredentials, {
        id: deviceId,
        deviceKey: credentials.fingerprint,
        connectorExpirationDate: credentials.notAfter,
      });
      session.fresh = false;
    }
    if (mode === "est") this.#enrolling.set(peer, session);
    // From here on the device may register anew, also before its answer is here.
    session.former = this.options.directory.registrationOf(deviceId) ?? null;
    device.rebootstrapPending = false;
    try {
      await steps.take("Finish", {
        method: "POST",
        path: ["bs"],
        ...(pelion && { query: [`iep=${deviceId}`] }),
      });
    } catch (error) {
      // Who registers with the new account has confirmed it, whatever became of the answer.
      const since = this.options.directory.registrationOf(deviceId);
      if (session.cancelled || !since || since === session.former) throw error;
    }
    if (mode !== "est")
      await this.#finish(session, {
        fingerprint: credentials?.fingerprint ?? null,
        notAfter: credentials?.notAfter ?? null,
      });
  }

  /** A certificate for the key that the device made, which ends its bootstrap. */
  async #enrol({ peer, payload }: IncomingRequest): Promise<OutgoingResponse> {
    const session = this.#enrolling.get(peer);
    // Its answer to a refusal is to wait until the connection ends, and then to bootstrap again.
    if (!session || session.cancelled)
      return { code: "4.03", payload: "There is no bootstrap under way.", sent: () => peer.close() };
    const { device, endpointName } = session;
    try {
      const enrolled = this.options.enrolment.enrol(payload, {
        deviceId: device.id,
        accountId: device.accountId,
        endpointName,
      });
      this.#enrolling.delete(peer);
      session.fresh = false;
      this.#issued(session, enrolled, null);
      await this.#finish(session, enrolled);
      return enrolmentAnswer([enrolled.certificate]);
    } catch (error) {
      this.#enrolling.delete(peer);
      const reason =
        error instanceof DerError ? `the certificate request cannot be used: ${error.message}` : null;
      this.#trap(peer);
      this.#fail(session, reason ? new StepFailure("the enrolment", reason, "4.00") : error);
      return { code: reason ? "4.00" : "5.00", sent: () => peer.close() };
    }
  }

  #issued(
    session: Session,
    { fingerprint, notAfter }: { fingerprint: string; notAfter: number },
    uri: string | null,
  ) {
    const { accountId, id: deviceId } = session.device;
    this.options.timeline.note("bootstrap.credentials-issued", {
      accountId,
      deviceId,
      data: { fingerprint, notAfter: new Date(notAfter).toISOString(), ...(uri && { serverUri: uri }) },
    });
  }

  /** The device has everything: what it had registered before is void. */
  async #finish(session: Session, outcome: Outcome): Promise<void> {
    const { commit, clock, directory, timeline, notifier } = this.options;
    const { device, former } = session;
    const { accountId, id: deviceId } = device;
    const at = clock.now();
    const ended = former && directory.removeRegistration(former) ? former : null;
    if (ended) this.options.onended(ended);
    const rows: Entry[] = [
      ...(ended
        ? [
            ...clearRegistration({ ...ended, at }),
            ...notifier.broadcast(accountId, "de-registrations", () => endNotice(ended, at)),
          ]
        : []),
      [
        finishBootstrap,
        { id: deviceId, deviceKey: outcome.fingerprint, connectorExpirationDate: outcome.notAfter, at },
      ],
    ];
    await commit.addAll(rows);
    notifier.written(accountId, rows);
    this.#end(session);
    timeline.note("bootstrap.finished", {
      accountId,
      deviceId,
      data: { durationMs: at - session.startedAt },
    });
    this.options.onchange(device, "updated");
  }

  #fail(session: Session, error: unknown): void {
    const { device, peer, fresh } = session;
    this.#enrolling.delete(peer);
    this.#end(session);
    if (session.cancelled) return;
    if (fresh && device.identity.startsWith("id:"))
      this.options.directory.leaveUnfinished(device, peer.remote.address);
    const { step, reason, code } = describeFailure(error);
    this.options.timeline.note("bootstrap.failed", {
      accountId: device.accountId,
      deviceId: device.id,
      data: { reason, ...(step && { step }), ...(code && { code }) },
    });
    if (!(error instanceof StepFailure)) this.options.onerror(error);
    // A device that hears nothing waits for its own timers, half an hour and more; at the end of its session it starts over.
    peer.close();
  }

  #end(session: Session): void {
    if (this.#sessions.get(session.device.id) === session) this.#sessions.delete(session.device.id);
  }

  #trap(peer: Peer): void {
    if (this.#trapped.size >= REMEMBERED_TRAPS) this.#trapped.clear();
    this.#trapped.set(trapKey(peer), (this.#trapped.get(trapKey(peer)) ?? 0) + 1);
  }

  /** A fresh key and certificate; both leave the process with the write and are kept nowhere. */
  #credentials(device: DeviceFacts, endpointName: string): Credentials {
    const now = this.options.clock.now();
    const issued = this.options.issuer.issue({
      deviceId: device.id,
      accountId: device.accountId,
      endpointName,
      notAfter: new Date(now + this.options.certificateLifetimeMs),
    });
    if (!issued.privateKey) throw new Error("The issuer made no key.");
    return { ...issued, privateKey: issued.privateKey, notAfter: issued.notAfter.getTime() };
  }

  #security(
    uri: string,
    place: AccountPlace,
    mode: Session["mode"],
    credentials: Credentials | null,
  ): Resources {
    const resources: Resources = [
      { id: 0, value: { type: "string", value: uri } },
      { id: 1, value: { type: "boolean", value: false } },
      { id: 2, value: { type: "integer", value: String(MODES[mode]) } },
    ];
    if (mode === "est") resources.push({ id: 4, value: this.options.serverCa });
    if (credentials) {
      // Before 1.1 there is no certificate usage: what stands in resource 4 is the server's own certificate, except for
      // Pelion's client, which reads it as the CA.
      const pinned = place !== PELION_PLACE && place.lwm2mVersion === "1.0";
      resources.push(
        { id: 3, value: credentials.certificate },
        { id: 4, value: pinned ? this.options.lwm2mCertificate : this.options.serverCa },
        { id: 5, value: credentials.privateKey },
      );
      if (!pinned && place !== PELION_PLACE)
        resources.push({ id: 15, value: { type: "unsigned", value: String(USAGE_TRUST_ANCHOR) } });
    }
    resources.push({ id: 10, value: { type: "integer", value: String(SHORT_SERVER_ID) } });
    return resources.sort((a, b) => a.id - b.id);
  }

  #server(peer: Peer, accountId: string, pelion: boolean): Resources {
    const tcp = peer.transport === "tcp" || peer.transport === "tls";
    return [
      { id: 0, value: { type: "integer", value: String(SHORT_SERVER_ID) } },
      { id: 1, value: { type: "integer", value: String(this.options.registrationLifetime(accountId)) } },
      { id: 6, value: { type: "boolean", value: true } },
      // Pelion's client says U over TCP too, and so it was never asked to know T.
      { id: 7, value: { type: "string", value: tcp && !pelion ? "T" : "U" } },
    ];
  }

  async #write(
    steps: Steps,
    device: DeviceFacts,
    pelion: boolean,
    object: 0 | 1,
    instance: number,
    resources: Resources,
  ): Promise<void> {
    const path = `/${object}/${instance}`;
    const what = object === 0 ? "the LwM2M account" : "the server settings";
    // Pelion's client wants an object-instance TLV at the object, and drops credentials that come otherwise.
    await steps.take(`writing ${what} (${path})`, {
      method: "PUT",
      path: pelion ? [String(object)] : [String(object), String(instance)],
      contentFormat: TLV,
      payload: pelion ? encodeObjectInstance(object, instance, resources) : encodeResources(resources),
      ...(pelion && { blockSize: 512 }),
    });
    this.options.timeline.note("bootstrap.written", {
      accountId: device.accountId,
      deviceId: device.id,
      data: { path, what },
    });
  }
}

/** One device among those that share a certificate, as far as can be told. */
const trapKey = (peer: Peer) => `${peer.identity?.fingerprint} ${peer.remote.address}`;

/** Pelion's client knows coap and coaps only; UDP or TCP was chosen when it was built. */
const pelionScheme = (uri: string) => uri.replace("+tcp://", "://");

/** A step of the session that did not work, with the device's own word where it said one. */
class StepFailure extends Error {
  constructor(
    readonly step: string,
    message: string,
    readonly code?: string,
  ) {
    super(message);
  }
}

/** Sends the requests of one session, strictly one after the other. */
class Steps {
  #first = true;
  #missed = false;

  constructor(
    private readonly peer: Peer,
    private readonly coap: CoapEndpoint,
    private readonly cancelled: () => boolean,
  ) {}

  async request(step: string, request: CoapRequest) {
    const first = this.#first;
    for (let attempt = 1; ; attempt++) {
      if (this.cancelled()) throw new StepFailure(step, "another Bootstrap-Request of the device took over");
      this.#missed = false;
      const timeoutMs = first && attempt === 1 ? FIRST_STEP_MS : STEP_TIMEOUT_MS;
      try {
        const response = await this.coap.request(this.peer, { timeoutMs, ...request });
        this.#first = false;
        return response;
      } catch (error) {
        if (!(error instanceof CoapFailure)) throw error;
        // Every request of bootstrap may be carried out twice.
        const again = error.kind === "timeout" ? attempt < STEP_ATTEMPTS : this.#missed;
        if (!again) throw new StepFailure(step, error.message);
      }
    }
  }

  /**
   * The device repeats its Bootstrap-Request: it has not had the answer, and may have ignored what was asked of it since.
   * A new message ID makes it listen.
   */
  missed(): void {
    if (!this.#first || this.cancelled()) return;
    this.#missed = true;
    this.coap.forget(this.peer);
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
}

/** The client's objects, or null when it does not answer Bootstrap-Discover. */
async function discover(steps: Steps): Promise<Link[] | null> {
  const response = await steps.request("Discover", { method: "GET", path: [], accept: LINK_FORMAT });
  if (response.code !== "2.05") return null;
  try {
    return parseLinks(Buffer.from(response.payload).toString("utf8"));
  } catch {
    return null;
  }
}

function describeFailure(error: unknown): { step?: string; reason: string; code?: string } {
  if (error instanceof StepFailure)
    return { step: error.step, reason: error.message, ...(error.code && { code: error.code }) };
  return { reason: "an error inside the gateway; its log says more" };
}

/** The parameters of a Bootstrap-Request, or what is wrong with them. */
function parseQuery(query: readonly string[]): BootstrapQuery | string {
  const found = new Map<string, string>();
  for (const item of query) {
    const equals = item.indexOf("=");
    const name = equals < 0 ? item : item.slice(0, equals);
    if (found.has(name)) return `The parameter ${name} is given twice.`;
    found.set(name, equals < 0 ? "" : item.slice(equals + 1));
  }
  const get = (name: string) => found.get(name) || null;
  const pct = get("pct");
  if (pct !== null && !["11542", "1542", "110", "112"].includes(pct))
    return `The content format ${pct} (pct) cannot be used for bootstrap.`;
  const deviceId = get("iep");
  return {
    endpointName: get("ep"),
    accountId: get("aid"),
    deviceId,
    clientVersion: get("mccv"),
  };
}
