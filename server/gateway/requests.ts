import type { DeviceRequestInput, requestRefusals } from "@/server/bus/messages";
import type { Clock, Timer } from "@/server/clock";
import { CoapFailure, type CoapResponse } from "@/server/coap";
import type { Entry, GroupCommit, PrismaClient } from "@/server/db";
import { type Path, pathLevel } from "@/server/lwm2m";
import { newId } from "@/server/services/ids";
import type { NotificationBodies } from "@/server/services/notifications/types";
import { MAX_AGE_SECONDS } from "@/server/services/requests/cached-value";
import {
  putDesiredValue,
  putRequest,
  type RequestRow,
  removeRequest,
  settleDesiredValue,
  updateRequest,
} from "@/server/services/requests/statements";
import { asSent, forApplication } from "./application-value";
import type { Directory, LiveRegistration } from "./directory";
import { type DeviceExchange, nameOf, told } from "./exchange";
import type { Notifier } from "./notifier";
import type { Presence } from "./presence";
import {
  type ApplicationRequest,
  type Ending,
  endingOf,
  planRequest,
  type RequestPlan,
  readUri,
  refusalOf,
  statusOf,
} from "./request-plan";
import type { Timeline } from "./timeline";

const HOUR_MS = 3_600_000;
/** Requests that may wait for one device. */
const QUEUE_LENGTH = 20;
/** How long an answer may take once the request was sent, and how much longer for each block of a big one. */
const ATTEMPT_MS = 120_000;
const BLOCK_MS = 500;
const BLOCK_BYTES = 512;
/** Bytes of payload that may wait for all devices of an account: every payload is kept in memory. */
const ACCOUNT_BYTES = 64 << 20;
/** A payload may have a MiB. */
const LOADED_AT_A_TIME = 50;

const REQUEST_EXPIRED: Ending = { status: 429, error: "REQUEST_EXPIRED" };
const DEVICE_REMOVED: Ending = { status: 429, error: "DEVICE_REMOVED_REGISTRATION" };
const DEVICE_BLOCKED: Ending = { status: 429, error: "DEVICE_BLOCKED" };
const TIMEOUT: Ending = { status: 504, error: "TIMEOUT" };
const UNKNOWN_MEDIA_TYPE: Ending = { status: 415, error: "the media type is not known" };

/** What these endings are called in a timeline. */
const WORDS: Readonly<Record<string, string>> = {
  REQUEST_EXPIRED: "the device did not come in time",
  DEVICE_REMOVED_REGISTRATION: "the device is not registered any longer",
  DEVICE_BLOCKED: "the device was suspended",
  TIMEOUT: "the device did not answer",
  NOT_CONNECTED: "the device is not connected",
  CONNECTION_FAILED: "the connection ended",
};

/** What makes a request the same as another, beside its payload. */
const ASKED = ["ownerId", "asyncId", "method", "uri", "accept", "contentType"] as const;

type RequestRefusal = (typeof requestRefusals)[number];

export interface RequestOptions {
  db: PrismaClient;
  clock: Clock;
  commit: GroupCommit;
  directory: Directory;
  presence: Presence;
  exchange: DeviceExchange;
  notifier: Pick<Notifier, "entry" | "committed">;
  timeline: Timeline;
  /** Whether a device may have a path, as far as it told. */
  mayHave(registration: LiveRegistration, path: Path): boolean;
  onerror(error: unknown): void;
}

/** A request that has not ended. */
interface Waiting extends RequestRow {
  method: DeviceRequestInput["method"];
  /** Settles when it is on disk. */
  stored: Promise<void>;
  expiry: Timer | null;
  /** It is with the device now. */
  active: boolean;
  ended: boolean;
  /** It failed since the device was last heard; once more, and it waits for the device. */
  failed: boolean;
  held: boolean;
  /** The device moved to another session while it was under way: that is forgiven once. */
  excused: boolean;
}

/** What waits for one device, in order. */
interface Line {
  requests: Waiting[];
  working: boolean;
}

/**
 * Requests of applications to devices: one after the other for each device, kept until the device is there to answer,
 * also over restarts. The answer and the end of the request are written in one commit.
 */
export class DeviceRequests {
  readonly #lines = new Map<string, Line>();
  /** Bytes of payload that wait, by account. */
  readonly #bytes = new Map<string, number>();
  #stopped = false;

  constructor(private readonly options: RequestOptions) {}

  /** Reads what was left by the process before; `resume` goes on with it. */
  async load(): Promise<void> {
    const { db, directory } = this.options;
    for (let after = ""; ; ) {
      const rows = await db.deviceRequest.findMany({
        where: { id: { gt: after } },
        orderBy: { id: "asc" },
        take: LOADED_AT_A_TIME,
      });
      for (const row of rows) {
        const request = this.#join({
          ...row,
          method: row.method as Waiting["method"],
          createdAt: row.createdAt.getTime(),
          expiresAt: row.expiresAt.getTime(),
        });
        if (!directory.registrationOf(row.deviceId)) this.#end(request, DEVICE_REMOVED);
        else if (directory.byId(row.deviceId)?.suspended) this.#end(request, DEVICE_BLOCKED);
        // It may have been carried out, and nobody will ever tell.
        else if (row.sent) this.#end(request, TIMEOUT);
      }
      if (rows.length < LOADED_AT_A_TIME) return;
      after = rows[rows.length - 1]?.id ?? "";
    }
  }

  /** Asks those that are awake, after a start. */
  resume(): void {
    for (const line of this.#lines.values()) void this.#work(line);
  }

  /** Sends nothing any longer; what waits is left to the next process. */
  stop(): void {
    this.#stopped = true;
    for (const line of this.#lines.values()) for (const { expiry } of line.requests) expiry?.cancel();
  }

  /** Takes a request, or says why not; it is on disk when this resolves. */
  async enqueue(input: DeviceRequestInput): Promise<{ refused: RequestRefusal | null }> {
    const { directory, clock, commit, presence } = this.options;
    const { noResponse, retry, expirySeconds, ...asked } = input;
    const { accountId, deviceId, method, uri } = asked;
    const device = directory.byId(deviceId);
    if (!device || device.accountId !== accountId) return { refused: "DEVICE_NOT_FOUND" };
    if (device.suspended) return { refused: "DEVICE_BLOCKED" };
    const registration = directory.registrationOf(deviceId);
    const now = clock.now();
    if (!registration || registration.expiresAt <= now) return { refused: "DEVICE_NOT_FOUND" };
    const path = readUri(uri)?.path;
    if (!path || !this.options.mayHave(registration, path)) return { refused: "RESOURCE_NOT_FOUND" };
    const payload = Buffer.from(input.payload, "base64");
    if (noResponse) return { refused: this.#tell(registration, { ...asked, payload }) };

    const waiting = this.#lines.get(deviceId)?.requests ?? [];
    const same = waiting.find(
      (one) => payload.equals(one.payload) && ASKED.every((part) => one[part] === asked[part]),
    );
    if (same) {
      // Asked again by a client that did not hear that it was taken.
      await same.stored;
      return { refused: null };
    }
    const bytes = (this.#bytes.get(accountId) ?? 0) + payload.length;
    if (waiting.length >= QUEUE_LENGTH || bytes > ACCOUNT_BYTES) return { refused: "QUEUE_IS_FULL" };

    const sleeps = registration.queueMode === 1;
    const row: RequestRow & Pick<Waiting, "method"> = {
      ...asked,
      id: newId(now),
      payload,
      retriesLeft: retry ?? (sleeps ? 2 : 0),
      // What goes out at once is marked in the commit that takes it.
      sent: mustNotRepeat(method) && waiting.length === 0 && presence.awake(registration),
      createdAt: now,
      expiresAt: now + (expirySeconds === null ? (sleeps ? 72 : 2) * HOUR_MS : expirySeconds * 1000),
    };
    const desired = this.#desired(row);
    const request = this.#join(
      row,
      commit.addAll([
        [putRequest, row],
        ...(desired
          ? [[putDesiredValue, { deviceId, path: desired, value: payload, at: now }] as const]
          : []),
      ]),
    );
    try {
      await request.stored;
    } catch (error) {
      this.#leave(request);
      throw error;
    }
    const line = this.#lines.get(deviceId);
    if (line) void this.#work(line);
    return { refused: null };
  }

  /** The device was heard: what waits for it has another chance. */
  heard({ deviceId }: LiveRegistration): void {
    const line = this.#lines.get(deviceId);
    const [first] = line?.requests ?? [];
    if (!line || !first) return;
    first.failed = false;
    first.held = false;
    void this.#work(line);
  }

  /** The device is not registered any longer, be it that it was suspended or deleted. */
  left(deviceId: string): void {
    const ending = this.options.directory.byId(deviceId)?.suspended ? DEVICE_BLOCKED : DEVICE_REMOVED;
    for (const request of this.#lines.get(deviceId)?.requests ?? []) this.#end(request, ending);
  }

  /** Forgets the requests of an owner that are not in the database any longer. */
  async reloadOwner(ownerId: string): Promise<void> {
    const own: Waiting[] = [];
    for (const { requests } of this.#lines.values())
      for (const request of requests) if (request.ownerId === ownerId) own.push(request);
    if (own.length === 0) return;
    await Promise.allSettled(own.map(({ stored }) => stored));
    const rows = await this.options.db.deviceRequest.findMany({ where: { ownerId }, select: { id: true } });
    const there = new Set(rows.map(({ id }) => id));
    for (const request of own) if (!there.has(request.id)) this.#leave(request);
  }

  /** A request that is sent once and that nobody hears of. */
  #tell(registration: LiveRegistration, application: ApplicationRequest): RequestRefusal | null {
    if (registration.queueMode || registration.transport === "tcp" || registration.transport === "tls")
      return "NO_RESPONSE_NOT_SUPPORTED";
    if (!this.options.presence.awake(registration)) return "DEVICE_NOT_CONNECTED";
    const plan = planRequest(application);
    if (!plan) return "NO_RESPONSE_NOT_SUPPORTED";
    try {
      this.options.exchange.tell(registration, plan.path, plan.request);
      return null;
    } catch (error) {
      if (!(error instanceof CoapFailure)) throw error;
      return error.kind === "closed" ? "DEVICE_NOT_CONNECTED" : "NO_RESPONSE_NOT_SUPPORTED";
    }
  }

  #join(row: RequestRow & Pick<Waiting, "method">, stored: Promise<void> = Promise.resolve()): Waiting {
    const request: Waiting = {
      ...row,
      stored,
      expiry: null,
      active: false,
      ended: false,
      failed: false,
      held: false,
      excused: false,
    };
    const { clock } = this.options;
    request.expiry = clock.after(Math.max(0, row.expiresAt - clock.now()), () => {
      // One that is under way is heard out.
      if (!request.active) this.#end(request, REQUEST_EXPIRED);
    });
    let line = this.#lines.get(row.deviceId);
    if (!line) this.#lines.set(row.deviceId, (line = { requests: [], working: false }));
    line.requests.push(request);
    this.#count(request, request.payload.length);
    return request;
  }

  #count({ accountId }: Waiting, bytes: number): void {
    const waiting = (this.#bytes.get(accountId) ?? 0) + bytes;
    if (waiting > 0) this.#bytes.set(accountId, waiting);
    else this.#bytes.delete(accountId);
  }

  #leave(request: Waiting): void {
    if (!request.ended) this.#count(request, -request.payload.length);
    request.ended = true;
    request.expiry?.cancel();
    const line = this.#lines.get(request.deviceId);
    if (!line) return;
    line.requests = line.requests.filter((other) => other !== request);
    if (line.requests.length === 0) this.#lines.delete(request.deviceId);
    // Those behind it may go on.
    else void this.#work(line);
  }

  /** Goes through what waits, as far as the device listens. */
  async #work(line: Line): Promise<void> {
    if (line.working) return;
    line.working = true;
    try {
      for (let [request] = line.requests; request; [request] = line.requests) {
        // Whoever waits for the promise hears why it failed.
        const stored = await request.stored.then(
          () => true,
          () => false,
        );
        if (!stored) this.#leave(request);
        if (request.ended) continue;
        const registration = this.options.directory.registrationOf(request.deviceId);
        if (this.#stopped || request.held || !registration || !this.options.presence.awake(registration)) {
          if (this.#stopped || !request.sent) break;
          // It was marked, but is not sent for now; meanwhile the device may come.
          await this.#note(request, { sent: false });
          continue;
        }
        await this.#attempt(request, registration);
      }
    } catch (error) {
      this.options.onerror(error);
    } finally {
      line.working = false;
    }
  }

  async #attempt(request: Waiting, registration: LiveRegistration): Promise<void> {
    const plan = planRequest(request);
    if (!plan) {
      this.#end(request, UNKNOWN_MEDIA_TYPE);
      return;
    }
    if (mustNotRepeat(request.method) && !request.sent) {
      // Whether the device still listens is looked at once more when that is on disk.
      await this.#note(request, { sent: true });
      return;
    }
    const { peer } = registration;
    request.active = true;
    try {
      const response = await this.#ask(registration, plan);
      if (!request.ended && !this.#stopped) this.#answered(request, registration, plan, response);
    } catch (error) {
      if (!(error instanceof CoapFailure)) throw error;
      if (!request.ended && !this.#stopped) await this.#unanswered(request, registration, peer, error);
    } finally {
      request.active = false;
    }
  }

  async #ask(registration: LiveRegistration, plan: RequestPlan): Promise<CoapResponse> {
    const { exchange } = this.options;
    const { accept, ...anything } = plan.request;
    const timeoutMs = ATTEMPT_MS + BLOCK_MS * Math.ceil((plan.request.payload?.length ?? 0) / BLOCK_BYTES);
    const response = await exchange.request(registration, plan.path, { ...plan.request, timeoutMs });
    // Who refuses the format that only we asked for may choose itself.
    return response.code === "4.06" && accept !== undefined && !plan.asked
      ? exchange.request(registration, plan.path, { ...anything, timeoutMs })
      : response;
  }

  #answered(
    request: Waiting,
    registration: LiveRegistration,
    plan: RequestPlan,
    response: CoapResponse,
  ): void {
    const { exchange } = this.options;
    const { operation, path, request: sent, asked } = plan;
    const status = statusOf(response.code);
    if (status !== 200) {
      this.#end(request, { status, error: refusalOf(response) }, { code: response.code });
      return;
    }
    const values =
      operation === "read"
        ? exchange.valuesIn(registration, path, response)
        : operation === "write"
          ? exchange.valuesIn(registration, path, {
              contentFormat: sent.contentFormat ?? null,
              payload: request.payload,
            })
          : [];
    const value = operation === "read" && !asked ? forApplication(path, response, values) : asSent(response);
    const kept = exchange.keep(registration, values, operation === "read" ? "read" : "write");
    const [only] = kept;
    this.#done(request, plan, kept.length === 1 && only ? told(only.value) : undefined);
    this.#settle(request, {
      id: request.asyncId,
      status,
      payload: value.payload,
      ...((operation === "read" || value.payload !== "") && { ct: value.ct }),
      ...(operation === "read" && { "max-age": response.maxAge ?? MAX_AGE_SECONDS }),
    });
  }

  async #unanswered(
    request: Waiting,
    registration: LiveRegistration,
    peer: LiveRegistration["peer"],
    failure: CoapFailure,
  ): Promise<void> {
    const { directory, clock } = this.options;
    const ending = endingOf(failure, registration.transport);
    const final = failure.kind === "too_large" || failure.kind === "bad_response";
    const now = directory.registrationOf(request.deviceId)?.peer;
    const moved =
      failure.kind === "cancelled" || (failure.kind === "closed" && now && now !== peer && !now.closed);
    const again = moved && !request.excused && !mustNotRepeat(request.method);
    if (!again && (final || request.retriesLeft === 0)) this.#end(request, ending);
    else if (clock.now() >= request.expiresAt) this.#end(request, REQUEST_EXPIRED);
    else if (again) request.excused = true;
    else {
      request.held = request.failed;
      request.failed = true;
      await this.#note(request, { sent: false, retriesLeft: request.retriesLeft - 1 });
    }
  }

  async #note(request: Waiting, progress: Partial<Pick<RequestRow, "sent" | "retriesLeft">>): Promise<void> {
    const { id, sent, retriesLeft } = { ...request, ...progress };
    await this.options.commit.add(updateRequest, { id, sent, retriesLeft });
    Object.assign(request, progress);
  }

  /** It comes to nothing. */
  #end(request: Waiting, { status, error }: Ending, answer: { code?: string } = {}): void {
    const plan = planRequest({ ...request, accept: null, contentType: null });
    // A device that was deleted has no timeline.
    if (plan && this.options.directory.byId(request.deviceId)) {
      const { path, operation } = plan;
      this.options.timeline.note("resource.failed", {
        ...aboutOf(request),
        data: { path, ...nameOf(path), operation, reason: WORDS[error] ?? error, ...answer },
      });
    }
    this.#settle(request, { id: request.asyncId, status, payload: "", error });
  }

  /** Writes the answer and takes the request away, in one commit. */
  #settle(request: Waiting, body: NotificationBodies["async-responses"]): void {
    this.#leave(request);
    const { commit, notifier, clock } = this.options;
    const { id, ownerId, accountId, deviceId, createdAt } = request;
    const desired = this.#desired(request);
    const entries: Entry[] = [
      [removeRequest, { id }],
      ...(desired
        ? [
            [
              settleDesiredValue,
              {
                deviceId,
                path: desired,
                desiredAt: createdAt,
                status: body.status === 200 ? "ok" : "failed",
                at: clock.now(),
              },
            ] as const,
          ]
        : []),
      notifier.entry(ownerId, "async-responses", body),
    ];
    commit
      .insist(entries)
      .then(() => notifier.committed(accountId, [ownerId]))
      .catch(this.options.onerror);
  }

  /** The resource that a request gives a value, for echo. */
  #desired({ method, uri, payload }: Pick<Waiting, "method" | "uri" | "payload">): string | null {
    const target = method === "PUT" ? readUri(uri) : null;
    if (!target || pathLevel(target.path) < 3) return null;
    return target.query.length > 0 && payload.length === 0 ? null : target.path;
  }

  /** Tells the timeline of a success. */
  #done(request: Waiting, { operation, path, request: { query } }: RequestPlan, value?: string): void {
    const { timeline } = this.options;
    const about = aboutOf(request);
    const fact = { path, ...nameOf(path) };
    switch (operation) {
      case "read":
      case "write":
        timeline.note(operation === "read" ? "resource.read" : "resource.written", {
          ...about,
          data: { ...fact, ...(value && { value }) },
        });
        break;
      case "execute": {
        const args = argumentsOf(request.payload);
        timeline.note("resource.executed", { ...about, data: { ...fact, ...(args && { args }) } });
        break;
      }
      case "create":
        timeline.note("resource.created", { ...about, data: fact });
        break;
      case "delete":
        timeline.note("resource.deleted", { ...about, data: fact });
        break;
      case "configure":
        timeline.note("resource.configured", {
          ...about,
          data: { ...fact, attributes: (query ?? []).join(", ") },
        });
    }
  }
}

const aboutOf = ({ accountId, deviceId, actor }: Waiting) => ({ accountId, deviceId, actor });

/** Arguments of an execute, where they are words. */
function argumentsOf(payload: Uint8Array): string {
  const text = Buffer.from(payload).toString("utf8", 0, 400);
  return /[\p{Cc}\uFFFD]/u.test(text) ? "" : text.slice(0, 200);
}

/** Done twice, these are something else than done once. */
function mustNotRepeat(method: Waiting["method"]): boolean {
  return method === "POST" || method === "DELETE";
}
