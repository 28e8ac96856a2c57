import { randomUUID } from "node:crypto";
import type { Clock } from "@/server/clock";
import type { CoapEndpoint, IncomingRequest, OutgoingResponse } from "@/server/coap";
import type { Entry, GroupCommit } from "@/server/db";
import {
  formatLinks,
  type Link,
  LinkFormatError,
  mergeObjectLinks,
  parseLinks,
  parseRegister,
  parseUpdate,
  readObjectLinks,
} from "@/server/lwm2m";
import { DerError } from "@/server/pki";
import {
  type EnrollmentRow,
  insertDevice,
  putCredentials,
  startBootstrap,
} from "@/server/services/enrollment/statements";
import { HOLD_COUNT, HOLD_MS, HOLD_WINDOW_MS, HoldKeeper } from "@/server/services/registrations/hold";
import {
  endRegistration,
  markEndpointType,
  markRegistered,
  markRegisteredAgain,
  markSeen,
  putRegistration,
  type RegisteredDeviceRow,
  updateRegistration,
} from "@/server/services/registrations/statements";
import type { Peer } from "@/server/transport";
import { type Admissions, formatAddress, SUSPENDED } from "../admission";
import { type DeviceFacts, type Directory, endsObservations, type LiveRegistration } from "../directory";
import { type CertificateEnrolment, enrolmentAnswer, isEnrolment } from "../est";
import { type GatewayIdentity, identityOf } from "../identity";
import { endNotice, registrationNotice } from "../notices";
import type { Notifier } from "../notifier";
import type { Structure, Structures } from "../structures";
import type { Timeline } from "../timeline";

export interface RegistrationOptions {
  clock: Clock;
  directory: Directory;
  admissions: Admissions;
  commit: GroupCommit;
  timeline: Timeline;
  /** Whether this trusted certificate still counts. */
  trusts(caId: string): boolean;
  /** Seconds that an account wants its devices to register for; null: what they ask for. */
  registrationLifetime(accountId: string): number | null;
  enrolment: CertificateEnrolment;
  coap(): CoapEndpoint;
  structures: Structures;
  notifier: Notifier;
  /** Rows to be written with a Register: what the one before leaves behind ends. */
  onregistering(registration: LiveRegistration): Entry[];
  /**
   * A device deregistered, its registration expired, or it may not be registered any longer: nothing is asked of it from
   * here on. Returns rows to be written with the end; the device may register again before they are.
   */
  onending(registration: LiveRegistration): Entry[];
  /** A device is registered (its structure is known and its queue can move); runs after the answer was sent. */
  onregistered(registration: LiveRegistration): void;
  /** A registered device sent an Update. */
  onupdated(registration: LiveRegistration): void;
  /** A registered device went on over another session. */
  onmoved(registration: LiveRegistration): void;
  /** A registration gave way to a newer one of the device; pending operations and observations of it are void. */
  onended(registration: LiveRegistration): void;
  onchange(device: Pick<DeviceFacts, "id" | "accountId">, change: "created" | "updated"): void;
  /** A registered device sent something; told behind the answer to it. */
  onheard(registration: LiveRegistration): void;
  /** Values that came with a Send. */
  onsend(registration: LiveRegistration, request: IncomingRequest): Promise<OutgoingResponse>;
}

type Authorised =
  | {
      ok: true;
      device: DeviceFacts;
      endpointName: string;
      created: boolean;
      renamed: boolean;
      /** Null for a device with a LwM2M certificate: its entry is there. */
      row: EnrollmentRow | null;
    }
  | { ok: false; code: "4.00" | "4.03"; message: string; accountId: string | null; deviceId: string | null };

/** What Pelion's client calls its type when nobody gave it one. */
const NO_TYPE = "default";
const MAX_TYPE = 64;
/** A device that is going to register or update on a new session has done so by then. */
const UPDATE_EXPECTED_MS = 5000;

/** Register, Update, De-register and Send [LwM2M-Core 1.1.1 §6.2, §6.4.6], and the end of registrations in time. */
export class RegistrationServer {
  readonly #holds = new HoldKeeper();

  constructor(private readonly options: RegistrationOptions) {}

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
    const { directory, commit, timeline, clock } = this.options;
    const { peer } = request;
    const from = { address: formatAddress(peer), transport: peer.transport };
    const parsed = parseRegister(request.query);
    if (!parsed.ok) {
      this.#complain(peer, "Register", parsed.message, parsed.code);
      return { code: parsed.code, payload: parsed.message };
    }
    const parameters = parsed.value;
    const objectLinks = Buffer.from(request.payload).toString("utf8");
    let structure: Structure;
    try {
      structure = this.options.structures.read(objectLinks, parameters.lwm2mVersion);
    } catch (error) {
      if (!(error instanceof LinkFormatError)) throw error;
      this.#complain(peer, "Register", error.message, "4.00");
      return { code: "4.00", payload: error.message };
    }

    const authorised = await this.#authorise(peer, parameters.endpointName, parameters.attributes);
    if (!authorised.ok) return this.#refuse(peer, authorised, parameters.endpointName);
    const { device, endpointName, created } = authorised;
    const held = this.#hold(device);
    if (held) return held;

    const at = clock.now();
    const identity = identityOf(peer);
    // Pelion's client reads account and ID off its location; for everyone else it is a secret of the session, since
    // without transport security the location is all that tells one device from another.
    const pelion = "mccv" in parameters.attributes;
    if (pelion) this.options.coap().adjust(peer, { blockSize: 512, piggybackMs: Number.POSITIVE_INFINITY });
    // It takes its lifetime from Max-Age, from a minute on.
    const told = pelion ? this.options.registrationLifetime(device.accountId) : null;
    const lifetime = told ?? parameters.lifetime;
    const registration: LiveRegistration = {
      id: pelion ? `${device.accountId}/${device.id}` : newLocation(),
      deviceId: device.id,
      accountId: device.accountId,
      endpointName,
      lifetime,
      lwm2mVersion: parameters.lwm2mVersion,
      binding: parameters.binding,
      queueMode: parameters.queueMode ? 1 : 0,
      rootPath: structure.rootPath,
      objectLinks,
      ...from,
      registeredAt: at,
      updatedAt: at,
      expiresAt: at + lifetime * 1000,
      peer,
      deltaLinks: pelion,
      keepAlive: null,
      presubscribed: null,
    };
    const former = directory.putRegistration(registration);
    const rows: Entry[] = [
      ...this.#directoryRows(authorised, former !== undefined, at, {
        deviceKey: identity?.fingerprint ?? null,
        connectorExpirationDate: identity?.notAfter ?? null,
        ...from,
      }),
      ...this.#typeRows(device, parameters.attributes.et),
      [putRegistration, registration],
      ...this.options.onregistering(registration),
      ...this.#notices("registrations", registration, device, at),
    ];
    try {
      await commit.addAll(rows);
    } catch (error) {
      directory.removeRegistration(registration);
      if (created) directory.removeDevice(device.id);
      throw error;
    }
    this.options.notifier.written(device.accountId, rows);

    const scope = { accountId: device.accountId, deviceId: device.id };
    return {
      code: "2.01",
      locationPath: ["rd", ...registration.id.split("/")],
      ...(told !== null && { maxAge: told }),
      sent: () => {
        if (former) {
          this.options.onended(former);
          timeline.note("registration.replaced", {
            ...scope,
            data: { ...from, previousAddress: former.address },
          });
          // The newest of two connections of one device wins.
          if (former.peer && former.peer !== peer) former.peer.close();
        }
        timeline.note("registration.registered", {
          ...scope,
          data: {
            ...from,
            endpointName,
            lifetime: registration.lifetime,
            lwm2mVersion: registration.lwm2mVersion,
            binding: registration.binding,
            objects: [...structure.objects.keys()].map((id) => `/${id}`),
          },
        });
        this.options.onchange(device, created ? "created" : "updated");
        if (directory.registrationOf(device.id) !== registration) return;
        this.options.onregistered(registration);
        this.options.onheard(registration);
      },
    };
  }

  /** What a Register changes in the directory, in as few rows as it can. */
  #directoryRows(
    { device, created, renamed, row }: Authorised & { ok: true },
    again: boolean,
    at: number,
    facts: Omit<RegisteredDeviceRow, "id" | "at">,
  ): Entry[] {
    if (created && row) return [[insertDevice, { ...row, ...facts, state: "registered", registeredAt: at }]];
    const marked: RegisteredDeviceRow = { id: device.id, ...facts, at };
    return [
      ...(renamed && row ? [[startBootstrap, row] as const] : []),
      [again ? markRegisteredAgain : markRegistered, marked],
    ];
  }

  /** The type that a device says it is of; what nobody gave it does not take the place of what a person wrote. */
  #typeRows(device: DeviceFacts, told: string | undefined): Entry[] {
    const endpointType = told?.slice(0, MAX_TYPE) ?? "";
    if (endpointType === "" || endpointType === device.endpointType) return [];
    if (endpointType === NO_TYPE && device.endpointType !== "") return [];
    device.endpointType = endpointType;
    return [[markEndpointType, { id: device.id, endpointType }]];
  }

  #notices(
    kind: "registrations" | "reg-updates",
    registration: LiveRegistration,
    device: DeviceFacts,
    at: number,
  ): Entry[] {
    const { notifier, structures } = this.options;
    return notifier.broadcast(device.accountId, kind, () =>
      registrationNotice(registration, device, structures.of(registration), at),
    );
  }

  async #update(request: IncomingRequest, location: string): Promise<OutgoingResponse> {
    const { directory, commit, timeline, clock } = this.options;
    const { peer } = request;
    const found = this.#find(peer, location);
    if ("code" in found) return found;
    const { registration, device } = found;
    // Clients answer an unknown location with a Register, and that one can be refused for good.
    if (device.rebootstrapPending || this.#forbidden(device))
      return { code: "4.04", payload: "Register again." };
    const held = this.#hold(device);
    if (held) return held;

    const parsed = parseUpdate(request.query, registration);
    if (!parsed.ok) {
      this.#complain(peer, "Update", parsed.message, parsed.code);
      return { code: parsed.code, payload: parsed.message };
    }
    let links: { text: string; added: string[]; removed: string[] } | null = null;
    if (request.payload.length > 0) {
      try {
        links = this.#merge(registration, Buffer.from(request.payload).toString("utf8"));
      } catch (error) {
        if (!(error instanceof LinkFormatError)) throw error;
        this.#complain(peer, "Update", error.message, "4.00");
        return { code: "4.00", payload: error.message };
      }
    }

    const at = clock.now();
    const address = formatAddress(peer);
    const lifetimeChanged = parsed.value.lifetime !== null && parsed.value.lifetime !== registration.lifetime;
    const addressChanged = address !== registration.address;
    registration.lifetime = parsed.value.lifetime ?? registration.lifetime;
    registration.binding = parsed.value.binding ?? registration.binding;
    registration.queueMode = (parsed.value.queueMode ?? registration.queueMode === 1) ? 1 : 0;
    if (links) registration.objectLinks = directory.shareText(links.text);
    registration.address = address;
    registration.transport = peer.transport;
    registration.updatedAt = at;
    registration.expiresAt = at + registration.lifetime * 1000;
    const formerPeer = registration.peer;
    registration.peer = peer;
    commit.note(markSeen, { id: device.id, address, transport: peer.transport, at });
    const rows: Entry[] = [
      [
        updateRegistration,
        {
          deviceId: device.id,
          id: registration.id,
          registeredAt: registration.registeredAt,
          lifetime: registration.lifetime,
          binding: registration.binding,
          objectLinks: links ? registration.objectLinks : null,
          address,
          transport: peer.transport,
          updatedAt: at,
          expiresAt: registration.expiresAt,
        },
      ],
      ...this.#notices("reg-updates", registration, device, at),
    ];
    await commit.addAll(rows);
    this.options.notifier.written(device.accountId, rows);

    return {
      code: "2.04",
      sent: () => {
        if (formerPeer && formerPeer !== peer) formerPeer.close();
        if (formerPeer !== peer) this.options.onmoved(registration);
        const changed =
          lifetimeChanged || addressChanged || (links && links.added.length + links.removed.length > 0);
        const data = {
          address,
          transport: peer.transport,
          ...(lifetimeChanged && { lifetime: registration.lifetime }),
          ...(links?.added.length && { added: links.added }),
          ...(links?.removed.length && { removed: links.removed }),
          ...(addressChanged && { addressChanged }),
        };
        const scope = { accountId: device.accountId, deviceId: device.id };
        if (changed) {
          registration.keepAlive = null;
          timeline.note("registration.updated", { ...scope, data });
          this.options.onchange(device, "updated");
        } else {
          // A device that only keeps alive would fill its timeline: such updates share a row.
          const run = registration.keepAlive;
          const count = (run?.count ?? 0) + 1;
          const firstAt = run?.firstAt ?? at;
          const { id } = timeline.note("registration.updated", {
            ...scope,
            ...(run && { id: run.eventId }),
            data: { ...data, count, firstAt },
          });
          registration.keepAlive = { eventId: id, count, firstAt };
        }
        this.options.onupdated(registration);
        this.options.onheard(registration);
      },
    };
  }

  async #deregister(request: IncomingRequest, location: string): Promise<OutgoingResponse> {
    const { timeline } = this.options;
    const { peer } = request;
    const found = this.#find(peer, location);
    if ("code" in found) return found;
    const { registration, device } = found;
    await this.#end(registration, "de-registrations");
    return {
      code: "2.02",
      sent: () => {
        timeline.note("registration.deregistered", {
          accountId: device.accountId,
          deviceId: device.id,
          data: { address: formatAddress(peer), transport: peer.transport },
        });
        this.options.onchange(device, "updated");
      },
    };
  }

  /** Takes a registration away, with all that hangs on it and the word to whoever is to know. */
  async #end(
    registration: LiveRegistration,
    kind: "de-registrations" | "registrations-expired",
  ): Promise<void> {
    const { directory, commit, notifier, clock } = this.options;
    const { id, deviceId, accountId, registeredAt } = registration;
    const at = clock.now();
    directory.removeRegistration(registration);
    const rows = [
      ...endRegistration({ id, deviceId, registeredAt, at }),
      ...this.options.onending(registration),
      ...notifier.broadcast(accountId, kind, () => endNotice(registration, at)),
    ];
    await commit.addAll(rows);
    notifier.written(accountId, rows);
  }

  /** A certificate for a new key, asked for on the session of the one before (renewal). */
  async #renew({ peer, payload }: IncomingRequest): Promise<OutgoingResponse> {
    const { directory, enrolment, commit, timeline } = this.options;
    const identity = identityOf(peer);
    const device = identity?.kind === "lwm2m" ? directory.byId(identity.deviceId) : undefined;
    if (identity?.kind !== "lwm2m" || !device || device.accountId !== identity.accountId)
      return { code: "4.03", payload: "There is no device to issue a certificate for." };
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
      timeline.note("certificate.renewed", {
        ...scope,
        data: { fingerprint, notAfter: new Date(notAfter).toISOString() },
      });
      this.options.onchange(device, "updated");
      return enrolmentAnswer([certificate]);
    } catch (error) {
      if (!(error instanceof DerError)) throw error;
      this.#complain(peer, "certificate request", error.message, "4.00");
      return { code: "4.00", payload: error.message };
    }
  }

  async #send(request: IncomingRequest): Promise<OutgoingResponse> {
    if (request.method !== "POST") return { code: "4.05" };
    const registration = this.#registrationOfPeer(request.peer);
    if (!registration) return { code: "4.00", payload: "There is no registration of this device." };
    const answer = await this.options.onsend(registration, request);
    return {
      ...answer,
      sent: () => {
        answer.sent?.();
        this.options.onheard(registration);
      },
    };
  }

  /**
   * A registered device made a new session. Some clients take it for the old one resumed and send no Update, so their
   * registration follows them here; its address stays that of the last Update.
   */
  connected(peer: Peer): void {
    const { directory, clock } = this.options;
    const identity = identityOf(peer);
    if (identity?.kind !== "lwm2m" || peer.restored) return;
    const registration = directory.registrationOf(identity.deviceId);
    const former = registration?.peer;
    if (!registration || !former || former === peer) return;
    registration.peer = peer;
    former.close();
    if (!endsObservations(registration)) {
      this.options.onmoved(registration);
      this.options.onheard(registration);
      return;
    }
    // What was observed has to be asked for anew, but not before a Register that may come first.
    clock.after(UPDATE_EXPECTED_MS, () => {
      if (
        directory.registrationOf(identity.deviceId) === registration &&
        registration.peer === peer &&
        !peer.closed
      ) {
        this.options.onmoved(registration);
        this.options.onheard(registration);
      }
    });
  }

  /** Ends what has not been updated within its lifetime. */
  async sweep(): Promise<void> {
    const { clock, directory, timeline } = this.options;
    const now = clock.now();
    this.#holds.sweep(now);
    const expired: LiveRegistration[] = [];
    for (const registration of directory.registrations())
      if (registration.expiresAt <= now) expired.push(registration);
    await Promise.all(
      expired.map(async (registration) => {
        const { deviceId, accountId, lifetime } = registration;
        await this.#end(registration, "registrations-expired");
        timeline.note("registration.expired", { accountId, deviceId, actor: "system", data: { lifetime } });
        this.options.onchange({ id: deviceId, accountId }, "updated");
      }),
    );
  }

  /** Ends those of these registrations that may not be any longer, with their sessions. */
  async expel(registrations: Iterable<LiveRegistration>): Promise<void> {
    const { directory, timeline } = this.options;
    const forbidden: [LiveRegistration, string][] = [];
    for (const registration of registrations) {
      const device = directory.byId(registration.deviceId);
      const reason = device && this.#forbidden(device);
      if (reason) forbidden.push([registration, reason]);
    }
    await Promise.all(
      forbidden.map(async ([registration, reason]) => {
        const { deviceId, accountId } = registration;
        await this.#end(registration, "de-registrations");
        registration.peer?.close();
        timeline.note("registration.ended", { accountId, deviceId, actor: "system", data: { reason } });
        this.options.onchange({ id: deviceId, accountId }, "updated");
      }),
    );
  }

  /** Why a device may not be registered, or null. */
  #forbidden({ suspended, secured, caId }: DeviceFacts): string | null {
    if (suspended) return SUSPENDED;
    if (secured && !(caId && this.options.trusts(caId)))
      return "The certificate it came in by is no longer trusted.";
    return null;
  }

  /** Says who registers, or why nobody does; the database is asked only for devices that are new. */
  async #authorise(
    peer: Peer,
    endpointName: string | null,
    attributes: Readonly<Record<string, string>>,
  ): Promise<Authorised> {
    const { directory, admissions } = this.options;
    const identity = identityOf(peer);
    if (identity?.kind !== "lwm2m") {
      const admission = await admissions.admit(peer, {
        endpointName,
        accountId: attributes.aid ?? null,
        deviceId: null,
        keepsDeviceId: false,
      });
      if (!admission.ok) return { ...admission, code: "4.03", deviceId: null };
      return admission;
    }
    const { accountId, deviceId, commonName } = identity;
    const refuse = (message: string): Authorised => ({
      ok: false,
      code: "4.03",
      message,
      accountId,
      deviceId,
    });
    const device = directory.byId(deviceId);
    if (!device || device.accountId !== accountId)
      return refuse("The device is not in the directory (any more): it has to bootstrap again.");
    const expired = this.#expired(identity);
    if (expired) return refuse(expired);
    if (endpointName !== null && endpointName !== commonName)
      return refuse(
        `It calls itself ${endpointName.slice(0, 80)}, but its certificate is for ${commonName}.`,
      );
    const forbidden = this.#forbidden(device);
    if (forbidden) return refuse(forbidden);
    if (device.rebootstrapPending) return refuse("The device was asked to bootstrap again.");
    return { ok: true, device, endpointName: commonName, created: false, renamed: false, row: null };
  }

  /** A session can outlive the certificate it was opened with. */
  #expired(identity: GatewayIdentity): string | null {
    if (identity.notAfter > this.options.clock.now()) return null;
    return `Its LwM2M certificate expired on ${new Date(identity.notAfter).toISOString().slice(0, 10)}: it has to bootstrap again.`;
  }

  /** The registration behind a location, if it is this peer's; what belongs to others looks as if it were not there. */
  #find(
    peer: Peer,
    location: string,
  ): { registration: LiveRegistration; device: DeviceFacts } | OutgoingResponse {
    const unknown: OutgoingResponse = {
      code: "4.04",
      payload: "There is no such registration: register again.",
    };
    const { directory } = this.options;
    const registration = directory.registration(location);
    const device = registration && directory.byId(registration.deviceId);
    if (!registration || !device) return unknown;
    if (registration.expiresAt <= this.options.clock.now()) return unknown;
    const identity = identityOf(peer);
    if (!identity) return device.secured ? unknown : { registration, device };
    const owner =
      identity.kind === "lwm2m"
        ? identity.deviceId === device.id
        : identity.caId === device.caId && `ep:${identity.commonName}` === device.identity;
    if (!owner || identity.accountId !== device.accountId) return unknown;
    return this.#expired(identity) ? unknown : { registration, device };
  }

  #registrationOfPeer(peer: Peer): LiveRegistration | undefined {
    const identity = identityOf(peer);
    if (identity?.kind === "lwm2m") {
      const registration = this.options.directory.registrationOf(identity.deviceId);
      return registration && registration.expiresAt > this.options.clock.now() ? registration : undefined;
    }
    for (const registration of this.options.directory.registrations())
      if (registration.peer === peer) return registration;
    return undefined;
  }

  #hold(device: DeviceFacts): OutgoingResponse | null {
    const pacing = this.#holds.count(device.id, this.options.clock.now());
    if (!pacing.held) return null;
    if (pacing.first)
      this.options.timeline.note("registration.held", {
        accountId: device.accountId,
        deviceId: device.id,
        data: { requests: HOLD_COUNT + 1, windowSeconds: HOLD_WINDOW_MS / 1000, holdSeconds: HOLD_MS / 1000 },
      });
    // Max-Age tells when to come back [RFC7252 §5.9.3.4].
    return {
      code: "5.03",
      maxAge: Math.ceil(pacing.retryAfterMs / 1000),
      payload: "Too many registrations and updates: on hold.",
    };
  }

  #refuse(peer: Peer, refusal: Authorised & { ok: false }, endpointName: string | null): OutgoingResponse {
    const { accountId, deviceId, message, code } = refusal;
    this.options.timeline.knock(
      "registration.refused",
      `rd ${accountId} ${deviceId ?? peer.remote.address} ${message}`,
      {
        accountId,
        // An event may only name a device that is in the directory.
        deviceId: deviceId && this.options.directory.byId(deviceId) ? deviceId : null,
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

  #complain(peer: Peer, request: string, reason: string, code: string): void {
    const identity = identityOf(peer);
    this.options.timeline.knock("request.malformed", `${request} ${peer.remote.address} ${reason}`, {
      accountId: identity?.accountId ?? null,
      deviceId:
        identity?.kind === "lwm2m" && this.options.directory.byId(identity.deviceId)
          ? identity.deviceId
          : null,
      data: { address: formatAddress(peer), transport: peer.transport, request, reason, code },
    });
  }

  /** The structure after an Update, with what came and what went; throws LinkFormatError. */
  #merge(
    registration: LiveRegistration,
    update: string,
  ): { text: string; added: string[]; removed: string[] } {
    const before = parseLinks(registration.objectLinks);
    const change = parseLinks(update);
    const after = mergeObjectLinks(before, change, registration.deltaLinks);
    readObjectLinks(after, registration.lwm2mVersion);
    const targets = (links: readonly Link[]) => new Set(links.map((link) => link.target));
    const [old, now] = [targets(before), targets(after)];
    return {
      text: formatLinks(after),
      added: [...now].filter((target) => !old.has(target)),
      removed: [...old].filter((target) => !now.has(target)),
    };
  }
}

/** 64 random bits in hex; a UUID comes from a pool of random bytes, which costs a tenth of asking for eight. */
function newLocation(): string {
  const uuid = randomUUID();
  return uuid.slice(0, 8) + uuid.slice(24, 32);
}
