import type { BusEvent, GatewayRequests, PathValue } from "@/server/bus/messages";
import type { Clock } from "@/server/clock";
import {
  type AdoptedObservation,
  type CoapEndpoint,
  CoapFailure,
  type CoapResponse,
  type IncomingRequest,
  type OutgoingResponse,
} from "@/server/coap";
import type { Entry, GroupCommit, PrismaClient } from "@/server/db";
import {
  ContentError,
  ContentFormat,
  comparePaths,
  decodeContent,
  type Path,
  type PresentedNode,
  parentPath,
} from "@/server/lwm2m";
import { newId } from "@/server/services/ids";
import type { NotificationRow } from "@/server/services/notifications/statements";
import type { NotificationBodies } from "@/server/services/notifications/types";
import { putObservation, removeObservation } from "@/server/services/registrations/statements";
import { putSubscription, removeSubscription } from "@/server/services/subscriptions/statements";
import type { TransportKind } from "@/server/transport";
import { type ApplicationValue, forApplication, ofValue } from "./application-value";
import { type Directory, endsObservations, type LiveRegistration } from "./directory";
import { type DeviceExchange, nameOf, preferred, segments } from "./exchange";
import type { Notifier } from "./notifier";
import type { Presence } from "./presence";
import { presubscribedPaths } from "./presubscriptions";
import { endingOf, refusalOf, statusOf } from "./request-plan";
import type { Structures } from "./structures";
import type { Timeline } from "./timeline";

const SENML_FORMATS = new Set<number>([ContentFormat.senmlJson, ContentFormat.senmlCbor]);
/** Devices observed anew at a time after a restart. */
const RESUME_AT_A_TIME = 50;
/** Subscriptions of which one device may still have to be asked. */
const MAX_PENDING = 100;
/** A path that a device did not answer for is tried again when it is heard after this time. */
const RETRY_MS = 60_000;
/** Max-Age where a device does not say [RFC7252 §5.10.5]. */
const MAX_AGE_S = 60;

export interface SubscriptionOptions {
  clock: Clock;
  db: PrismaClient;
  coap: () => CoapEndpoint;
  directory: Directory;
  commit: GroupCommit;
  timeline: Timeline;
  presence: Presence;
  exchange: DeviceExchange;
  notifier: Notifier;
  structures: Structures;
  publish(event: BusEvent): void;
  onerror(error: unknown): void;
}

/** An application that waits to hear whether its subscription works. */
interface Asked {
  asyncId: string;
  actor: string;
}

/** What is wanted of one device, and what is observed. */
interface Observed {
  running: Map<Path, AdoptedObservation>;
  /** What people want observed; like the subscriptions the same as in the database. */
  wanted: Set<Path>;
  /** Owners that asked for a path by itself, with what they still wait for. */
  subscribed: Map<Path, Map<string, Asked[]>>;
  /** Owners whose pre-subscriptions find a path. */
  presubscribed: Map<Path, Set<string>>;
  /** Paths that did not work, and when they may be tried again. */
  failed: Map<Path, number>;
  /** Paths that the device is being asked for. */
  busy: Set<Path>;
  /** The registration on which it is asked for one path after the other. */
  asking: LiveRegistration | null;
}

/**
 * Who is told of the values of devices. However many want a path (the portal, applications by subscription or
 * pre-subscription), the device is asked to notify it once.
 */
export class Subscriptions {
  readonly #devices = new Map<string, Observed>();
  /** What pre-subscriptions were matched against; absent: the device has not been dealt with since it registered. */
  readonly #matched = new WeakMap<LiveRegistration, { links: string; generation: number }>();

  constructor(private readonly options: SubscriptionOptions) {}

  /** Reads what is wanted of whom, once at the start. */
  async load(): Promise<void> {
    const { db } = this.options;
    for (const { deviceId, path } of await db.observation.findMany()) this.#of(deviceId).wanted.add(path);
    for (const { deviceId, path, ownerId } of await db.subscription.findMany())
      this.#subscribe(deviceId, path, ownerId);
  }

  /** After a restart: devices whose sessions went on are observed anew, a few at a time. */
  async resume(): Promise<void> {
    const queue = [...this.options.directory.registrations()].filter(({ peer }) => peer !== null);
    for (const registration of queue) this.#adoptAutomatic(registration);
    const worker = async () => {
      for (let registration = queue.pop(); registration; registration = queue.pop())
        await this.#pursue(registration);
    };
    await Promise.all(Array.from({ length: RESUME_AT_A_TIME }, worker));
  }

  /** Subscribes an owner until the device registers anew. */
  async put(
    input: GatewayRequests["subscription.put"]["input"],
  ): Promise<GatewayRequests["subscription.put"]["output"]> {
    const { directory, structures, commit, clock } = this.options;
    const { accountId, deviceId, ownerId, path, asyncId, actor = "system" } = input;
    const refuse = (refused: GatewayRequests["subscription.put"]["output"]["refused"]) => ({
      state: null,
      refused,
    });
    const device = directory.byId(deviceId);
    if (!device || device.accountId !== accountId) return refuse("DEVICE_NOT_FOUND");
    if (device.suspended) return refuse("DEVICE_BLOCKED");
    const registration = directory.registrationOf(deviceId);
    if (!registration || registration.expiresAt <= clock.now()) return refuse("DEVICE_NOT_FOUND");
    if (!structures.of(registration).mayHave(path)) return refuse("RESOURCE_NOT_FOUND");
    if (!this.#isObserved(deviceId, path) && this.#pending(deviceId) >= MAX_PENDING)
      return refuse("QUEUE_IS_FULL");

    await commit.add(putSubscription, { ownerId, deviceId, path, at: clock.now() });
    const current = directory.registrationOf(deviceId);
    if (!current) return refuse("DEVICE_NOT_FOUND");
    const asked = this.#subscribe(deviceId, path, ownerId);
    if (this.#isObserved(deviceId, path)) return { state: "active", refused: null };
    asked.push({ asyncId, actor });
    this.#of(deviceId).failed.delete(path);
    this.#ask(current).catch(this.options.onerror);
    return { state: "pending", refused: null };
  }

  /** Ends subscriptions; those that pre-subscriptions made come again with the next registration. */
  async remove(
    input: GatewayRequests["subscription.remove"]["input"],
  ): Promise<GatewayRequests["subscription.remove"]["output"]> {
    const { directory, commit } = this.options;
    const { accountId, ownerId, path: only } = input;
    const ended: { deviceId: string; path: Path }[] = [];
    const entries: Entry[] = [];
    for (const deviceId of input.deviceId ? [input.deviceId] : this.#devices.keys()) {
      const observed = this.#devices.get(deviceId);
      if (!observed || directory.byId(deviceId)?.accountId !== accountId) continue;
      for (const path of this.#pathsOf(observed, ownerId)) {
        if (only !== null && path !== only) continue;
        if (dropOwner(observed.subscribed, path, ownerId))
          entries.push([removeSubscription, { ownerId, deviceId, path }]);
        dropOwner(observed.presubscribed, path, ownerId);
        ended.push({ deviceId, path });
      }
    }
    if (entries.length > 0) await commit.addAll(entries);
    for (const { deviceId, path } of ended) this.#release(deviceId, path);
    return { removed: ended.length };
  }

  /** What an owner is subscribed to, pre-subscriptions included. */
  async list({
    accountId,
    ownerId,
    deviceId,
  }: GatewayRequests["subscription.list"]["input"]): Promise<GatewayRequests["subscription.list"]["output"]> {
    const registration = this.options.directory.registrationOf(deviceId);
    if (registration?.accountId !== accountId) return { paths: [] };
    if (!this.#matched.has(registration)) await this.#match(registration);
    const observed = this.#devices.get(deviceId);
    return { paths: observed ? [...this.#pathsOf(observed, ownerId)].sort(comparePaths) : [] };
  }

  /** Brings what is known of an owner in line with the database: what it no longer asks for ends. */
  async reload(ownerId: string): Promise<void> {
    const { db, directory, notifier } = this.options;
    // Only what was there before can be missed: a subscription made meanwhile is in nobody's answer yet.
    const before: { deviceId: string; path: Path }[] = [];
    for (const [deviceId, { subscribed }] of this.#devices)
      for (const [path, owners] of subscribed) if (owners.has(ownerId)) before.push({ deviceId, path });
    const kept = new Set<string>();
    if (before.length > 0)
      for (const { deviceId, path } of await db.subscription.findMany({ where: { ownerId } }))
        kept.add(`${deviceId} ${path}`);
    for (const { deviceId, path } of before) {
      const observed = this.#devices.get(deviceId);
      if (observed && !kept.has(`${deviceId} ${path}`) && dropOwner(observed.subscribed, path, ownerId))
        this.#release(deviceId, path);
    }

    const wanted = notifier.presubscriptionsOf(ownerId);
    for (const [deviceId, { presubscribed }] of this.#devices) {
      const device = directory.byId(deviceId);
      const paths = [...presubscribed].filter(([, owners]) => owners.has(ownerId)).map(([path]) => path);
      if (!device || paths.length === 0) continue;
      const still = presubscribedPaths(wanted, {
        ...device,
        nodes: paths.map(observable),
        mayHave: () => false,
      });
      for (const path of paths)
        if (!still.has(path) && dropOwner(presubscribed, path, ownerId)) this.#release(deviceId, path);
    }
  }

  /** Rows to be written with a Register: subscriptions end, but who still waits to hear is still to hear. */
  registering({ deviceId }: LiveRegistration): Entry[] {
    const entries: Entry[] = [];
    const { subscribed } = this.#devices.get(deviceId) ?? {};
    for (const [path, owners] of subscribed ?? [])
      for (const [ownerId, asked] of owners)
        if (asked.length === 0 && subscribed && dropOwner(subscribed, path, ownerId))
          entries.push([removeSubscription, { ownerId, deviceId, path }]);
    return entries;
  }

  /** A new registration: what is to be observed is observed anew [LwM2M-Core 1.1.1 §6.4.1]. */
  async registered(registration: LiveRegistration): Promise<void> {
    const { exchange, directory, clock } = this.options;
    const values = this.#presentedValues(registration, clock.now());
    exchange.keep(registration, values, "notify");
    this.#adoptAutomatic(registration);
    await this.#match(registration);
    if (directory.registrationOf(registration.deviceId) !== registration) return;
    for (const { path, value, at } of values) this.#tellValue(registration, path, value, at, [path]);
    await this.#ask(registration);
  }

  /** An Update may present more, and pre-subscriptions may have changed. */
  async updated(registration: LiveRegistration): Promise<void> {
    const matched = this.#matched.get(registration);
    if (!matched) return;
    const { links, generation } = matched;
    if (links === registration.objectLinks && generation === this.options.notifier.generation) return;
    if (links !== registration.objectLinks) this.#devices.get(registration.deviceId)?.failed.clear();
    await this.#match(registration);
    await this.#ask(registration);
  }

  /** The device goes on with its registration on another session: what it notifies there is still wanted. */
  async moved(registration: LiveRegistration): Promise<void> {
    const observed = this.#devices.get(registration.deviceId);
    observed?.failed.clear();
    // After a restart nothing is known of what was observed before.
    if (this.#matched.has(registration) && !endsObservations(registration)) {
      for (const [path, { token }] of observed?.running ?? []) this.#adopt(registration, path, token);
    } else {
      observed?.running.clear();
      this.#adoptAutomatic(registration);
    }
    await this.#pursue(registration);
  }

  /** The device was heard: what could not be asked of it may be now. */
  async heard(registration: LiveRegistration): Promise<void> {
    if (!this.#matched.has(registration)) this.#adoptAutomatic(registration);
    await this.#pursue(registration);
  }

  /** A registration gave way to a newer one: nothing of it is asked or observed any longer. */
  ended(registration: LiveRegistration): void {
    const observed = this.#devices.get(registration.deviceId);
    observed?.running.clear();
    observed?.failed.clear();
    if (registration.peer) this.options.coap().forget(registration.peer);
  }

  /** Rows to be written with the end of a registration: whoever waits hears that nothing comes. */
  ending({ deviceId }: LiveRegistration): Entry[] {
    const { directory, notifier } = this.options;
    const subscribed = this.#devices.get(deviceId)?.subscribed ?? new Map<Path, Map<string, Asked[]>>();
    const error = directory.byId(deviceId)?.suspended ? "DEVICE_BLOCKED" : "DEVICE_REMOVED_REGISTRATION";
    const entries: Entry[] = [];
    for (const owners of subscribed.values())
      for (const [ownerId, asked] of owners)
        for (const { asyncId } of asked)
          entries.push(
            notifier.entry(ownerId, "async-responses", { id: asyncId, status: 429, payload: "", error }),
          );
    subscribed.clear();
    return entries;
  }

  /** The device left: what was wanted of it is void, as it is in the database. */
  left(registration: LiveRegistration): void {
    this.ended(registration);
    this.#devices.delete(registration.deviceId);
  }

  /** Whether the device notifies this path by itself, which nobody can begin or end. */
  isAutomatic(registration: LiveRegistration, path: Path): boolean {
    return this.#automatic(registration).has(path);
  }

  /** Observes a path for people; rejects with CoapFailure, and with ContentError when the value cannot be read. */
  async observe(
    registration: LiveRegistration,
    path: Path,
  ): Promise<{ response: CoapResponse; values: PathValue[] }> {
    const { commit, clock, exchange } = this.options;
    const { deviceId } = registration;
    try {
      const response = await this.#observe(registration, path);
      if (response.code !== "2.05") return { response, values: [] };
      this.#of(deviceId).wanted.add(path);
      await commit.add(putObservation, { deviceId, path, at: clock.now() });
      this.#announce(registration);
      return { response, values: exchange.decode(registration, path, response) };
    } finally {
      // Others may want what it did not work for now.
      this.#ask(registration).catch(this.options.onerror);
    }
  }

  /** People want it observed no longer. */
  async unobserve({ deviceId }: LiveRegistration, path: Path): Promise<void> {
    this.#devices.get(deviceId)?.wanted.delete(path);
    await this.options.commit.add(removeObservation, { deviceId, path });
    await this.#release(deviceId, path);
  }

  /** Values that a device sends by itself [LwM2M-Core 1.1.1 §6.4.6]. */
  async sent(registration: LiveRegistration, request: IncomingRequest): Promise<OutgoingResponse> {
    if (request.contentFormat === null || !SENML_FORMATS.has(request.contentFormat))
      return { code: "4.00", payload: "A Send is SenML JSON or SenML CBOR." };
    const { exchange, structures } = this.options;
    let values: PathValue[];
    try {
      values = exchange.decode(registration, "/", request);
    } catch (error) {
      if (!(error instanceof ContentError)) throw error;
      return { code: "4.00", payload: error.message };
    }
    const { objects } = structures.of(registration);
    if (values.some(({ path }) => !objects.has(Number(path.split("/")[1]))))
      return { code: "4.04", payload: "It reports an object that is not registered." };
    return {
      code: "2.04",
      sent: () => {
        exchange.keep(registration, values, "notify");
        for (const { path, value, at } of values)
          this.#tellValue(registration, path, value, at, withParents(path));
      },
    };
  }

  #of(deviceId: string): Observed {
    let observed = this.#devices.get(deviceId);
    if (!observed) {
      observed = {
        running: new Map(),
        wanted: new Set(),
        subscribed: new Map(),
        presubscribed: new Map(),
        failed: new Map(),
        busy: new Set(),
        asking: null,
      };
      this.#devices.set(deviceId, observed);
    }
    return observed;
  }

  #subscribe(deviceId: string, path: Path, ownerId: string): Asked[] {
    const { subscribed } = this.#of(deviceId);
    const owners = subscribed.get(path) ?? new Map<string, Asked[]>();
    subscribed.set(path, owners);
    const asked = owners.get(ownerId) ?? [];
    owners.set(ownerId, asked);
    return asked;
  }

  #isObserved(deviceId: string, path: Path): boolean {
    return this.#devices.get(deviceId)?.running.has(path) ?? false;
  }

  /** How many answers to subscriptions the device still owes. */
  #pending(deviceId: string): number {
    let count = 0;
    for (const owners of this.#devices.get(deviceId)?.subscribed.values() ?? [])
      for (const asked of owners.values()) count += asked.length;
    return count;
  }

  #pathsOf({ subscribed, presubscribed }: Observed, ownerId: string): Set<Path> {
    const paths = new Set<Path>();
    for (const byPath of [subscribed, presubscribed])
      for (const [path, owners] of byPath) if (owners.has(ownerId)) paths.add(path);
    return paths;
  }

  /** Everybody who is to be told of a path. */
  #ownersOf(deviceId: string, path: Path): string[] {
    const observed = this.#devices.get(deviceId);
    return [...(observed?.subscribed.get(path)?.keys() ?? []), ...(observed?.presubscribed.get(path) ?? [])];
  }

  async #pursue(registration: LiveRegistration): Promise<void> {
    if (!this.#matched.has(registration)) await this.#match(registration);
    await this.#ask(registration);
  }

  /** Finds out what pre-subscriptions want of a device. */
  async #match(registration: LiveRegistration): Promise<void> {
    const { directory, notifier, structures, db } = this.options;
    const { deviceId, accountId, objectLinks: links } = registration;
    const { generation } = notifier;
    this.#matched.set(registration, { links, generation });
    const found = new Map<Path, Set<string>>();
    if (notifier.hasPresubscriptions(accountId)) {
      const structure = structures.of(registration);
      // Pelion's client lists all it has; of others more may be known.
      const known = registration.deltaLinks
        ? []
        : await db.resourceValue.findMany({ where: { deviceId }, select: { path: true } });
      const device = directory.byId(deviceId);
      if (!device || directory.registrationOf(deviceId) !== registration) return;
      const { id, endpointName, endpointType } = device;
      const nodes = known.length > 0 ? structure.nodesWith(known.map(({ path }) => path)) : structure.nodes;
      const mayHave = (path: Path) => structure.mayHave(path);
      for (const [ownerId, wanted] of notifier.presubscriptions(accountId))
        for (const path of presubscribedPaths(wanted, { id, endpointName, endpointType, nodes, mayHave }))
          found.set(path, (found.get(path) ?? new Set()).add(ownerId));
    }
    const before = this.#devices.get(deviceId)?.presubscribed;
    if (found.size === 0 && !before?.size) return;
    this.#of(deviceId).presubscribed = found;
    for (const path of before?.keys() ?? []) if (!found.has(path)) this.#release(deviceId, path);
  }

  /** Asks the device to notify what is wanted and not observed, as long as it listens. */
  async #ask(registration: LiveRegistration): Promise<void> {
    const { directory, presence } = this.options;
    const { deviceId } = registration;
    const observed = this.#devices.get(deviceId);
    if (!observed || observed.asking === registration) return;
    let path = this.#next(observed);
    if (path === null) return;
    observed.asking = registration;
    try {
      for (; path !== null && presence.awake(registration); path = this.#next(observed)) {
        await this.#try(registration, observed, path);
        if (directory.registrationOf(deviceId) !== registration) return;
      }
    } finally {
      if (observed.asking === registration) observed.asking = null;
    }
    this.#announce(registration);
  }

  /** A path that is wanted and not observed, and may be tried now. */
  #next({ running, busy, wanted, subscribed, presubscribed, failed }: Observed): Path | null {
    const now = this.options.clock.now();
    for (const paths of [wanted, subscribed.keys(), presubscribed.keys()])
      for (const path of paths)
        if (!running.has(path) && !busy.has(path) && (failed.get(path) ?? now) <= now) return path;
    return null;
  }

  async #try(registration: LiveRegistration, observed: Observed, path: Path): Promise<void> {
    const { directory, clock } = this.options;
    const { deviceId, peer, queueMode } = registration;
    try {
      const response = await this.#observe(registration, path);
      // Nobody may want it any longer.
      if (response.code === "2.05") return this.#release(deviceId, path);
      if (directory.registrationOf(deviceId) !== registration) return;
      observed.failed.set(path, Number.POSITIVE_INFINITY);
      this.#refused(registration, path, response);
    } catch (error) {
      if (!(error instanceof CoapFailure)) throw error;
      if (directory.registrationOf(deviceId) !== registration) return;
      const lost = error.kind === "closed" || error.kind === "cancelled";
      // It may go on with another session already, or listen again in queue mode.
      if (lost ? registration.peer !== peer : error.kind === "timeout" && queueMode) return;
      const forGood = error.kind === "too_large" || error.kind === "bad_response";
      observed.failed.set(path, forGood ? Number.POSITIVE_INFINITY : clock.now() + RETRY_MS);
      if (!lost) this.#unanswered(registration, path, error);
    }
  }

  async #observe(registration: LiveRegistration, path: Path): Promise<CoapResponse> {
    const { directory, exchange } = this.options;
    const { deviceId } = registration;
    const observed = this.#of(deviceId);
    // One observation per device and path: the new one takes the place of the one before.
    const former = observed.running.get(path);
    observed.running.delete(path);
    observed.busy.add(path);
    try {
      await former?.cancel();
      const observation = await exchange.observe(registration, path, (notification) =>
        this.#notified(registration, path, notification),
      );
      const { first } = observation;
      if (first.code !== "2.05" || directory.registrationOf(deviceId) !== registration) return first;
      observed.running.get(path)?.cancel();
      observed.running.set(path, observation);
      observed.failed.delete(path);
      this.#keep(registration, path, first);
      // Who was told of it before is told of changes only.
      this.#tell(registration, path, first, former ? "answers" : "everybody");
      return first;
    } finally {
      observed.busy.delete(path);
    }
  }

  #isWanted({ wanted, subscribed, presubscribed }: Observed, path: Path): boolean {
    return wanted.has(path) || subscribed.has(path) || presubscribed.has(path);
  }

  /** Ends an observation that nobody wants. */
  async #release(deviceId: string, path: Path): Promise<void> {
    const observed = this.#devices.get(deviceId);
    const observation = observed?.running.get(path);
    if (!observed || !observation || this.#isWanted(observed, path)) return;
    const registration = this.options.directory.registrationOf(deviceId);
    if (registration && this.isAutomatic(registration, path)) return;
    observed.running.delete(path);
    if (registration) this.#announce(registration);
    await observation.cancel();
  }

  #automatic(registration: LiveRegistration): ReadonlyMap<Path, string> {
    return registration.deltaLinks ? this.options.structures.of(registration).automatic : new Map();
  }

  /** Pelion's client notifies some resources by itself, with tokens that it told when it registered. */
  #adoptAutomatic(registration: LiveRegistration): void {
    for (const [path, token] of this.#automatic(registration)) this.#adopt(registration, path, token);
  }

  #adopt(registration: LiveRegistration, path: Path, token: string): void {
    const { peer, deviceId } = registration;
    if (!peer || peer.closed) return;
    const request = this.isAutomatic(registration, path)
      ? null
      : { method: "GET" as const, path: segments(registration, path), ...preferred(registration, path) };
    const observation = this.options.coap().adopt(peer, token, request, (notification) => {
      this.options.presence.heard(registration);
      this.#notified(registration, path, notification);
    });
    this.#of(deviceId).running.set(path, observation);
  }

  #notified(registration: LiveRegistration, path: Path, notification: CoapResponse): void {
    if (notification.code.startsWith("2.")) {
      this.#keep(registration, path, notification);
      this.#tell(registration, path, notification, "everybody");
      return;
    }
    const { deviceId } = registration;
    const observed = this.#of(deviceId);
    observed.running.delete(path);
    observed.wanted.delete(path);
    observed.failed.set(path, Number.POSITIVE_INFINITY);
    this.options.commit.note(removeObservation, { deviceId, path });
    this.#announce(registration);
    this.#failed(registration, path, `the device ended the observation with ${notification.code}`);
    this.#refused(registration, path, notification);
  }

  #keep(registration: LiveRegistration, path: Path, content: CoapResponse): void {
    const { exchange } = this.options;
    try {
      exchange.keep(registration, exchange.decode(registration, path, content), "notify");
    } catch (error) {
      if (!(error instanceof ContentError)) throw error;
      this.#failed(registration, path, error.message);
    }
  }

  /** Tells a value to everybody who wants it; who still waits to hear gets it as the answer. */
  #tell(
    registration: LiveRegistration,
    path: Path,
    content: CoapResponse,
    whom: "everybody" | "answers",
  ): void {
    const owners = new Set(this.#ownersOf(registration.deviceId, path));
    if (owners.size === 0) return;
    const value = forApplication(path, content, registration.rootPath);
    const maxAge = content.maxAge ?? MAX_AGE_S;
    const entries = this.#answers(registration, path, (asyncId) => ({
      id: asyncId,
      status: 200,
      payload: value.payload,
      ct: value.ct,
      "max-age": maxAge,
    }));
    for (const [, row] of entries) owners.delete((row as NotificationRow).ownerId);
    if (whom === "answers") owners.clear();
    this.#write(registration, [
      ...entries,
      ...this.#notices(registration, path, owners, value, maxAge, this.options.clock.now()),
    ]);
  }

  /** Tells a value that came by itself to everybody who wants one of these paths. */
  #tellValue(
    registration: LiveRegistration,
    path: Path,
    value: PathValue["value"],
    at: number,
    wanted: readonly Path[],
  ): void {
    const owners = new Set(wanted.flatMap((one) => this.#ownersOf(registration.deviceId, one)));
    if (owners.size === 0) return;
    let told: ApplicationValue;
    try {
      told = ofValue(path, value);
    } catch (error) {
      if (error instanceof ContentError) return;
      throw error;
    }
    this.#write(registration, this.#notices(registration, path, owners, told, MAX_AGE_S, at));
  }

  #notices(
    { deviceId, endpointName }: LiveRegistration,
    path: Path,
    owners: ReadonlySet<string>,
    value: ApplicationValue,
    maxAge: number,
    timestamp: number,
  ): Entry[] {
    if (owners.size === 0) return [];
    const notice: NotificationBodies["notifications"] = {
      uid: newId(this.options.clock.now()),
      timestamp,
      ep: deviceId,
      "original-ep": endpointName,
      path,
      ...value,
      "max-age": maxAge,
    };
    return this.options.notifier.entries(owners, "notifications", JSON.stringify(notice));
  }

  /** The answers to those who still wait to hear of a path. */
  #answers(
    { deviceId, accountId }: LiveRegistration,
    path: Path,
    answer: (asyncId: string) => NotificationBodies["async-responses"],
  ): Entry[] {
    const entries: Entry[] = [];
    for (const [ownerId, asked] of this.#devices.get(deviceId)?.subscribed.get(path) ?? [])
      for (const { asyncId, actor } of asked.splice(0)) {
        const body = answer(asyncId);
        entries.push(this.options.notifier.entry(ownerId, "async-responses", body));
        const about = { accountId, deviceId, actor };
        const { error } = body;
        if (error === undefined)
          this.options.timeline.note("resource.observed", { ...about, data: { path, ...nameOf(path) } });
        else
          this.options.timeline.note("resource.failed", {
            ...about,
            data: { path, operation: "observe", reason: error, ...nameOf(path) },
          });
      }
    return entries;
  }

  /** The device does not let this path be observed: nobody is subscribed to it. */
  #refused(registration: LiveRegistration, path: Path, response: CoapResponse): void {
    const { deviceId } = registration;
    const { subscribed } = this.#of(deviceId);
    const owners = [...(subscribed.get(path)?.keys() ?? [])];
    const answers = this.#answers(registration, path, (id) => ({
      id,
      status: statusOf(response.code),
      payload: "",
      error: refusalOf(response),
    }));
    subscribed.delete(path);
    this.#write(registration, [
      ...answers,
      ...owners.map((ownerId): Entry => [removeSubscription, { ownerId, deviceId, path }]),
    ]);
  }

  /** The device did not answer: who waits to hear is not subscribed; who was before, still is. */
  #unanswered(registration: LiveRegistration, path: Path, failure: CoapFailure): void {
    const { deviceId } = registration;
    const { subscribed } = this.#of(deviceId);
    const owners = [...(subscribed.get(path) ?? [])].flatMap(([ownerId, asked]) =>
      asked.length > 0 ? [ownerId] : [],
    );
    const answers = this.#answers(registration, path, (id) => ({
      id,
      payload: "",
      ...endingOf(failure, registration.transport as TransportKind),
    }));
    for (const ownerId of owners) dropOwner(subscribed, path, ownerId);
    this.#write(registration, [
      ...answers,
      ...owners.map((ownerId): Entry => [removeSubscription, { ownerId, deviceId, path }]),
    ]);
  }

  #write({ accountId }: LiveRegistration, entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const { commit, notifier } = this.options;
    commit
      .addAll(entries)
      .then(() => notifier.written(accountId, entries))
      .catch(this.options.onerror);
  }

  #failed({ accountId, deviceId }: LiveRegistration, path: Path, reason: string): void {
    this.options.timeline.note("resource.failed", {
      accountId,
      deviceId,
      data: { path, operation: "observe", reason, ...nameOf(path) },
    });
  }

  #announce({ accountId, deviceId }: LiveRegistration): void {
    const paths = [...(this.#devices.get(deviceId)?.running.keys() ?? [])];
    this.options.publish({ kind: "observations", accountId, deviceId, paths });
  }

  /** Values that came with the links (`v`), opaque ones in base64. */
  #presentedValues(registration: LiveRegistration, at: number): PathValue[] {
    if (!registration.deltaLinks) return [];
    return this.options.structures.of(registration).entries.flatMap(({ path, attributes }) => {
      const text = attributes.get("v");
      if (text === null || text === undefined) return [];
      try {
        return decodeContent(ContentFormat.text, Buffer.from(text), path).map((value) => ({ ...value, at }));
      } catch (error) {
        if (error instanceof ContentError) return [];
        throw error;
      }
    });
  }
}

/** Takes an owner off a path; false when it was not there. */
function dropOwner(
  paths: Map<Path, Map<string, unknown> | Set<string>>,
  path: Path,
  ownerId: string,
): boolean {
  const owners = paths.get(path);
  if (!owners?.delete(ownerId)) return false;
  if (owners.size === 0) paths.delete(path);
  return true;
}

/** A path and everything above it but the root. */
function withParents(path: Path): Path[] {
  const paths: Path[] = [];
  for (let one = path; one !== "/"; one = parentPath(one)) paths.push(one);
  return paths;
}

/** A path that was found once, as pre-subscriptions see it. */
const observable = (path: Path): PresentedNode => ({
  path,
  resourceType: "",
  interfaces: "",
  observable: true,
  contentFormat: null,
});
