import type { Clock } from "@/server/clock";
import type { CoapEndpoint, IncomingRequest, OutgoingResponse } from "@/server/coap";
import type { GroupCommit } from "@/server/db";
import { encodeObjectInstance, encodeResources, type ResourceValue } from "@/server/lwm2m";
import { DerError, type DeviceCertificateIssuer } from "@/server/pki";
import {
  claimEntries,
  finishBootstrap,
  insertDevice,
  putCredentials,
  startBootstrap,
} from "@/server/services/enrollment/statements";
import { enrollmentIdentity } from "@/server/services/enrollments/identity";
import type { Peer } from "@/server/transport";
import { type Admission, type Admissions, formatAddress } from "../admission";
import type { DeviceFacts, Directory } from "../directory";
import { type CertificateEnrolment, enrolmentAnswer, isEnrolment } from "../est";
import { identityOf } from "../identity";
import { type Profile, profileOfVersion } from "../profiles";
import type { Registrations } from "../registration/registrations";
import type { Timeline } from "../timeline";
import type { Turns } from "../turns";
import { type AccountPlace, placeAccount } from "./account";
import { type BootstrapQuery, type BootstrapSession, StepFailure, Steps } from "./session";

const TLV = 11542;
/** Short server id of the LwM2M account that is handed out. */
const SHORT_SERVER_ID = 1;
/** Security modes of /0/x/2 [LwM2M-Core 1.1.1 §E.1]. */
const MODE_CERTIFICATE = 2;
const MODE_NOSEC = 3;
/** Pelion's own: the device makes its key and asks for a certificate on the same connection. */
const MODE_EST = 4;
const MODES = { certificate: MODE_CERTIFICATE, est: MODE_EST, nosec: MODE_NOSEC } as const;
/** Certificate usage of /0/x/15: the CA in /0/x/4 is the trust anchor. */
const USAGE_TRUST_ANCHOR = 2;

export interface BootstrapParts {
  clock: Clock;
  coap: CoapEndpoint;
  directory: Directory;
  turns: Turns;
  registrations: Registrations;
  admissions: Admissions;
  commit: GroupCommit;
  timeline: Timeline;
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
  /** An error that is no device's fault. */
  onerror(error: unknown): void;
}

type Resources = { id: number; value: ResourceValue | Uint8Array }[];

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

/** How long a device whose answer to Finish is missing may take to register; handshakes on bad networks take a minute. */
const CONFIRM_WITHIN_MS = 180_000;
/** Longer than any wait between two attempts of Pelion's client, 4 hours and a tenth. */
const TRAPPED_FOR_MS = 5 * 3_600_000;
const REMEMBERED_TRAPS = 10_000;

/** Answers Bootstrap-Requests and takes each device through its session [LwM2M-Core 1.1.1 §6.1.7]. */
export class BootstrapEndpoint {
  readonly #sessions = new Map<string, BootstrapSession>();
  /** Sessions whose device is to ask for a certificate now. */
  readonly #enrolling = new WeakMap<Peer, BootstrapSession>();
  /** Until when devices hold a key of an enrolment that broke off, by certificate and address. */
  readonly #trapped = new Map<string, number>();

  constructor(private readonly parts: BootstrapParts) {}

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
    const { admissions, timeline } = this.parts;
    const profile = profileOfVersion(query.clientVersion);
    this.parts.coap.adjust(peer, profile.session);
    const { keepsDeviceId } = profile.bootstrap;
    const { refusal, ...done } = await admissions.admit(peer, { ...query, keepsDeviceId }, (_, admission) =>
      this.#begin(peer, query, profile, admission),
    );
    if (!refusal) return (done as { value: OutgoingResponse }).value;
    const { accountId, caId, message } = refusal;
    const name = query.endpointName ?? identityOf(peer)?.commonName;
    timeline.knock("bootstrap.refused", `bs ${accountId} ${peer.remote.address} ${message}`, {
      accountId,
      deviceId: null,
      data: {
        address: formatAddress(peer),
        transport: peer.transport,
        reason: message,
        code: "4.03",
        ...(name && { endpointName: name }),
        ...(caId && { trustedCertificateId: caId }),
      },
    });
    return { code: "4.03", payload: message };
  }

  /** In the turn of the device. */
  async #begin(
    peer: Peer,
    query: BootstrapQuery,
    profile: Profile,
    admission: Admission,
  ): Promise<OutgoingResponse> {
    const { timeline, commit, clock } = this.parts;
    const { device, created, endpointName, row, claim, claimed } = admission;
    await commit.addAll([
      [created ? insertDevice : startBootstrap, row],
      ...(claim ? claimEntries(claim) : []),
    ]);
    admission.written();

    const { accountId, id: deviceId } = device;
    const from = { address: formatAddress(peer), transport: peer.transport };
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
    this.parts.onchange(device, created ? "created" : "updated");

    // A second authorised request of the device takes over; an answer of the first that comes late is nobody's.
    const former = this.#sessions.get(deviceId);
    if (former) {
      former.over = true;
      // Whoever is still there hears that nothing more comes.
      if (former.peer !== peer) former.peer.close();
    }
    const session: BootstrapSession = {
      device,
      endpointName,
      peer,
      profile,
      mode: this.#mode(peer, query, accountId),
      startedAt: clock.now(),
      steps: new Steps(peer, this.parts.coap, () => session.over),
      fresh:
        created ||
        (profile.bootstrap.keepsDeviceId && query.deviceId === null && device.identity.startsWith("id:")),
      over: false,
      former: null,
      onregistered: null,
    };
    this.#sessions.set(deviceId, session);
    const before = peer.onclose;
    peer.onclose = (reason) => {
      before?.(reason);
      if (this.#enrolling.get(peer) !== session) return;
      this.#trap(peer);
      this.#fail(session, new StepFailure("the enrolment", reason));
    };
    // The first request may not overtake the answer.
    return {
      code: "2.04",
      sent: () => {
        this.#run(session).catch((error) => {
          // A device that hears nothing waits for its own timers, half an hour and more; at the end of its session it
          // starts over.
          if (this.#fail(session, error)) peer.close();
        });
      },
    };
  }

  #mode(peer: Peer, query: BootstrapQuery, accountId: string): BootstrapSession["mode"] {
    if (!identityOf(peer)) return "nosec";
    // The reference device calls itself by our own name and leaves its key to the server.
    const makesKeys = query.clientVersion !== null && !query.clientVersion.startsWith("gangway-");
    if (!makesKeys || !this.parts.usesEst(accountId)) return "certificate";
    // Nothing tells the device with the key from others that come from there: each of them gets what frees it.
    return (this.#trapped.get(trapKey(peer)) ?? 0) > this.parts.clock.now() ? "certificate" : "est";
  }

  async #run(session: BootstrapSession): Promise<void> {
    const { commit, directory } = this.parts;
    const { device, peer, endpointName, profile, mode, steps } = session;
    const { accountId, id: deviceId } = device;
    const { place: fixed, deletesFirst, serverUri, finishQuery } = profile.bootstrap;
    const place = fixed ?? placeAccount(await steps.discover(), SHORT_SERVER_ID);

    const credentials = mode === "certificate" ? this.#credentials(device, endpointName) : null;
    const uri = serverUri(this.parts.lwm2mUri(peer.transport), accountId);
    if (credentials) this.#issued(session, credentials, uri);
    if (deletesFirst) await steps.take("Delete (/0)", { method: "DELETE", path: ["0"] });
    const security = this.#security(uri, place, profile, mode, credentials);
    try {
      await this.#write(session, 0, place.securityInstance, security);
    } catch (error) {
      // A key that an interrupted enrolment left on the device makes it refuse the mode for good; with a key from
      // here it is free again.
      if (mode === "est" && error instanceof StepFailure && error.code === "4.00") this.#trap(peer);
      throw error;
    }
    await this.#write(session, 1, place.serverInstance, this.#server(peer, accountId, profile));
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
    session.former = directory.registrationOf(deviceId) ?? null;
    device.rebootstrapPending = false;
    const registered = new Promise<void>((resolve) => (session.onregistered = resolve));
    const answered = steps
      .take("Finish", { method: "POST", path: ["bs"], query: finishQuery(deviceId) })
      .catch((error) => this.#unanswered(session, error));
    // Who registers with the new account has confirmed it, whatever became of the answer.
    await Promise.race([answered, registered]);
    if (mode !== "est")
      await this.#finish(session, {
        fingerprint: credentials?.fingerprint ?? null,
        notAfter: credentials?.notAfter ?? null,
      });
  }

  /** A device registered. */
  registered(deviceId: string): void {
    this.#sessions.get(deviceId)?.onregistered?.();
  }

  /** Finish failed. Many clients close as soon as they have answered it, so that a lost answer never comes again. */
  async #unanswered({ over, peer }: BootstrapSession, error: unknown): Promise<never> {
    if (over || !(error instanceof StepFailure) || error.code) throw error;
    // Whoever is still there hears that nothing more comes.
    peer.close();
    await new Promise<void>((resolve) => this.parts.clock.after(CONFIRM_WITHIN_MS, resolve));
    throw error;
  }

  /** A certificate for the key that the device made, which ends its bootstrap. */
  async #enrol({ peer, payload }: IncomingRequest): Promise<OutgoingResponse> {
    const session = this.#enrolling.get(peer);
    // Its answer to a refusal is to wait until the connection ends, and then to bootstrap again.
    if (!session || session.over)
      return { code: "4.03", payload: "There is no bootstrap under way.", sent: () => peer.close() };
    const { device, endpointName } = session;
    try {
      const enrolled = this.parts.enrolment.enrol(payload, {
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
    session: BootstrapSession,
    { fingerprint, notAfter }: { fingerprint: string; notAfter: number },
    uri: string | null,
  ) {
    const { accountId, id: deviceId } = session.device;
    this.parts.timeline.note("bootstrap.credentials-issued", {
      accountId,
      deviceId,
      data: { fingerprint, notAfter: new Date(notAfter).toISOString(), ...(uri && { serverUri: uri }) },
    });
  }

  /** The device has everything: what it had registered before is void. */
  async #finish(session: BootstrapSession, outcome: Outcome): Promise<void> {
    const { clock, timeline, turns, registrations } = this.parts;
    const { device, former } = session;
    const { accountId, id: deviceId } = device;
    const at = clock.now();
    const { follow } = await turns.run(deviceId, (turn) =>
      registrations.end(turn, former, "bootstrapped", {
        entries: [
          [
            finishBootstrap,
            { id: deviceId, deviceKey: outcome.fingerprint, connectorExpirationDate: outcome.notAfter, at },
          ],
        ],
      }),
    );
    this.#end(session);
    timeline.note("bootstrap.finished", {
      accountId,
      deviceId,
      data: { durationMs: at - session.startedAt },
    });
    follow();
    this.parts.onchange(device, "updated");
  }

  /** False when it was over already. */
  #fail(session: BootstrapSession, error: unknown): boolean {
    const { device, peer, fresh } = session;
    if (this.#enrolling.get(peer) === session) this.#enrolling.delete(peer);
    if (session.over) return false;
    this.#end(session);
    if (fresh && device.identity.startsWith("id:"))
      this.parts.directory.leaveUnfinished(device, peer.remote.address);
    const { step, reason, code } = describeFailure(error);
    // A device that was deleted meanwhile has no timeline.
    if (this.parts.directory.byId(device.id) === device)
      this.parts.timeline.note("bootstrap.failed", {
        accountId: device.accountId,
        deviceId: device.id,
        data: { reason, ...(step && { step }), ...(code && { code }) },
      });
    if (!(error instanceof StepFailure)) this.parts.onerror(error);
    return true;
  }

  #end(session: BootstrapSession): void {
    session.over = true;
    if (this.#sessions.get(session.device.id) === session) this.#sessions.delete(session.device.id);
  }

  #trap(peer: Peer): void {
    if (this.#trapped.size >= REMEMBERED_TRAPS) this.#trapped.clear();
    this.#trapped.set(trapKey(peer), this.parts.clock.now() + TRAPPED_FOR_MS);
  }

  /** A fresh key and certificate; both leave the process with the write and are kept nowhere. */
  #credentials(device: DeviceFacts, endpointName: string): Credentials {
    const now = this.parts.clock.now();
    const issued = this.parts.issuer.issue({
      deviceId: device.id,
      accountId: device.accountId,
      endpointName,
      notAfter: new Date(now + this.parts.certificateLifetimeMs),
    });
    if (!issued.privateKey) throw new Error("The issuer made no key.");
    return { ...issued, privateKey: issued.privateKey, notAfter: issued.notAfter.getTime() };
  }

  #security(
    uri: string,
    place: AccountPlace,
    profile: Profile,
    mode: BootstrapSession["mode"],
    credentials: Credentials | null,
  ): Resources {
    const { trustsCa } = profile.bootstrap;
    const resources: Resources = [
      { id: 0, value: { type: "string", value: uri } },
      { id: 1, value: { type: "boolean", value: false } },
      { id: 2, value: { type: "integer", value: String(MODES[mode]) } },
    ];
    if (mode === "est") resources.push({ id: 4, value: this.parts.serverCa });
    if (credentials) {
      // Before 1.1 there is no certificate usage: what stands in resource 4 is the server's own certificate.
      const pinned = !trustsCa && place.lwm2mVersion === "1.0";
      resources.push(
        { id: 3, value: credentials.certificate },
        { id: 4, value: pinned ? this.parts.lwm2mCertificate : this.parts.serverCa },
        { id: 5, value: credentials.privateKey },
      );
      if (!pinned && !trustsCa)
        resources.push({ id: 15, value: { type: "unsigned", value: String(USAGE_TRUST_ANCHOR) } });
    }
    resources.push({ id: 10, value: { type: "integer", value: String(SHORT_SERVER_ID) } });
    return resources.sort((a, b) => a.id - b.id);
  }

  #server(peer: Peer, accountId: string, { bootstrap }: Profile): Resources {
    const tcp = peer.transport === "tcp" || peer.transport === "tls";
    return [
      { id: 0, value: { type: "integer", value: String(SHORT_SERVER_ID) } },
      { id: 1, value: { type: "integer", value: String(this.parts.registrationLifetime(accountId)) } },
      { id: 6, value: { type: "boolean", value: true } },
      { id: 7, value: { type: "string", value: tcp && bootstrap.knowsTcpBinding ? "T" : "U" } },
    ];
  }

  async #write(
    { device, profile, steps }: BootstrapSession,
    object: 0 | 1,
    instance: number,
    resources: Resources,
  ): Promise<void> {
    const path = `/${object}/${instance}`;
    const what = object === 0 ? "the LwM2M account" : "the server settings";
    const { writesToObject } = profile.bootstrap;
    await steps.take(`writing ${what} (${path})`, {
      method: "PUT",
      path: writesToObject ? [String(object)] : [String(object), String(instance)],
      contentFormat: TLV,
      payload: writesToObject
        ? encodeObjectInstance(object, instance, resources)
        : encodeResources(resources),
      ...(profile.blockSize !== null && { blockSize: profile.blockSize }),
    });
    this.parts.timeline.note("bootstrap.written", {
      accountId: device.accountId,
      deviceId: device.id,
      data: { path, what },
    });
  }
}

/** One device among those that share a certificate, as far as can be told. */
const trapKey = (peer: Peer) => `${peer.identity?.fingerprint} ${peer.remote.address}`;

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
    // Pelion's client puts the ID that it has been given into its URI, behind those that it was given before.
    if (found.has(name) && name !== "iep") return `The parameter ${name} is given twice.`;
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
