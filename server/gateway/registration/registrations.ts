import type { Clock } from "@/server/clock";
import type { Entry, GroupCommit } from "@/server/db";
import { settleRemoval } from "@/server/services/devices/statements";
import {
  markSeen,
  putRegistration,
  type RegistrationRow,
  updateRegistration,
} from "@/server/services/registrations/statements";
import type { Peer } from "@/server/transport";
import { formatAddress } from "../admission";
import type { DeviceFacts, Directory, LiveRegistration } from "../directory";
import { endNotice, registrationNotice } from "../notices";
import type { Notifier } from "../notifier";
import type { Presence } from "../presence";
import type { DeviceRequests } from "../requests";
import type { Structures } from "../structures";
import type { Subscriptions } from "../subscriptions";
import type { Timeline } from "../timeline";
import type { Turn, Turns } from "../turns";
import { ENDINGS, type EndReason, endKey } from "./endings";

export interface RegistrationParts {
  clock: Clock;
  directory: Directory;
  turns: Turns;
  commit: GroupCommit;
  timeline: Timeline;
  notifier: Notifier;
  structures: Structures;
  subscriptions: Subscriptions;
  requests: DeviceRequests;
  presence: Presence;
  onchange(device: Pick<DeviceFacts, "id" | "accountId">, change: "created" | "updated"): void;
}

/** A device that was deleted. */
export interface Removal {
  deviceId: string;
  accountId: string;
  endpointName: string;
  registered: boolean;
}

/** A registration as its Register has it. */
export type NewRegistration = Omit<
  RegistrationRow,
  "deviceId" | "accountId" | "address" | "transport" | "registeredAt" | "updatedAt" | "expiresAt"
>;

/** What an Update changes; null: as before. */
export interface RegistrationChange {
  lifetime: number | null;
  binding: string | null;
  queueMode: boolean | null;
  /** The whole structure after it, with what came and what went. */
  links: { text: string; added: string[]; removed: string[] } | null;
}

/** Something that is done and on disk, with what is to follow once its device has been answered. */
export interface Done<T> {
  value: T;
  follow(): void;
}

/**
 * The life of registrations: the only place that changes them in memory, and then after the commit, so that memory never
 * knows what the disk does not. Whatever comes late finds its registration by identity, never "the one of the device".
 */
export class Registrations {
  /** Called once a device has registered and been answered. */
  onregistered: ((deviceId: string) => void) | null = null;

  constructor(private readonly parts: RegistrationParts) {}

  /** The newest registration of a device takes the place of the one before; `entries` are written with it. */
  async register(
    _turn: Turn,
    device: DeviceFacts,
    draft: NewRegistration,
    { peer, created, entries }: { peer: Peer; created: boolean; entries: readonly Entry[] },
  ): Promise<Done<LiveRegistration>> {
    const { directory, commit, notifier, subscriptions, structures, clock } = this.parts;
    const at = clock.now();
    const former = directory.registrationOf(device.id);
    const registration: LiveRegistration = {
      ...draft,
      deviceId: device.id,
      accountId: device.accountId,
      address: formatAddress(peer),
      transport: peer.transport,
      // What is written of a registration is written where both its location and this time agree.
      registeredAt: Math.max(at, (former?.registeredAt ?? 0) + 1),
      updatedAt: at,
      expiresAt: at + draft.lifetime * 1000,
      peer,
      keepAlive: null,
      presubscribed: null,
    };
    const ended = subscriptions.registering(device.id);
    const rows: Entry[] = [
      ...entries,
      [putRegistration, registration],
      ...ended.entries,
      ...notifier.broadcast(device.accountId, "registrations", () =>
        registrationNotice(registration, device, structures.of(registration), at),
      ),
    ];
    await commit.addAll(rows);

    directory.putRegistration(registration);
    ended.apply();
    if (former) subscriptions.ended(former);
    notifier.written(device.accountId, rows);
    return { value: registration, follow: () => this.#registered(registration, former, created) };
  }

  #registered(registration: LiveRegistration, former: LiveRegistration | undefined, created: boolean): void {
    const { directory, timeline, structures, subscriptions } = this.parts;
    const { deviceId, accountId, address, transport, peer } = registration;
    const scope = { accountId, deviceId };
    if (former) {
      timeline.note("registration.replaced", {
        ...scope,
        data: { address, transport, previousAddress: former.address },
      });
      // The newest of two connections of one device wins.
      if (former.peer && former.peer !== peer) former.peer.close();
    }
    timeline.note("registration.registered", {
      ...scope,
      data: {
        address,
        transport,
        endpointName: registration.endpointName,
        lifetime: registration.lifetime,
        lwm2mVersion: registration.lwm2mVersion,
        binding: registration.binding,
        objects: [...structures.of(registration).objects.keys()].map((id) => `/${id}`),
      },
    });
    this.parts.onchange({ id: deviceId, accountId }, created ? "created" : "updated");
    this.onregistered?.(deviceId);
    if (!directory.holds(registration)) return;
    subscriptions.registered(registration);
    this.parts.presence.heard(registration);
  }

  /** Keeps a registration alive, with what is new in it. */
  async update(
    _turn: Turn,
    registration: LiveRegistration,
    device: DeviceFacts,
    peer: Peer,
    change: RegistrationChange,
  ): Promise<Done<void>> {
    const { clock, commit, directory, notifier, structures } = this.parts;
    const at = clock.now();
    const { links } = change;
    const lifetime = change.lifetime ?? registration.lifetime;
    const after = {
      lifetime,
      binding: change.binding ?? registration.binding,
      queueMode: change.queueMode === null ? registration.queueMode : change.queueMode ? 1 : 0,
      objectLinks: links ? directory.shareText(links.text) : registration.objectLinks,
      address: formatAddress(peer),
      transport: peer.transport,
      updatedAt: at,
      expiresAt: at + lifetime * 1000,
    } as const;
    const { id, deviceId, registeredAt } = registration;
    const rows: Entry[] = [
      [
        updateRegistration,
        { ...after, id, deviceId, registeredAt, objectLinks: links ? after.objectLinks : null },
      ],
      ...notifier.broadcast(device.accountId, "reg-updates", () => {
        const updated = { ...registration, ...after };
        return registrationNotice(updated, device, structures.of(updated), at);
      }),
    ];
    commit.note(markSeen, { id: deviceId, address: after.address, transport: after.transport, at });
    await commit.addAll(rows);

    const before = { ...registration };
    Object.assign(registration, after);
    const moved = before.peer !== peer;
    registration.peer = peer;
    notifier.written(device.accountId, rows);
    return {
      value: undefined,
      follow: () => {
        if (moved) {
          before.peer?.close();
          if (directory.holds(registration)) this.parts.subscriptions.moved(registration);
        }
        this.#updated(registration, before, links);
      },
    };
  }

  #updated(
    registration: LiveRegistration,
    before: RegistrationRow,
    links: RegistrationChange["links"],
  ): void {
    const { timeline, directory, subscriptions, presence } = this.parts;
    const { accountId, deviceId, address, transport, lifetime, updatedAt } = registration;
    const scope = { accountId, deviceId };
    const lifetimeChanged = lifetime !== before.lifetime;
    const addressChanged = address !== before.address;
    const linksChanged = links !== null && links.added.length + links.removed.length > 0;
    const data = {
      address,
      transport,
      ...(lifetimeChanged && { lifetime }),
      ...(links?.added.length && { added: links.added }),
      ...(links?.removed.length && { removed: links.removed }),
      ...(addressChanged && { addressChanged }),
    };
    if (lifetimeChanged || addressChanged || linksChanged) {
      registration.keepAlive = null;
      timeline.note("registration.updated", { ...scope, data });
      this.parts.onchange({ id: deviceId, accountId }, "updated");
    } else {
      // A device that only keeps alive would fill its timeline: such updates share a row.
      const run = registration.keepAlive;
      const count = (run?.count ?? 0) + 1;
      const firstAt = run?.firstAt ?? updatedAt;
      const { id } = timeline.note("registration.updated", {
        ...scope,
        ...(run && { id: run.eventId }),
        data: { ...data, count, firstAt },
      });
      registration.keepAlive = { eventId: id, count, firstAt };
    }
    if (!directory.holds(registration)) return;
    subscriptions.updated(registration);
    presence.heard(registration);
  }

  /**
   * Ends a registration, unless a newer one has taken its place; `entries` are written in any case. What `data` has for
   * the timeline is told once the device has been answered. False: it was not there any longer.
   */
  async end(
    _turn: Turn,
    registration: LiveRegistration | null,
    reason: EndReason,
    { entries = [], data = {} }: { entries?: readonly Entry[]; data?: object } = {},
  ): Promise<Done<boolean>> {
    const { clock, commit, directory, notifier, subscriptions, requests, timeline } = this.parts;
    const ended = registration && directory.holds(registration) ? registration : null;
    if (!ended) {
      if (entries.length > 0) await commit.addAll(entries);
      return { value: false, follow: () => {} };
    }
    const { accountId, deviceId } = ended;
    const { notice, event, actor, keepsRequests, closesSession, rows: rowsOf } = ENDINGS[reason];
    const at = clock.now();
    const left = keepsRequests ? null : subscriptions.ending(ended);
    const rows: Entry[] = [
      ...rowsOf(endKey(ended, at)),
      ...(left?.entries ?? []),
      ...notifier.broadcast(accountId, notice, () => endNotice(ended, at)),
      ...entries,
    ];
    try {
      await commit.addAll(rows);
    } catch (error) {
      left?.undo();
      throw error;
    }

    directory.removeRegistration(ended);
    if (left) left.apply();
    else subscriptions.ended(ended);
    if (!keepsRequests) requests.left(deviceId);
    notifier.written(accountId, rows);
    return {
      value: true,
      follow: () => {
        if (closesSession) ended.peer?.close();
        if (event && directory.byId(deviceId))
          timeline.note(event, { accountId, deviceId, actor, data } as never);
        this.parts.onchange({ id: deviceId, accountId }, "updated");
      },
    };
  }

  /** Forgets a device whose entry was deleted, and tells whoever waited for it or is to know. */
  async remove(_turn: Turn, removal: Removal): Promise<Done<void>> {
    const { clock, commit, directory, notifier, subscriptions, requests } = this.parts;
    const { deviceId, accountId } = removal;
    const at = clock.now();
    // Here memory comes behind the disk, so it follows at once.
    const registration = directory.removeDevice(deviceId);
    const left = subscriptions.ending(registration ?? { deviceId, peer: null });
    left.apply();
    requests.left(deviceId);
    const rows: Entry[] = [
      ...left.entries,
      [settleRemoval, { deviceId }],
      ...(removal.registered
        ? notifier.broadcast(accountId, "de-registrations", () => endNotice(removal, at))
        : []),
    ];
    await commit.addAll(rows);
    notifier.written(accountId, rows);
    return { value: undefined, follow: () => registration?.peer?.close() };
  }

  /** Ends what has not been updated within its lifetime. */
  async sweep(): Promise<void> {
    const { clock, directory } = this.parts;
    const now = clock.now();
    const expired: LiveRegistration[] = [];
    for (const registration of directory.registrations())
      if (registration.expiresAt <= now) expired.push(registration);
    await Promise.all(
      expired.map((registration) =>
        this.endWhen(registration, "expired", () =>
          // It may have been updated while this waited for its turn.
          registration.expiresAt <= now ? { lifetime: registration.lifetime } : null,
        ),
      ),
    );
  }

  /** Ends a registration when its turn comes, if there still is a reason: what `because` says goes into the timeline. */
  endWhen(registration: LiveRegistration, reason: EndReason, because: () => object | null): Promise<boolean> {
    return this.parts.turns.run(registration.deviceId, async (turn) => {
      const data = because();
      if (!data) return false;
      const { value, follow } = await this.end(turn, registration, reason, { data });
      follow();
      return value;
    });
  }

  /** A registered device goes on over another session; its address stays that of the last Update. */
  moveTo(registration: LiveRegistration, peer: Peer): void {
    registration.peer = peer;
  }
}
