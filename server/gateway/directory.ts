import type { PrismaClient } from "@/server/db";
import type { EnrollmentDirectory, KnownDevice } from "@/server/services/enrollment/decide";
import type { RegistrationRow } from "@/server/services/registrations/statements";
import type { Peer } from "@/server/transport";
import { profileOf } from "./profiles";

/** What the gateway keeps in memory of a directory entry. */
export interface DeviceFacts extends KnownDevice {
  /** Its next Register is refused, so that it bootstraps again. */
  rebootstrapPending: boolean;
  /** Blocked by a person: it may neither bootstrap nor register. */
  suspended: boolean;
  endpointType: string;
}

/** A registration and the session it lives on. */
export interface LiveRegistration extends RegistrationRow {
  /** Null: not connected now, after a restart or the loss of its TCP connection. */
  peer: Peer | null;
  /** The timeline row that stands for a run of updates without any change. */
  keepAlive: { eventId: string; count: number; firstAt: number } | null;
  /** What pre-subscriptions were matched against; null: since the restart the device was not heard. */
  presubscribed: { links: string; generation: number } | null;
}

/** Whether the loss of its connection ended what the device was asked to observe [RFC8323 §7.4]. */
export function endsObservations(registration: LiveRegistration): boolean {
  const { peer } = registration;
  return (
    !profileOf(registration).keepsObservations && (peer?.transport === "tcp" || peer?.transport === "tls")
  );
}

const select = {
  id: true,
  accountId: true,
  identity: true,
  endpointName: true,
  caId: true,
  rebootstrapPending: true,
  suspendedAt: true,
  endpointType: true,
  deviceKey: true,
  bootstrapFingerprint: true,
  state: true,
  address: true,
} as const;

function factsOf(row: {
  id: string;
  accountId: string;
  identity: string;
  endpointName: string;
  caId: string | null;
  rebootstrapPending: boolean;
  suspendedAt: Date | null;
  endpointType: string;
  deviceKey: string | null;
  bootstrapFingerprint: string | null;
}): DeviceFacts {
  const { id, accountId, identity, endpointName, caId, rebootstrapPending, endpointType } = row;
  const suspended = row.suspendedAt !== null;
  const secured = Boolean(caId ?? row.deviceKey ?? row.bootstrapFingerprint);
  return {
    id,
    accountId,
    identity,
    endpointName,
    caId,
    rebootstrapPending,
    suspended,
    endpointType,
    secured,
  };
}

/**
 * All devices and registrations of the instance, in memory: the gateway writes them, and is told of what others make or
 * delete, so what stands here is what the database holds, and a Register costs no query.
 */
export class Directory implements EnrollmentDirectory {
  readonly #devices = new Map<string, DeviceFacts>();
  readonly #byIdentity = new Map<string, DeviceFacts>();
  readonly #caCounts = new Map<string, number>();
  readonly #registrations = new Map<string, LiveRegistration>();
  readonly #byDevice = new Map<string, LiveRegistration>();
  readonly #linkTexts = new Map<string, string>();
  readonly #unfinished = new Map<string, Set<string>>();

  /** Reads everything; `notBefore` (ms) is the earliest time at which a stored registration may expire. */
  static async load(db: PrismaClient, notBefore: number): Promise<Directory> {
    const directory = new Directory();
    const page = 20_000;
    for (let after = ""; ; ) {
      const rows = await db.device.findMany({
        where: { id: { gt: after } },
        orderBy: { id: "asc" },
        take: page,
        select,
      });
      for (const row of rows) {
        const device = factsOf(row);
        directory.addDevice(device);
        const { state, deviceKey, address } = row;
        if (state === "cloud_enrolling" && !deviceKey && row.identity.startsWith("id:") && address)
          directory.leaveUnfinished(device, address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1"));
      }
      if (rows.length < page) break;
      after = rows[rows.length - 1]?.id ?? "";
    }
    for (let after = ""; ; ) {
      const rows = await db.registration.findMany({
        where: { deviceId: { gt: after } },
        orderBy: { deviceId: "asc" },
        take: page,
      });
      for (const row of rows) {
        directory.putRegistration({
          ...row,
          queueMode: row.queueMode ? 1 : 0,
          registeredAt: row.registeredAt.getTime(),
          updatedAt: row.updatedAt.getTime(),
          expiresAt: Math.max(row.expiresAt.getTime(), notBefore),
          peer: null,
          profile: row.profile === "pelion" ? "pelion" : "standard",
          keepAlive: null,
          presubscribed: null,
        });
      }
      if (rows.length < page) break;
      after = rows[rows.length - 1]?.deviceId ?? "";
    }
    return directory;
  }

  /** Takes up an entry that was made or changed elsewhere. */
  async admit(db: PrismaClient, id: string): Promise<DeviceFacts | undefined> {
    const row = await db.device.findUnique({ where: { id }, select });
    const known = this.#devices.get(id);
    if (row && known) {
      const { suspended, endpointType } = factsOf(row);
      Object.assign(known, { suspended, endpointType });
    } else if (row && !this.byIdentity(row.accountId, row.identity)) {
      this.addDevice(factsOf(row));
    }
    return this.#devices.get(id);
  }

  /** An entry made before its device was seen: it belongs to the certificate that it came in by first. */
  adopt(device: DeviceFacts, caId: string): void {
    device.caId = caId;
    device.secured = true;
    this.#caCounts.set(caId, this.countByCa(caId) + 1);
  }

  byId(id: string): DeviceFacts | undefined {
    return this.#devices.get(id);
  }

  byIdentity(accountId: string, identity: string): DeviceFacts | undefined {
    return this.#byIdentity.get(`${accountId} ${identity}`);
  }

  countByCa(caId: string): number {
    return this.#caCounts.get(caId) ?? 0;
  }

  unfinished(caId: string, address: string): DeviceFacts | undefined {
    for (const id of this.#unfinished.get(`${caId} ${address}`) ?? []) {
      const device = this.#devices.get(id);
      if (device) return device;
    }
    return undefined;
  }

  /** Its bootstrap ended before credentials were sent: whoever comes next from there may have the entry. */
  leaveUnfinished(device: DeviceFacts, address: string): void {
    const key = `${device.caId} ${address}`;
    const ids = this.#unfinished.get(key) ?? new Set();
    this.#unfinished.set(key, ids.add(device.id));
  }

  /** A bootstrap of this device begins; false when its entry was not left unfinished. */
  takeUnfinished(device: DeviceFacts, address: string): boolean {
    const key = `${device.caId} ${address}`;
    const ids = this.#unfinished.get(key);
    const taken = ids?.delete(device.id) ?? false;
    if (ids?.size === 0) this.#unfinished.delete(key);
    return taken;
  }

  addDevice(facts: DeviceFacts): void {
    this.#devices.set(facts.id, facts);
    this.#byIdentity.set(`${facts.accountId} ${facts.identity}`, facts);
    if (facts.caId) this.#caCounts.set(facts.caId, this.countByCa(facts.caId) + 1);
  }

  /** Forgets a device and returns the registration it had. */
  removeDevice(id: string): LiveRegistration | undefined {
    const facts = this.#devices.get(id);
    if (!facts) return undefined;
    this.#devices.delete(id);
    this.#byIdentity.delete(`${facts.accountId} ${facts.identity}`);
    if (facts.caId) this.#caCounts.set(facts.caId, this.countByCa(facts.caId) - 1);
    const registration = this.#byDevice.get(id);
    if (registration) this.removeRegistration(registration);
    return registration;
  }

  /** A trusted certificate is gone: its devices stay, but rest on nothing. */
  forgetCa(caId: string): void {
    for (const facts of this.#devices.values()) if (facts.caId === caId) facts.caId = null;
    this.#caCounts.delete(caId);
  }

  registration(id: string): LiveRegistration | undefined {
    return this.#registrations.get(id);
  }

  registrationOf(deviceId: string): LiveRegistration | undefined {
    return this.#byDevice.get(deviceId);
  }

  registrations(): IterableIterator<LiveRegistration> {
    return this.#registrations.values();
  }

  get registrationCount(): number {
    return this.#registrations.size;
  }

  /** The newest registration of a device; returns the one it replaces. */
  putRegistration(registration: LiveRegistration): LiveRegistration | undefined {
    const former = this.#byDevice.get(registration.deviceId);
    if (former) this.#registrations.delete(former.id);
    registration.objectLinks = this.shareText(registration.objectLinks);
    this.#registrations.set(registration.id, registration);
    this.#byDevice.set(registration.deviceId, registration);
    return former;
  }

  /** Whether this is the registration of its device, and no newer one has taken its place. */
  holds(registration: LiveRegistration): boolean {
    return this.#byDevice.get(registration.deviceId) === registration;
  }

  /** Removes this registration, unless a newer one of the device has taken its place [leshan#625]. */
  removeRegistration(registration: LiveRegistration): boolean {
    if (!this.holds(registration)) return false;
    this.#byDevice.delete(registration.deviceId);
    this.#registrations.delete(registration.id);
    return true;
  }

  /** One copy of a text that many devices of one firmware present alike. */
  shareText(text: string): string {
    const shared = this.#linkTexts.get(text);
    if (shared !== undefined) return shared;
    if (this.#linkTexts.size >= 1000) this.#linkTexts.clear();
    this.#linkTexts.set(text, text);
    return text;
  }
}
