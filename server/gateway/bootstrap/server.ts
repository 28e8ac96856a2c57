import type { Clock } from "@/server/clock";
import {
  type CoapEndpoint,
  CoapFailure,
  type CoapRequest,
  type IncomingRequest,
  type OutgoingResponse,
} from "@/server/coap";
import type { GroupCommit } from "@/server/db";
import {
  encodeObjectInstance,
  encodeResources,
  type Link,
  parseLinks,
  type ResourceValue,
} from "@/server/lwm2m";
import type { DeviceCertificateIssuer } from "@/server/pki";
import { finishBootstrap } from "@/server/services/enrollment/statements";
import { clearRegistration } from "@/server/services/registrations/statements";
import type { Peer } from "@/server/transport";
import { type Admissions, formatAddress } from "../admission";
import type { DeviceFacts, Directory } from "../directory";
import { identityOf } from "../identity";
import type { Timeline } from "../timeline";
import { type AccountPlace, placeAccount } from "./account";

const TLV = 11542;
const LINK_FORMAT = 40;
/** Short server id of the LwM2M account that is handed out. */
const SHORT_SERVER_ID = 1;
/** A client waits EXCHANGE_LIFETIME (247 s) for the next request; one that does not answer for this long is gone. */
const STEP_TIMEOUT_MS = 100_000;
/** Security modes of /0/x/2 [LwM2M-Core 1.1.1 §E.1]. */
const MODE_CERTIFICATE = 2;
const MODE_NOSEC = 3;
/** Certificate usage of /0/x/15: the CA in /0/x/4 is the trust anchor. */
const USAGE_TRUST_ANCHOR = 2;

export interface BootstrapOptions {
  clock: Clock;
  coap: () => CoapEndpoint;
  directory: Directory;
  admissions: Admissions;
  commit: GroupCommit;
  timeline: Timeline;
  issuer: DeviceCertificateIssuer;
  /** DER. */
  serverCa: Uint8Array;
  /** DER; what a LwM2M 1.0 client pins. */
  lwm2mCertificate: Uint8Array;
  /** Where a device that came over this transport is to register, for instance "coaps://host:5684". */
  lwm2mUri(transport: Peer["transport"]): string;
  /** How long an issued LwM2M certificate is valid, ms. */
  certificateLifetimeMs: number;
  /** Lifetime that is written into /1/x/1, seconds. */
  registrationLifetime: number;
  onchange(device: DeviceFacts, change: "created" | "updated"): void;
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

interface Session {
  cancelled: boolean;
  startedAt: number;
}

/** Answers Bootstrap-Requests and takes each device through its session [LwM2M-Core 1.1.1 §6.1.7]. */
export class BootstrapServer {
  readonly #sessions = new Map<string, Session>();

  constructor(private readonly options: BootstrapOptions) {}

  /** Number of bootstrap sessions under way. */
  get active(): number {
    return this.#sessions.size;
  }

  async handle(request: IncomingRequest): Promise<OutgoingResponse> {
    if (request.path.length !== 1 || request.path[0] !== "bs") return { code: "4.04" };
    if (request.method !== "POST") return { code: "4.05" };
    if (!request.confirmable) return { code: "4.00", payload: "A Bootstrap-Request is sent as CON." };
    const query = parseQuery(request.query);
    if (typeof query === "string") return { code: "4.00", payload: query };
    return this.#start(request.peer, query);
  }

  async #start(peer: Peer, query: BootstrapQuery): Promise<OutgoingResponse> {
    const { admissions, timeline, directory, commit, clock } = this.options;
    const admission = await admissions.admit(peer, { ...query, keepsDeviceId: query.clientVersion !== null });
    const from = { address: formatAddress(peer), transport: peer.transport };
    if (!admission.ok) {
      const { accountId, message } = admission;
      timeline.knock("bootstrap.refused", `bs ${accountId} ${peer.remote.address} ${message}`, {
        accountId,
        deviceId: null,
        data: {
          ...from,
          reason: message,
          code: "4.03",
          ...(query.endpointName && { endpointName: query.endpointName }),
        },
      });
      return { code: "4.03", payload: message };
    }

    const { device, created, endpointName, rows } = admission;
    try {
      await commit.addAll(rows);
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
    this.options.onchange(device, created ? "created" : "updated");

    // A second authorised request of the device takes over; an answer of the first that comes late is nobody's.
    const former = this.#sessions.get(deviceId);
    if (former) former.cancelled = true;
    const session: Session = { cancelled: false, startedAt: clock.now() };
    this.#sessions.set(deviceId, session);
    // The first request may not overtake the answer.
    return { code: "2.04", sent: () => void this.#run(session, peer, device, endpointName, query) };
  }

  async #run(
    session: Session,
    peer: Peer,
    device: DeviceFacts,
    endpointName: string,
    query: BootstrapQuery,
  ): Promise<void> {
    const { timeline, commit, directory, clock } = this.options;
    const { accountId, id: deviceId } = device;
    const steps = new Steps(peer, this.options.coap(), () => session.cancelled);
    try {
      const pelion = query.clientVersion !== null;
      const place = pelion ? PELION_PLACE : placeAccount(await discover(steps), SHORT_SERVER_ID);

      const credentials = this.#credentials(peer, device, endpointName);
      const uri = pelion
        ? `${pelionScheme(this.options.lwm2mUri(peer.transport))}?aid=${accountId}`
        : this.options.lwm2mUri(peer.transport);
      if (credentials)
        timeline.note("bootstrap.credentials-issued", {
          accountId,
          deviceId,
          data: {
            fingerprint: credentials.fingerprint,
            notAfter: new Date(credentials.notAfter).toISOString(),
            serverUri: uri,
          },
        });

      await this.#write(
        steps,
        device,
        pelion,
        0,
        place.securityInstance,
        this.#security(uri, place, credentials),
      );
      await this.#write(steps, device, pelion, 1, place.serverInstance, this.#server(peer, pelion));
      await steps.take("Finish", {
        method: "POST",
        path: ["bs"],
        ...(pelion && { query: [`iep=${deviceId}`] }),
      });

      const at = clock.now();
      const registration = directory.registrationOf(deviceId);
      await commit.addAll([
        ...(registration ? clearRegistration({ id: registration.id, deviceId, at }) : []),
        [
          finishBootstrap,
          {
            id: deviceId,
            deviceKey: credentials?.fingerprint ?? null,
            connectorExpirationDate: credentials?.notAfter ?? null,
            at,
          },
        ],
      ]);
      if (registration && directory.registrationOf(deviceId) === registration)
        directory.removeRegistration(registration);
      device.rebootstrapPending = false;
      timeline.note("bootstrap.finished", {
        accountId,
        deviceId,
        data: { durationMs: at - session.startedAt },
      });
      this.options.onchange(device, "updated");
    } catch (error) {
      if (session.cancelled) return;
      const { step, reason, code } = describeFailure(error);
      timeline.note("bootstrap.failed", {
        accountId,
        deviceId,
        data: { reason, ...(step && { step }), ...(code && { code }) },
      });
      if (!(error instanceof StepFailure)) throw error;
    } finally {
      if (this.#sessions.get(deviceId) === session) this.#sessions.delete(deviceId);
    }
  }

  /** A fresh key and certificate; both leave the process with the write and are kept nowhere. */
  #credentials(peer: Peer, device: DeviceFacts, endpointName: string): Credentials | null {
    if (!identityOf(peer)) return null;
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

  #security(uri: string, place: AccountPlace, credentials: Credentials | null): Resources {
    const resources: Resources = [
      { id: 0, value: { type: "string", value: uri } },
      { id: 1, value: { type: "boolean", value: false } },
      { id: 2, value: { type: "integer", value: String(credentials ? MODE_CERTIFICATE : MODE_NOSEC) } },
    ];
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

  #server(peer: Peer, pelion: boolean): Resources {
    const tcp = peer.transport === "tcp" || peer.transport === "tls";
    return [
      { id: 0, value: { type: "integer", value: String(SHORT_SERVER_ID) } },
      { id: 1, value: { type: "integer", value: String(this.options.registrationLifetime) } },
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
  constructor(
    private readonly peer: Peer,
    private readonly coap: CoapEndpoint,
    private readonly cancelled: () => boolean,
  ) {}

  async request(step: string, request: CoapRequest) {
    if (this.cancelled()) throw new StepFailure(step, "another Bootstrap-Request of the device took over");
    try {
      return await this.coap.request(this.peer, { timeoutMs: STEP_TIMEOUT_MS, ...request });
    } catch (error) {
      if (error instanceof CoapFailure) throw new StepFailure(step, error.message);
      throw error;
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
