import type { Clock } from "@/server/clock";
import type { CoapEndpoint, IncomingRequest, OutgoingResponse } from "@/server/coap";
import type { Entry, GroupCommit } from "@/server/db";
import {
  ContentFormat,
  formatLinks,
  type Link,
  LinkFormatError,
  mergeObjectLinks,
  parseLinks,
  parseRegister,
  parseUpdate,
  type RegisterParameters,
  readObjectLinks,
} from "@/server/lwm2m";
import { DerError } from "@/server/pki";
import { insertDevice, putCredentials, startBootstrap } from "@/server/services/enrollment/statements";
import {
  markEndpointType,
  markRegistered,
  markRegisteredAgain,
  type RegisteredDeviceRow,
} from "@/server/services/registrations/statements";
import type { Peer } from "@/server/transport";
import { type Admission, type Admissions, formatAddress } from "../admission";
import { type DeviceFacts, type Directory, endsObservations, type LiveRegistration } from "../directory";
import { type CertificateEnrolment, enrolmentAnswer, isEnrolment } from "../est";
import { identityOf } from "../identity";
import type { Presence } from "../presence";
import { profileOf, profileOfVersion } from "../profiles";
import type { Structure, Structures } from "../structures";
import type { Subscriptions } from "../subscriptions";
import type { Timeline } from "../timeline";
import type { Turn, Turns } from "../turns";
import { NOT_IN_DIRECTORY, type RegistrationPolicy } from "./policy";
import type { RegistrationChange, Registrations } from "./registrations";

export interface RegistrationEndpointParts {
  clock: Clock;
  coap: CoapEndpoint;
  directory: Directory;
  turns: Turns;
  admissions: Admissions;
  commit: GroupCommit;
  timeline: Timeline;
  structures: Structures;
  subscriptions: Subscriptions;
  presence: Presence;
  enrolment: CertificateEnrolment;
  policy: RegistrationPolicy;
  registrations: Registrations;
  /** Seconds that an account wants its devices to register for; null: what they ask for. */
  registrationLifetime(accountId: string): number | null;
  onchange(device: Pick<DeviceFacts, "id" | "accountId">, change: "created" | "updated"): void;
}

interface Refused {
  message: string;
  accountId: string | null;
  deviceId: string | null;
}

/** A Register that was understood. */
interface Register {
  request: IncomingRequest;
  parameters: RegisterParameters;
  objectLinks: string;
  structure: Structure;
}

/** What Pelion's client calls its type when nobody gave it one. */
const NO_TYPE = "default";
const MAX_TYPE = 64;
/** A device that is going to register or update on a new session has done so by then. */
const UPDATE_EXPECTED_MS = 5000;
const UNKNOWN: OutgoingResponse = { code: "4.04", payload: "There is no such registration: register again." };

/** Register, Update, De-register, Send and the renewal of certificates [LwM2M-Core 1.1.1 §6.2, §6.4.6] as CoAP has them. */
export class RegistrationEndpoint {
  constructor(private readonly parts: RegistrationEndpointParts) {}

  async handle(request: IncomingRequest): Promise<OutgoingResponse> {
    const [root, ...rest] = request.path;
    if (root === "dp" && rest.length === 0) return this.#send(request);
    if (root === ".well-known" && rest[0] === "core" && request.method === "GET")
      return { code: "2.05", contentFormat: 40, payload: '</rd>;rt="core.rd"' };
    if (isEnrolment(request.path)) return request.method === "POST" ? this.#renew(request) : { code: "4.05" };
    if (root !== "rd") return { code: "4.04" };
    // A device that cannot be answered cannot be registered; on a stream everything is acknowledged.
    if (!request.confirmable && (request.peer.transport === "udp" || request.peer.transport === "dtls"))
      return { code: "4.00", payload: "Registrations are sent as CON." };
    if (rest.length === 0) return request.method === "POST" ? this.#register(request) : { code: "4.05" };
    if (rest.length > 2) return { code: "4.00", payload: "There is no such location." };
    const location = rest.join("/");
    if (request.method === "POST") return this.#update(request, location);
    if (request.method === "DELETE") return this.#deregister(request, location);
    return { code: "4.05" };
  }

  async #register(request: IncomingRequest): Promise<OutgoingResponse> {
    const { directory, admissions, turns, policy } = this.parts;
    const { peer } = request;
    const parsed = parseRegister(request.query);
    if (!parsed.ok) return this.#malformed(peer, "Register", parsed.message, parsed.code);
    const parameters = parsed.value;
    const { endpointName } = parameters;
    const wrong = wrongFormat(request);
    if (wrong) return this.#malformed(peer, "Register", wrong, "4.15");
    const objectLinks = Buffer.from(request.payload).toString("utf8");
    let structure: Structure;
    try {
      structure = this.parts.structures.read(objectLinks, parameters.lwm2mVersion);
      checkObjects(structure);
    } catch (error) {
      if (!(error instanceof LinkFormatError)) throw error;
      return this.#malformed(peer, "Register", error.message, "4.00");
    }
    const register = { request, parameters, objectLinks, structure };

    const identity = identityOf(peer);
    if (identity?.kind !== "lwm2m") {
      const accountId = parameters.attributes.aid ?? null;
      const asked = { endpointName, accountId, deviceId: null, keepsDeviceId: false };
      const { refusal, ...done } = await admissions.admit(peer, asked, (turn, admission) =>
        this.#registerIn(turn, register, admission.device, admission.endpointName, admission),
      );
      if (refusal) return this.#refuse(peer, { ...refusal, deviceId: null }, endpointName);
      return (done as { value: OutgoingResponse }).value;
    }
    const { accountId, deviceId, commonName } = identity;
    return turns.run(deviceId, async (turn) => {
      const device = directory.byId(deviceId);
      const message = device ? policy.refused(device, identity, endpointName) : NOT_IN_DIRECTORY;
      if (message) return this.#refuse(peer, { message, accountId, deviceId }, endpointName);
      return this.#registerIn(turn, register, device as DeviceFacts, commonName, null);
    });
  }

  /** `admission` is null for a device with a LwM2M certificate: its entry is there. */
  async #registerIn(
    turn: Turn,
    { request, parameters, objectLinks, structure }: Register,
    device: DeviceFacts,
    endpointName: string,
    admission: Admission | null,
  ): Promise<OutgoingResponse> {
    const { directory, clock, registrations, policy } = this.parts;
    const { peer } = request;
    const wait = policy.hold(device);
    if (wait !== null) return onHold(wait);
    const profile = profileOfVersion(parameters.attributes.mccv);
    this.parts.coap.adjust(peer, profile.session);
    const told = profile.lifetimeFromMaxAge ? this.parts.registrationLifetime(device.accountId) : null;
    const identity = identityOf(peer);
    const endpointType = newType(device, parameters.attributes.et);
    const entries = [
      ...directoryRows(device, admission, directory.registrationOf(device.id) !== undefined, {
        deviceKey: identity?.fingerprint ?? null,
        connectorExpirationDate: identity?.notAfter ?? null,
        address: formatAddress(peer),
        transport: peer.transport,
        at: clock.now(),
      }),
      ...(endpointType === null ? [] : [[markEndpointType, { id: device.id, endpointType }] as const]),
    ];
    const { value: registration, follow } = await registrations.register(
      turn,
      { ...device, endpointType: endpointType ?? device.endpointType },
      {
        id: profile.location(device),
        endpointName,
        lifetime: told ?? parameters.lifetime,
        lwm2mVersion: parameters.lwm2mVersion,
        binding: parameters.binding,
        queueMode: parameters.queueMode ? 1 : 0,
        rootPath: structure.rootPath,
        objectLinks,
        profile: profile.name,
      },
      { peer, created: admission?.created ?? false, entries },
    );
    admission?.written();
    if (endpointType !== null) device.endpointType = endpointType;
    return {
      code: "2.01",
      locationPath: ["rd", ...registration.id.split("/")],
      ...(told !== null && { maxAge: told }),
      sent: follow,
    };
  }

  async #update(request: IncomingRequest, location: string): Promise<OutgoingResponse> {
    const { policy, registrations, turns } = this.parts;
    const { peer } = request;
    const asked = policy.find(peer, location);
    if (!asked) return UNKNOWN;
    return turns.run(asked.device.id, async (turn) => {
      const found = policy.find(peer, location);
      if (!found) return UNKNOWN;
      const { registration, device } = found;
      // Clients answer an unknown location with a Register, and that one can be refused for good.
      if (device.rebootstrapPending || policy.forbidden(device))
        return { code: "4.04", payload: "Register again." };
      const wait = policy.hold(device);
      if (wait !== null) return onHold(wait);

      const parsed = parseUpdate(request.query, registration);
      if (!parsed.ok) return this.#malformed(peer, "Update", parsed.message, parsed.code);
      let links: RegistrationChange["links"] = null;
      if (request.payload.length > 0) {
        const wrong = wrongFormat(request);
        if (wrong) return this.#malformed(peer, "Update", wrong, "4.15");
        try {
          links = mergeLinks(registration, Buffer.from(request.payload).toString("utf8"));
        } catch (error) {
          if (!(error instanceof LinkFormatError)) throw error;
          return this.#malformed(peer, "Update", error.message, "4.00");
        }
      }
      const { follow } = await registrations.update(turn, registration, device, peer, {
        ...parsed.value,
        links,
      });
      return { code: "2.04", sent: follow };
    });
  }

  async #deregister({ peer }: IncomingRequest, location: string): Promise<OutgoingResponse> {
    const { policy, registrations, turns } = this.parts;
    const asked = policy.find(peer, location);
    if (!asked) return UNKNOWN;
    return turns.run(asked.device.id, async (turn) => {
      const found = policy.find(peer, location);
      if (!found) return UNKNOWN;
      const { follow } = await registrations.end(turn, found.registration, "deregistered", {
        data: { address: formatAddress(peer), transport: peer.transport },
      });
      return { code: "2.02", sent: follow };
    });
  }

  /** A certificate for a new key, asked for on the session of the one before (renewal). */
  async #renew({ peer, payload }: IncomingRequest): Promise<OutgoingResponse> {
    const { directory, enrolment, commit, timeline, turns } = this.parts;
    const identity = identityOf(peer);
    const refused: OutgoingResponse = {
      code: "4.03",
      payload: "There is no device to issue a certificate for.",
    };
    if (identity?.kind !== "lwm2m") return refused;
    return turns.run(identity.deviceId, async () => {
      const device = directory.byId(identity.deviceId);
      if (!device || device.accountId !== identity.accountId) return refused;
      const scope = { accountId: device.accountId, deviceId: device.id };
      try {
        const { certificate, fingerprint, notAfter } = enrolment.enrol(payload, {
          ...scope,
          endpointName: identity.commonName,
        });
        await commit.add(putCredentials, {
          id: device.id,
          deviceKey: fingerprint,
          connectorExpirationDate: notAfter,
        });
        return {
          ...enrolmentAnswer([certificate]),
          sent: () => {
            timeline.note("certificate.renewed", {
              ...scope,
              data: { fingerprint, notAfter: new Date(notAfter).toISOString() },
            });
            this.parts.onchange(device, "updated");
          },
        };
      } catch (error) {
        if (!(error instanceof DerError)) throw error;
        return this.#malformed(peer, "certificate request", error.message, "4.00");
      }
    });
  }

  async #send(request: IncomingRequest): Promise<OutgoingResponse> {
    if (request.method !== "POST") return { code: "4.05" };
    const registration = this.parts.policy.ofPeer(request.peer);
    if (!registration) return { code: "4.00", payload: "There is no registration of this device." };
    const answer = await this.parts.subscriptions.sent(registration, request);
    return {
      ...answer,
      sent: () => {
        answer.sent?.();
        if (this.parts.directory.holds(registration)) this.parts.presence.heard(registration);
      },
    };
  }

  /**
   * A registered device made a new session. Some clients take it for the old one resumed and send no Update, so their
   * registration follows them here; its address stays that of the last Update.
   */
  connected(peer: Peer): void {
    const { directory, clock, registrations } = this.parts;
    const identity = identityOf(peer);
    if (identity?.kind !== "lwm2m" || peer.restored) return;
    const registration = directory.registrationOf(identity.deviceId);
    const former = registration?.peer;
    if (!registration || !former || former === peer) return;
    registrations.moveTo(registration, peer);
    former.close();
    const go = () => {
      if (!directory.holds(registration) || registration.peer !== peer || peer.closed) return;
      this.parts.subscriptions.moved(registration);
      this.parts.presence.heard(registration);
    };
    // What was observed may have to be asked for anew, but not before a Register that may come first.
    if (endsObservations(registration)) clock.after(UPDATE_EXPECTED_MS, go);
    else go();
  }

  /** Ends those of these registrations that may not be any longer, with their sessions. */
  async expel(registrations: Iterable<LiveRegistration>): Promise<void> {
    const { directory, policy } = this.parts;
    const because = (registration: LiveRegistration) => {
      const device = directory.byId(registration.deviceId);
      const reason = device && policy.forbidden(device);
      return reason ? { reason } : null;
    };
    await Promise.all(
      [...registrations]
        .filter(because)
        .map((registration) =>
          this.parts.registrations.endWhen(registration, "forbidden", () => because(registration)),
        ),
    );
  }

  #refuse(peer: Peer, refused: Refused, endpointName: string | null): OutgoingResponse {
    const { accountId, deviceId, message } = refused;
    const code = "4.03";
    this.parts.timeline.knock(
      "registration.refused",
      `rd ${accountId} ${deviceId ?? peer.remote.address} ${message}`,
      {
        accountId,
        // An event may only name a device that is in the directory.
        deviceId: deviceId && this.parts.directory.byId(deviceId) ? deviceId : null,
        data: {
          address: formatAddress(peer),
          transport: peer.transport,
          reason: message,
          code,
          ...(endpointName && { endpointName }),
        },
      },
    );
    return { code, payload: message };
  }

  #malformed(peer: Peer, request: string, reason: string, code: OutgoingResponse["code"]): OutgoingResponse {
    const identity = identityOf(peer);
    this.parts.timeline.knock("request.malformed", `${request} ${peer.remote.address} ${reason}`, {
      accountId: identity?.accountId ?? null,
      deviceId:
        identity?.kind === "lwm2m" && this.parts.directory.byId(identity.deviceId) ? identity.deviceId : null,
      data: { address: formatAddress(peer), transport: peer.transport, request, reason, code },
    });
    return { code, payload: reason };
  }
}

/** Max-Age tells when to come back [RFC7252 §5.9.3.4]. */
const onHold = (seconds: number): OutgoingResponse => ({
  code: "5.03",
  maxAge: seconds,
  payload: "Too many registrations and updates: on hold.",
});

/** What a Register changes in the directory, in as few rows as it can. */
function directoryRows(
  device: DeviceFacts,
  admission: Admission | null,
  again: boolean,
  facts: Omit<RegisteredDeviceRow, "id">,
): Entry[] {
  if (admission?.created)
    return [[insertDevice, { ...admission.row, ...facts, state: "registered", registeredAt: facts.at }]];
  const marked: RegisteredDeviceRow = { id: device.id, ...facts };
  return [
    ...(admission?.renamed ? [[startBootstrap, admission.row] as const] : []),
    [again ? markRegisteredAgain : markRegistered, marked],
  ];
}

/** The type a device says it is of, if that is news; what nobody gave it does not replace what a person wrote. */
function newType(device: DeviceFacts, told: string | undefined): string | null {
  const endpointType = told?.slice(0, MAX_TYPE) ?? "";
  if (endpointType === "" || endpointType === device.endpointType) return null;
  return endpointType === NO_TYPE && device.endpointType !== "" ? null : endpointType;
}

/** Links come in link format [LwM2M-Core 1.1.1 §6.2.1]; clients that do not say so mean it. */
function wrongFormat({ contentFormat }: IncomingRequest): string | null {
  return contentFormat === null || contentFormat === ContentFormat.link
    ? null
    : `The objects come in link format (40), not in content format ${contentFormat}.`;
}

/** A device without an object is none: the objects are what a Register is for [LwM2M-Core 1.1.1 §6.2.1]. */
function checkObjects({ entries }: Pick<Structure, "entries">): void {
  if (entries.length === 0) throw new LinkFormatError("The device presents no object.");
}

/** The structure after an Update, with what came and what went; throws LinkFormatError. */
function mergeLinks(
  registration: LiveRegistration,
  update: string,
): { text: string; added: string[]; removed: string[] } {
  const before = parseLinks(registration.objectLinks);
  const change = parseLinks(update);
  const after = mergeObjectLinks(before, change, profileOf(registration).deltaLinks);
  checkObjects(readObjectLinks(after, registration.lwm2mVersion));
  const targets = (links: readonly Link[]) => new Set(links.map((link) => link.target));
  const [old, now] = [targets(before), targets(after)];
  return {
    text: formatLinks(after),
    added: [...now].filter((target) => !old.has(target)),
    removed: [...old].filter((target) => !now.has(target)),
  };
}
