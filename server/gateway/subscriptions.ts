import type { BusEvent, GatewayRequests, PathValue } from "@/server/bus/messages";
import type { Clock } from "@/server/clock";
import {
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
  type Path,
  type PresentedNode,
  parentPath,
} from "@/server/lwm2m";
import { newId } from "@/server/services/ids";
import type { NotificationBodies } from "@/server/services/notifications/types";
import { putObservation, removeObservation } from "@/server/services/registrations/statements";
import {
  putPending,
  putSubscription,
  removePending,
  removeSubscription,
} from "@/server/services/subscriptions/statements";
import type { TransportKind } from "@/server/transport";
import { type ApplicationValue, forApplication, ofValue, samplesOf } from "./application-value";
import type { Directory, LiveRegistration } from "./directory";
import { type DeviceExchange, nameOf, preferred } from "./exchange";
import { type Asked, Interest } from "./interest";
import type { Notifier } from "./notifier";
import { Observations } from "./observations";
import type { Presence } from "./presence";
import { presubscribedPaths } from "./presubscriptions";
import { profileOf } from "./profiles";
import { type Ending, endingOf, refusalOf, statusOf } from "./request-plan";
import type { Structures } from "./structures";
import type { Timeline } from "./timeline";
import type { Turns } from "./turns";

const SENML_FORMATS = new Set<number>([ContentFormat.senmlJson, ContentFormat.senmlCbor]);
/** Devices observed anew at a time after a restart. */
const RESUME_AT_A_TIME = 50;
/** Subscriptions of which one device may still have to be asked. */
const MAX_PENDING = 100;
/** A path that a device did not answer for is tried again when it is heard after this time. */
const RETRY_MS = 60_000;
/** Max-Age where a device does not say [RFC7252 §5.10.5]. */
const MAX_AGE_S = 60;

const NOT_OBSERVED = "the device tells the value, but does not tell of its changes";

type Put = GatewayRequests["subscription.put"];
type Remove = GatewayRequests["subscription.remove"];
type List = GatewayRequests["subscription.list"];

/** What ends with something that is about to be written: its rows, and what follows when they are on disk or failed. */
export interface Ended {
  entries: Entry[];
  apply(): void;
  undo(): void;
}

export interface SubscriptionOptions {
  clock: Clock;
  db: PrismaClient;
  coap: CoapEndpoint;
  directory: Directory;
  turns: Turns;
  commit: GroupCommit;
  timeline: Timeline;
  presence: Presence;
  exchange: DeviceExchange;
  notifier: Notifier;
  structures: Structures;
  publish(event: BusEvent): void;
  onerror(error: unknown): void;
}

/**
 * Who is told of the values of devices. However many want a path (people, applications by subscription or
 * pre-subscription), the device is asked to notify it once.
 */
export class Subscriptions {
  readonly #interests = new Map<string, Interest>();
  readonly #observations: Observations;

  constructor(private readonly options: SubscriptionOptions) {
    this.#observations = new Observations({
      ...options,
      onvalue: (registration, path, content, values) => this.#tell(registration, path, content, values),
      onended: (registration, path, response) => this.#ended(registration, path, response),
    });
  }

  /** Reads what is wanted of whom, once at the start. */
  async load(): Promise<void> {
    const { db, directory, commit } = this.options;
    for (const { deviceId, path } of await db.observation.findMany()) this.#in(deviceId).people.add(path);
    for (const { deviceId, path, ownerId } of await db.subscription.findMany())
      this.#in(deviceId).subscribe(path, ownerId);
    const gone: Entry[] = [];
    for (const row of await db.pendingSubscription.findMany({ orderBy: { createdAt: "asc" } })) {
      const { deviceId, path, ownerId, asyncId, actor } = row;
      if (directory.registrationOf(deviceId))
        this.#in(deviceId).subscribe(path, ownerId).push({ asyncId, actor });
      else gone.push(...this.#left(deviceId, ownerId, asyncId));
    }
    if (gone.length > 0) await commit.addAll(gone);
  }

  /** The device is gone for whoever waits. */
  #left(deviceId: string, ownerId: string, asyncId: string): Entry[] {
    const { directory, notifier } = this.options;
    const error = directory.byId(deviceId)?.suspended ? "DEVICE_BLOCKED" : "DEVICE_REMOVED_REGISTRATION";
    return [
      [removePending, { asyncId }],
      notifier.entry(ownerId, "async-responses", { id: asyncId, status: 429, payload: "", error }),
    ];
  }

  /** After a restart: devices whose sessions went on are observed anew, a few at a time. */
  async resume(): Promise<void> {
    const queue = [...this.options.directory.registrations()].filter(({ peer }) => peer !== null);
    for (const registration of queue) this.#observations.adoptAutomatic(registration);
    const worker = async () => {
      for (let registration = queue.pop(); registration; registration = queue.pop())
        await this.#satisfy(registration);
    };
    await Promise.all(Array.from({ length: RESUME_AT_A_TIME }, worker));
  }

  /** Subscribes an owner until the device registers anew. */
  async put(input: Put["input"]): Promise<Put["output"]> {
    const { directory, structures, commit, clock, turns } = this.options;
    const { accountId, deviceId, ownerId, path, asyncId, actor = "system" } = input;
    const refuse = (refused: Put["output"]["refused"]) => ({ state: null, refused });
    const device = directory.byId(deviceId);
    if (!device || device.accountId !== accountId) return refuse("DEVICE_NOT_FOUND");
    if (device.suspended) return refuse("DEVICE_BLOCKED");
    const registration = directory.registrationOf(deviceId);
    if (!registration || registration.expiresAt <= clock.now()) return refuse("DEVICE_NOT_FOUND");
    if (!structures.of(registration).mayHave(path)) return refuse("RESOURCE_NOT_FOUND");
    const pending = this.#interests.get(deviceId)?.pending ?? 0;
    if (!this.#observations.has(deviceId, path) && pending >= MAX_PENDING) return refuse("QUEUE_IS_FULL");

    return turns.run(deviceId, async () => {
      const current = directory.registrationOf(deviceId);
      if (!current || directory.byId(deviceId) !== device) return refuse("DEVICE_NOT_FOUND");
      const at = clock.now();
      const active = this.#observations.has(deviceId, path);
      await commit.addAll([
        [putSubscription, { ownerId, deviceId, path, at }],
        ...(active
          ? []
          : [[putPending, { asyncId, ownerId, accountId, deviceId, path, actor, at }] as const]),
      ]);
      const interest = this.#in(deviceId);
      const asked = interest.subscribe(path, ownerId);
      if (active) return { state: "active", refused: null };
      asked.push({ asyncId, actor });
      interest.failed.delete(path);
      this.#ask(current).catch(this.options.onerror);
      return { state: "pending", refused: null };
    });
  }

  /** Ends subscriptions; those that pre-subscriptions made come again with the next registration. */
  async remove(input: Remove["input"]): Promise<Remove["output"]> {
    const { directory, commit } = this.options;
    const { accountId, ownerId, path: only } = input;
    const ended: { deviceId: string; path: Path }[] = [];
    const entries: Entry[] = [];
    for (const deviceId of input.deviceId ? [input.deviceId] : this.#interests.keys()) {
      const interest = this.#interests.get(deviceId);
      if (!interest || directory.byId(deviceId)?.accountId !== accountId) continue;
      for (const path of interest.pathsOf(ownerId)) {
        if (only !== null && path !== only) continue;
        // Whoever still waits for the first value hears that it will not come.
        for (const { ownerId: of, asked } of interest.subscribers(path))
          if (of === ownerId)
            for (const { asyncId } of asked.splice(0))
              entries.push(
                [removePending, { asyncId }],
                this.options.notifier.entry(ownerId, "async-responses", {
                  id: asyncId,
                  status: 410,
                  payload: "",
                  error: "SUBSCRIPTION_REMOVED",
                }),
              );
        if (interest.unsubscribe(path, ownerId))
          entries.push([removeSubscription, { ownerId, deviceId, path }]);
        interest.unpresubscribe(path, ownerId);
        ended.push({ deviceId, path });
      }
    }
    if (entries.length > 0) await commit.addAll(entries);
    this.options.notifier.written(accountId, entries);
    for (const { deviceId, path } of ended) this.#release(deviceId, path);
    return { removed: ended.length };
  }

  /** What an owner is subscribed to, pre-subscriptions included. */
  async list({ accountId, ownerId, deviceId }: List["input"]): Promise<List["output"]> {
    const registration = this.options.directory.registrationOf(deviceId);
    if (registration?.accountId !== accountId) return { paths: [] };
    if (!registration.presubscribed) await this.#match(registration);
    const interest = this.#interests.get(deviceId);
    const paths = interest?.pathsOf(ownerId).filter((path) => !interest.isOver(path)) ?? [];
    return { paths: paths.sort(comparePaths) };
  }

  /** Brings what is known of an owner in line with the database: what it no longer asks for ends. */
  async reload(ownerId: string): Promise<void> {
    const { db, directory, notifier } = this.options;
    // Only what was there before can be missed: a subscription that is made meanwhile may not be in the answer.
    const before: { deviceId: string; path: Path }[] = [];
    for (const [deviceId, interest] of this.#interests)
      for (const one of interest.subscriptions())
        if (one.ownerId === ownerId) before.push({ deviceId, path: one.path });
    const rows = before.length > 0 ? await db.subscription.findMany({ where: { ownerId } }) : [];
    const kept = new Set(rows.map(({ deviceId, path }) => `${deviceId} ${path}`));
    for (const { deviceId, path } of before)
      if (!kept.has(`${deviceId} ${path}`) && this.#interests.get(deviceId)?.unsubscribe(path, ownerId))
        this.#release(deviceId, path);

    const wanted = notifier.presubscriptionsOf(ownerId);
    for (const [deviceId, interest] of this.#interests) {
      const device = directory.byId(deviceId);
      const paths = interest.presubscribedBy(ownerId);
      if (!device || paths.length === 0) continue;
      const nodes = paths.map(observable);
      const still = presubscribedPaths(wanted, { ...device, nodes, mayHave: () => false });
      for (const path of paths)
        if (!still.has(path) && interest.unpresubscribe(path, ownerId)) this.#release(deviceId, path);
    }
  }

  /** What a Register ends: subscriptions, except of those who still wait to hear. */
  registering(deviceId: string): Ended {
    const interest = this.#interests.get(deviceId);
    const over = [...(interest?.subscriptions() ?? [])].filter(({ asked }) => asked.length === 0);
    return {
      entries: over.map(({ path, ownerId }) => [removeSubscription, { ownerId, deviceId, path }]),
      apply: () => {
        for (const { path, ownerId } of over) interest?.unsubscribe(path, ownerId);
      },
      undo: () => {},
    };
  }

  /** A new registration: what is to be observed is observed anew [LwM2M-Core 1.1.1 §6.4.1]. */
  registered(registration: LiveRegistration): void {
    const values = this.#observations.takePresented(registration, this.options.clock.now());
    this.#observations.adoptAutomatic(registration);
    this.#pursue(registration, values);
  }

  /** An Update may present more, and pre-subscriptions may have changed. */
  updated(registration: LiveRegistration): void {
    const { presubscribed, objectLinks, deviceId } = registration;
    // A device that is new to this process is taken up when it is heard.
    if (!presubscribed) return;
    const more = presubscribed.links !== objectLinks;
    if (!more && presubscribed.generation === this.options.notifier.generation) return;
    if (more) this.#interests.get(deviceId)?.failed.clear();
    registration.presubscribed = null;
    this.#pursue(registration);
  }

  /** The device goes on with its registration on another session. */
  moved(registration: LiveRegistration): void {
    this.#interests.get(registration.deviceId)?.failed.clear();
    // After a restart nothing is known of what was observed before.
    if (!this.#observations.move(registration) || !registration.presubscribed)
      this.#observations.adoptAutomatic(registration);
    this.#pursue(registration);
  }

  /** The device was heard: what could not be asked of it may be now. */
  heard(registration: LiveRegistration): void {
    if (!registration.presubscribed) this.#observations.adoptAutomatic(registration);
    this.#pursue(registration);
  }

  /** A registration gave way to a newer one: nothing of it is asked or observed any longer. */
  ended(registration: LiveRegistration): void {
    const interest = this.#interests.get(registration.deviceId);
    interest?.failed.clear();
    interest?.flowing.clear();
    this.#observations.forget(registration);
  }

  /** What ends when the device leaves: all that was wanted of it, and whoever waits hears that nothing comes. */
  ending(registration: Pick<LiveRegistration, "deviceId" | "peer">): Ended {
    const { deviceId } = registration;
    const interest = this.#interests.get(deviceId);
    // Taken out at once, so that an answer of the device that comes meanwhile is not a second end.
    const waiting = [...(interest?.subscriptions() ?? [])].map(({ ownerId, asked }) => ({
      ownerId,
      asked,
      taken: asked.splice(0),
    }));
    return {
      entries: waiting.flatMap(({ ownerId, taken }) =>
        taken.flatMap(({ asyncId }) => this.#left(deviceId, ownerId, asyncId)),
      ),
      apply: () => {
        if (this.#interests.get(deviceId) === interest) this.#interests.delete(deviceId);
        this.#observations.forget(registration);
      },
      undo: () => {
        for (const { asked, taken } of waiting) asked.unshift(...taken);
      },
    };
  }

  /** Whether the device notifies a path by itself, which nobody can begin or end. */
  isAutomatic(registration: LiveRegistration, path: Path): boolean {
    return this.#observations.isAutomatic(registration, path);
  }

  /** Observes a path for people; rejects with CoapFailure, and with ContentError when the value cannot be read. */
  async observe(
    registration: LiveRegistration,
    path: Path,
  ): Promise<{ response: CoapResponse; values: PathValue[] }> {
    const { commit, clock, exchange } = this.options;
    const { deviceId } = registration;
    try {
      const { response, observing } = await this.#observations.begin(registration, path);
      if (!observing) {
        if (response.code.startsWith("2.")) throw new ContentError(NOT_OBSERVED);
        return { response, values: [] };
      }
      this.#in(deviceId).people.add(path);
      await commit.add(putObservation, { deviceId, path, at: clock.now() });
      this.#observations.announce(registration);
      return { response, values: exchange.decode(registration, path, response) };
    } finally {
      // Others may want what it did not work for now.
      this.#ask(registration).catch(this.options.onerror);
    }
  }

  /** People want it observed no longer. */
  async unobserve({ deviceId }: LiveRegistration, path: Path): Promise<void> {
    this.#interests.get(deviceId)?.people.delete(path);
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
    if (values.length === 0) return { code: "4.00", payload: "It reports no value." };
    const { objects } = structures.of(registration);
    if (values.some(({ path }) => !objects.has(Number(path.split("/")[1]))))
      return { code: "4.04", payload: "It reports an object that is not registered." };
    exchange.keep(registration, values, "notify");
    // What was answered is on disk.
    await Promise.all(values.map((value) => this.#tellValue(registration, value, withParents(value.path))));
    return { code: "2.04" };
  }

  #in(deviceId: string): Interest {
    const interest = this.#interests.get(deviceId) ?? new Interest();
    this.#interests.set(deviceId, interest);
    return interest;
  }

  /** Finds out what is wanted of a device and asks it for that; most devices are of no interest to anybody. */
  #pursue(registration: LiveRegistration, values: readonly PathValue[] = []): void {
    const { notifier, onerror } = this.options;
    const { presubscribed, accountId, deviceId, objectLinks: links } = registration;
    if (!this.#interests.has(deviceId) && (presubscribed || !notifier.hasPresubscriptions(accountId)))
      registration.presubscribed ??= { links, generation: notifier.generation };
    else this.#satisfy(registration, values).catch(onerror);
  }

  async #satisfy(registration: LiveRegistration, values: readonly PathValue[] = []): Promise<void> {
    if (!registration.presubscribed) await this.#match(registration);
    if (this.options.directory.registrationOf(registration.deviceId) !== registration) return;
    for (const value of values)
      this.#tellValue(registration, value, [value.path])?.catch(this.options.onerror);
    await this.#ask(registration);
  }

  /** Finds out what pre-subscriptions want of a device. */
  async #match(registration: LiveRegistration): Promise<void> {
    const { directory, notifier, structures, db } = this.options;
    const { deviceId, accountId, objectLinks: links } = registration;
    registration.presubscribed = { links, generation: notifier.generation };
    const found = new Map<Path, Set<string>>();
    if (notifier.hasPresubscriptions(accountId)) {
      const structure = structures.of(registration);
      // Of a device that does not list all it has, more may be known.
      const known = profileOf(registration).presentsResources
        ? []
        : await db.resourceValue.findMany({ where: { deviceId }, select: { path: true } });
      const device = directory.byId(deviceId);
      if (!device || directory.registrationOf(deviceId) !== registration) return;
      const nodes = known.length > 0 ? structure.nodesWith(known.map(({ path }) => path)) : structure.nodes;
      const mayHave = (path: Path) => structure.mayHave(path);
      for (const [ownerId, wanted] of notifier.presubscriptions(accountId))
        for (const path of presubscribedPaths(wanted, { ...device, nodes, mayHave }))
          found.set(path, (found.get(path) ?? new Set()).add(ownerId));
    }
    if (found.size === 0 && !this.#interests.has(deviceId)) return;
    for (const path of this.#in(deviceId).presubscribe(found)) this.#release(deviceId, path);
  }

  /** Asks the device to notify what is wanted and not observed, as long as it listens. */
  async #ask(registration: LiveRegistration): Promise<void> {
    const { directory, presence } = this.options;
    const { deviceId } = registration;
    const interest = this.#interests.get(deviceId);
    if (!interest || interest.asking === registration) return;
    let path = this.#next(deviceId, interest);
    if (path === null) return;
    interest.asking = registration;
    try {
      for (; path !== null && presence.awake(registration); path = this.#next(deviceId, interest)) {
        await this.#try(registration, interest, path);
        if (directory.registrationOf(deviceId) !== registration) return;
      }
    } finally {
      if (interest.asking === registration) interest.asking = null;
    }
    this.#observations.announce(registration);
  }

  /** A path that is wanted and not observed, and may be tried now. */
  #next(deviceId: string, interest: Interest): Path | null {
    const now = this.options.clock.now();
    for (const path of interest.paths())
      if (
        (!this.#observations.has(deviceId, path) || interest.isAsked(path)) &&
        !this.#observations.begins(deviceId, path) &&
        (interest.failed.get(path) ?? now) <= now
      )
        return path;
    return null;
  }

  async #try(registration: LiveRegistration, interest: Interest, path: Path): Promise<void> {
    const { directory, clock } = this.options;
    const { deviceId, peer, queueMode } = registration;
    try {
      // What it notifies by itself, or goes on to notify, is not begun anew; but somebody waits for a value of it.
      if (this.#observations.has(deviceId, path)) {
        await this.#readFor(registration, interest, path);
        return;
      }
      const { response, observing } = await this.#observations.begin(registration, path);
      // Nobody may want it any longer.
      if (observing) return this.#release(deviceId, path);
      if (directory.registrationOf(deviceId) !== registration) return;
      this.#over(registration, interest, path, refusal(response), response.code);
    } catch (error) {
      if (!(error instanceof CoapFailure)) throw error;
      if (directory.registrationOf(deviceId) !== registration) return;
      const lost = error.kind === "closed" || error.kind === "cancelled";
      // It may go on with another session already, or listen again in queue mode.
      if (lost ? registration.peer !== peer : error.kind === "timeout" && queueMode) return;
      const ending = endingOf(error, registration.transport as TransportKind);
      if (error.kind === "too_large" || error.kind === "bad_response") {
        this.#over(registration, interest, path, ending);
        return;
      }
      interest.failed.set(path, clock.now() + RETRY_MS);
      // Who waits to hear is not subscribed; who was before, still is.
      const waiting = interest.subscribers(path).filter(({ asked }) => asked.length > 0);
      if (!lost) this.#end(registration, path, waiting, ending);
    }
  }

  /** Reads what is observed already for those who wait for its first value; rejects with CoapFailure. */
  async #readFor(registration: LiveRegistration, interest: Interest, path: Path): Promise<void> {
    const { directory, exchange } = this.options;
    const ask = (wish: { accept?: number }) =>
      exchange.request(registration, path, { method: "GET", ...wish });
    let response = await ask(preferred(registration, path));
    // Who refuses the format asked for may choose itself.
    if (response.code === "4.06") response = await ask({});
    if (directory.registrationOf(registration.deviceId) !== registration) return;
    const waiting = interest.subscribers(path).filter(({ asked }) => asked.length > 0);
    if (!response.code.startsWith("2.")) {
      this.#end(registration, path, waiting, refusal(response), response.code);
      return;
    }
    const values = exchange.valuesIn(registration, path, response);
    exchange.keep(registration, values, "read");
    const value = forApplication(path, response, values);
    const answer = { status: 200, ...value, "max-age": response.maxAge ?? MAX_AGE_S };
    this.#insist(registration, this.#answers(registration, path, waiting, answer));
  }

  /** Ends an observation that nobody wants. */
  async #release(deviceId: string, path: Path): Promise<void> {
    const interest = this.#interests.get(deviceId);
    if (interest?.has(path)) return;
    interest?.flowing.delete(path);
    await this.#observations.end(deviceId, path);
  }

  /** Tells a value to everybody who wants it; who still waits to hear gets it as the answer. */
  #tell(
    registration: LiveRegistration,
    path: Path,
    content: CoapResponse,
    values: readonly PathValue[],
  ): Promise<void> | undefined {
    const interest = this.#interests.get(registration.deviceId);
    const owners = interest?.ownersOf(path) ?? [];
    if (!interest || owners.length === 0) return undefined;
    interest.flowing.add(path);
    const maxAge = content.maxAge ?? MAX_AGE_S;
    const answered = interest.subscribers(path).filter(({ asked }) => asked.length > 0);
    const answer = { status: 200, ...forApplication(path, content, values), "max-age": maxAge };
    this.#insist(registration, this.#answers(registration, path, answered, answer));
    const told = owners.filter((id) => !answered.some(({ ownerId }) => ownerId === id));
    const now = this.options.clock.now();
    const notices = samplesOf(path, content, values).flatMap(({ at, ...value }) =>
      this.#notices(registration, path, told, value, maxAge, at ?? now),
    );
    return this.#write(registration, notices);
  }

  /** Tells a value that came by itself to everybody who wants one of these paths. */
  #tellValue(
    registration: LiveRegistration,
    { path, value, at }: PathValue,
    wanted: readonly Path[],
  ): Promise<void> | undefined {
    const interest = this.#interests.get(registration.deviceId);
    const owners = new Set(wanted.flatMap((one) => interest?.ownersOf(one) ?? []));
    if (owners.size === 0) return undefined;
    let told: ApplicationValue;
    try {
      told = ofValue(path, value);
    } catch (error) {
      if (error instanceof ContentError) return undefined;
      throw error;
    }
    return this.#write(registration, this.#notices(registration, path, [...owners], told, MAX_AGE_S, at));
  }

  #notices(
    { deviceId, endpointName }: LiveRegistration,
    path: Path,
    owners: readonly string[],
    value: ApplicationValue,
    maxAge: number,
    timestamp: number,
  ): Entry[] {
    if (owners.length === 0) return [];
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

  /** Answers those who still wait to hear of a path. */
  #answers(
    { deviceId, accountId }: LiveRegistration,
    path: Path,
    subscribers: readonly { ownerId: string; asked: Asked[] }[],
    answer: Omit<NotificationBodies["async-responses"], "id">,
    code?: string,
  ): Entry[] {
    const { notifier, timeline } = this.options;
    const fact = { path, ...nameOf(path) };
    const entries: Entry[] = [];
    for (const { ownerId, asked } of subscribers)
      for (const { asyncId, actor } of asked.splice(0)) {
        entries.push(
          [removePending, { asyncId }],
          notifier.entry(ownerId, "async-responses", { id: asyncId, ...answer }),
        );
        const about = { accountId, deviceId, actor };
        const reason = answer.error;
        if (reason === undefined) timeline.note("resource.observed", { ...about, data: fact });
        else {
          const data = { ...fact, operation: "observe" as const, reason, ...(code && { code }) };
          timeline.note("resource.failed", { ...about, data });
        }
      }
    return entries;
  }

  /** The device ended an observation: whoever asked for it has to ask again. */
  async #ended(registration: LiveRegistration, path: Path, response: CoapResponse): Promise<void> {
    const { deviceId } = registration;
    const interest = this.#interests.get(deviceId);
    if (!interest) return;
    if (interest.people.delete(path)) this.options.commit.note(removeObservation, { deviceId, path });
    await this.#finish(registration, interest, path, refusal(response), response.code);
  }

  /** A path cannot be observed, or not any longer. */
  #over(registration: LiveRegistration, interest: Interest, path: Path, ending: Ending, code?: string): void {
    const { accountId, deviceId } = registration;
    // Of those who wait, each has an entry of its own in the timeline.
    const ran =
      interest.flowing.has(path) || interest.subscribers(path).some(({ asked }) => asked.length === 0);
    if (ran || interest.people.has(path))
      this.options.timeline.note("resource.failed", {
        accountId,
        deviceId,
        data: { path, ...nameOf(path), operation: "observe", reason: ending.error, ...(code && { code }) },
      });
    this.#finish(registration, interest, path, ending, code).catch(this.options.onerror);
  }

  /** Nobody is subscribed to a path any longer: who waits to hear is answered, and who was told values hears of the end. */
  #finish(
    registration: LiveRegistration,
    interest: Interest,
    path: Path,
    ending: Ending,
    code?: string,
  ): Promise<void> {
    const { notifier } = this.options;
    const { deviceId } = registration;
    interest.failed.set(path, Number.POSITIVE_INFINITY);
    const subscribers = interest.subscribers(path);
    const waiting = new Set(
      subscribers.filter(({ asked }) => asked.length > 0).map(({ ownerId }) => ownerId),
    );
    const owners = interest.flowing.delete(path)
      ? interest.ownersOf(path)
      : subscribers.map(({ ownerId }) => ownerId);
    const notices = owners
      .filter((ownerId) => !waiting.has(ownerId))
      .map((ownerId) =>
        // There may have been no request for it; what names the subscription is its address.
        notifier.entry(ownerId, "async-responses", {
          id: `${deviceId}${path}`,
          status: ending.status,
          payload: "",
          error: `the subscription ended: ${ending.error}`,
        }),
      );
    return this.#end(registration, path, subscribers, ending, code, notices);
  }

  /** Ends subscriptions with an answer to those who still wait for one; resolves when that is on disk. */
  #end(
    registration: LiveRegistration,
    path: Path,
    subscribers: readonly { ownerId: string; asked: Asked[] }[],
    ending: Ending,
    code?: string,
    notices: readonly Entry[] = [],
  ): Promise<void> {
    const { deviceId } = registration;
    const answer = { status: ending.status, payload: "", error: ending.error };
    const entries = [...this.#answers(registration, path, subscribers, answer, code), ...notices];
    for (const { ownerId } of subscribers) {
      this.#interests.get(deviceId)?.unsubscribe(path, ownerId);
      entries.push([removeSubscription, { ownerId, deviceId, path }]);
    }
    return this.#insist(registration, entries);
  }

  /** Resolves when they are on disk. */
  #write({ accountId }: LiveRegistration, entries: readonly Entry[]): Promise<void> | undefined {
    if (entries.length === 0) return undefined;
    const { commit, notifier } = this.options;
    return commit.addAll(entries).then(() => notifier.written(accountId, entries));
  }

  /** Writes the ends of what is over in memory already, as soon as the disk takes them. */
  async #insist({ accountId }: LiveRegistration, entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return;
    const { commit, notifier, onerror } = this.options;
    await commit
      .insist(entries)
      .then(() => notifier.written(accountId, entries))
      .catch(onerror);
  }
}

/** What who asked for a path to be observed is told of an answer that does not begin it, or ends it. */
function refusal(response: CoapResponse): Ending {
  if (response.code.startsWith("2.")) return { status: 400, error: NOT_OBSERVED };
  return { status: statusOf(response.code), error: refusalOf(response) };
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
