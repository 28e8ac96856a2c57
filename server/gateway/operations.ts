import type { BusEvent, OperationResult, PathValue, ResourceValue } from "@/server/bus/messages";
import type { Clock } from "@/server/clock";
import {
  type AdoptedObservation,
  type CoapEndpoint,
  CoapFailure,
  type CoapResponse,
  type IncomingRequest,
  type OutgoingResponse,
} from "@/server/coap";
import type { GroupCommit, PrismaClient } from "@/server/db";
import { ContentError, decodeContent, encodeContent, type Path, parseLinks } from "@/server/lwm2m";
import { ServiceError } from "@/server/services/errors";
import type { EventData } from "@/server/services/events/types";
import {
  markRebootstrap,
  putObservation,
  removeObservation,
} from "@/server/services/registrations/statements";
import { type Directory, endsObservations, type LiveRegistration } from "./directory";
import { type DeviceExchange, nameOf, preferred, segments, told, withoutRoot } from "./exchange";
import type { Presence } from "./presence";
import type { Timeline } from "./timeline";

const TEXT = 0;
const OPAQUE = 42;
const SENML_FORMATS = new Set([110, 112]);
/** Certificate enrolment of Pelion's client. */
const RENEWAL_PATH = "/35011/0/27002";
/** What its answers mean (ce_status.h). */
const RENEWAL_STATUS: Readonly<Record<number, string>> = {
  1284: "the device has no such certificate (1284)",
  1285: "the device is busy with another renewal (1285)",
  1286: "the device did not understand the request (1286)",
  1287: "the device got no certificate (1287)",
  1294: "the device may not renew this certificate (1294)",
};
/** Devices observed anew at a time after a restart. */
const RESUME_AT_A_TIME = 50;
/** An execute of the bootstrap trigger may never be answered, because the device is already gone. */
const TRIGGER_TIMEOUT_MS = 10_000;

export interface OperationOptions {
  clock: Clock;
  db: PrismaClient;
  coap: () => CoapEndpoint;
  directory: Directory;
  commit: GroupCommit;
  timeline: Timeline;
  presence: Presence;
  exchange: DeviceExchange;
  publish(event: BusEvent): void;
}

interface Target {
  accountId: string;
  deviceId: string;
  actor?: string | undefined;
}

type Operation = EventData<"resource.failed">["operation"];

/** What the server asks of registered devices: one request after the other for each of them. */
export class DeviceOperations {
  /** What is observed now, by device. */
  readonly #observations = new Map<string, Map<Path, AdoptedObservation>>();
  /** What people want observed, by device; the same as in the database. */
  readonly #wanted = new Map<string, Set<Path>>();

  constructor(private readonly options: OperationOptions) {}

  async read(target: Target & { path: Path }): Promise<OperationResult> {
    return this.#operate(target, "read", async (registration) => {
      const response = await this.#get(registration, target.path);
      const values =
        response.code === "2.05" ? this.options.exchange.decode(registration, target.path, response) : [];
      this.options.exchange.keep(registration, values, "read");
      const [only] = values;
      return {
        response,
        values,
        done: () =>
          this.#tell(target, "resource.read", {
            ...(values.length === 1 && only && { value: told(only.value) }),
          }),
      };
    });
  }

  async write(target: Target & { path: Path; value: ResourceValue }): Promise<OperationResult> {
    const { path, value } = target;
    return this.#operate(target, "write", async (registration) => {
      const contentFormat = value.type === "opaque" ? OPAQUE : TEXT;
      const response = await this.options.exchange.request(registration, path, {
        method: "PUT",
        contentFormat,
        payload: encodeContent(contentFormat, path, value),
      });
      const values = response.code === "2.04" ? [{ path, value, at: this.options.clock.now() }] : [];
      this.options.exchange.keep(registration, values, "write");
      return {
        response,
        values,
        done: () => this.#tell(target, "resource.written", { value: told(value) }),
      };
    });
  }

  async execute(target: Target & { path: Path; args: string }): Promise<OperationResult> {
    return this.#operate(target, "execute", async (registration) => {
      const response = await this.options.exchange.request(registration, target.path, {
        method: "POST",
        ...(target.args && { contentFormat: TEXT, payload: Buffer.from(target.args) }),
      });
      return {
        response,
        values: [],
        done: () => this.#tell(target, "resource.executed", { ...(target.args && { args: target.args }) }),
      };
    });
  }

  async observe(target: Target & { path: Path }): Promise<OperationResult> {
    return this.#operate(target, "observe", async (registration) => {
      if (automaticObservations(registration).has(target.path))
        return { response: null, values: [], done: () => {}, note: "the device reports it by itself" };
      const response = await this.#observe(registration, target.path);
      if (response.code !== "2.05") return { response, values: [], done: () => {} };
      const { deviceId } = registration;
      this.#want(deviceId, target.path);
      await this.options.commit.add(putObservation, {
        deviceId,
        path: target.path,
        at: this.options.clock.now(),
      });
      this.#announce(registration);
      return {
        response,
        values: this.options.exchange.decode(registration, target.path, response),
        done: () => this.#tell(target, "resource.observed", {}),
      };
    });
  }

  async unobserve(target: Target & { path: Path }): Promise<OperationResult> {
    return this.#operate(target, "unobserve", async (registration) => {
      if (automaticObservations(registration).has(target.path))
        return {
          response: null,
          values: [],
          done: () => {},
          note: "the device goes on to report it by itself",
        };
      const running = this.#observations.get(registration.deviceId);
      const observation = running?.get(target.path);
      running?.delete(target.path);
      this.#wanted.get(registration.deviceId)?.delete(target.path);
      await this.options.commit.add(removeObservation, {
        deviceId: registration.deviceId,
        path: target.path,
      });
      await observation?.cancel();
      this.#announce(registration);
      return { response: null, values: [], done: () => this.#tell(target, "resource.unobserved", {}) };
    });
  }

  /** Has a device of Pelion's kind make a new key and ask for a new certificate, and says what came of it. */
  async renew(target: Target): Promise<OperationResult> {
    return this.#operate({ ...target, path: RENEWAL_PATH }, "execute", async (registration) => {
      const response = await this.options.exchange.request(registration, RENEWAL_PATH, {
        method: "POST",
        contentFormat: TEXT,
        payload: certificateName("LWM2M"),
      });
      if (!response.code.startsWith("2.")) return { response, values: [], done: () => {} };
      const words = Buffer.from(response.payload).toString("utf8").trim();
      const status = words === "" ? 0 : Number(words);
      if (status !== 0)
        throw new ContentError(RENEWAL_STATUS[status] ?? `the device says ${words.slice(0, 40)}`);
      return {
        response,
        values: [],
        done: () => this.#tell({ ...target, path: RENEWAL_PATH }, "resource.executed", {}),
        note: "the device has a new certificate and uses it from its next handshake on",
      };
    });
  }

  /**
   * Makes a device bootstrap again: by /1/x/9 where it has it [LwM2M-Core 1.1.1 §6.1.3.4]; otherwise its next Register
   * is refused, which sends it back to its bootstrap server.
   */
  async rebootstrap(target: Target): Promise<{ way: "execute" | "refuse-registration"; message: string }> {
    const { directory, commit, timeline, clock } = this.options;
    const { accountId, deviceId } = target;
    const device = directory.byId(deviceId);
    if (!device || device.accountId !== accountId) throw new ServiceError("not_found", "Device not found.");
    const registration = directory.registrationOf(deviceId);
    const tell = (way: "execute" | "refuse-registration", message: string) => {
      timeline.note("device.rebootstrap-requested", {
        accountId,
        deviceId,
        actor: target.actor ?? "system",
        data: { way, message },
      });
      return { way, message };
    };

    if (registration?.peer && !registration.peer.closed) {
      const trigger = this.#trigger(registration, 9);
      if (trigger) {
        try {
          const response = await this.options.exchange.request(registration, trigger, {
            method: "POST",
            timeoutMs: TRIGGER_TIMEOUT_MS,
          });
          if (response.code === "2.04") return tell("execute", `executed ${trigger}; the device took it`);
        } catch (error) {
          if (!(error instanceof CoapFailure)) throw error;
          // It may have gone before it answered; if it has not, the refusal below still gets it there.
          if (error.kind === "closed" || error.kind === "cancelled")
            return tell("execute", `executed ${trigger}; the device left at once`);
        }
      }
    }

    device.rebootstrapPending = true;
    await commit.add(markRebootstrap, { id: deviceId, pending: 1, at: clock.now() });
    // An update trigger brings the refusal forward; without it the device comes at the end of its lifetime.
    const update = registration?.peer && !registration.peer.closed ? this.#trigger(registration, 8) : null;
    if (registration && update)
      this.options.exchange
        .request(registration, update, { method: "POST", timeoutMs: TRIGGER_TIMEOUT_MS })
        .catch(() => {});
    return tell(
      "refuse-registration",
      registration
        ? "it has no bootstrap trigger that works; its next registration is refused, so that it falls back to bootstrap"
        : "it is not registered; its next registration is refused, so that it falls back to bootstrap",
    );
  }

  /** A new registration: what is to be observed is observed anew [LwM2M-Core 1.1.1 §6.4.1]. */
  async registered(registration: LiveRegistration): Promise<void> {
    this.options.exchange.keep(
      registration,
      presentedValues(registration, this.options.clock.now()),
      "notify",
    );
    this.#adoptAutomatic(registration);
    await this.#observeAnew(registration);
  }

  /** The device goes on with its registration on another session: what it notifies there is still wanted. */
  async moved(registration: LiveRegistration): Promise<void> {
    const running = this.#observations.get(registration.deviceId);
    // After a restart nothing is known of what was observed before.
    if (!running || endsObservations(registration)) return this.registered(registration);
    const automatic = automaticObservations(registration);
    for (const [path, { token }] of running) this.#adopt(registration, path, token, automatic.has(path));
  }

  /** Reads what is wanted of whom, once at the start. */
  async load(): Promise<void> {
    for (const { deviceId, path } of await this.options.db.observation.findMany()) this.#want(deviceId, path);
  }

  /** After a restart: devices whose sessions went on are observed anew, a few at a time. */
  async resume(): Promise<void> {
    const queue = [...this.options.directory.registrations()].filter(({ peer }) => peer !== null);
    for (const registration of queue) this.#adoptAutomatic(registration);
    const worker = async () => {
      for (let registration = queue.pop(); registration; registration = queue.pop())
        await this.#observeAnew(registration);
    };
    await Promise.all(Array.from({ length: RESUME_AT_A_TIME }, worker));
  }

  /** A registration is over: nothing of it is asked or observed any longer. */
  ended(registration: LiveRegistration): void {
    this.#observations.delete(registration.deviceId);
    if (registration.peer) this.options.coap().forget(registration.peer);
  }

  /** The device left: what was wanted of it is void, as it is in the database. */
  left(registration: LiveRegistration): void {
    this.ended(registration);
    this.#wanted.delete(registration.deviceId);
  }

  /** Values that a device sends by itself [LwM2M-Core 1.1.1 §6.4.6]. */
  async sent(registration: LiveRegistration, request: IncomingRequest): Promise<OutgoingResponse> {
    if (request.contentFormat === null || !SENML_FORMATS.has(request.contentFormat))
      return { code: "4.00", payload: "A Send is SenML JSON or SenML CBOR." };
    let values: PathValue[];
    try {
      const at = this.options.clock.now();
      values = decodeContent(request.contentFormat, request.payload, "/", registration.rootPath).map(
        (value) => ({
          ...value,
          at: value.at ?? at,
        }),
      );
    } catch (error) {
      if (!(error instanceof ContentError)) throw error;
      return { code: "4.00", payload: error.message };
    }
    const objects = new Set(presentedObjects(registration));
    if (values.some(({ path }) => !objects.has(Number(path.split("/")[1]))))
      return { code: "4.04", payload: "It reports an object that is not registered." };
    return { code: "2.04", sent: () => this.options.exchange.keep(registration, values, "notify") };
  }

  async #operate(
    target: Target & { path: Path },
    operation: Operation,
    run: (registration: LiveRegistration) => Promise<{
      response: CoapResponse | null;
      values: PathValue[];
      done: () => void;
      /** What a person should know though it went well. */
      note?: string;
    }>,
  ): Promise<OperationResult> {
    const { directory } = this.options;
    const device = directory.byId(target.deviceId);
    if (!device || device.accountId !== target.accountId)
      throw new ServiceError("not_found", "Device not found.");
    const failed = (message: string, code: string | null): OperationResult => {
      this.options.timeline.note("resource.failed", {
        accountId: target.accountId,
        deviceId: target.deviceId,
        actor: target.actor ?? "system",
        data: {
          path: target.path,
          operation,
          reason: message,
          ...(code && { code }),
          ...nameOf(target.path),
        },
      });
      return { ok: false, code, message, values: [] };
    };

    const registration = directory.registrationOf(target.deviceId);
    if (!registration) return failed("the device is not registered", null);
    if (!registration.peer || registration.peer.closed)
      return failed("the device is not connected at the moment; it is back with its next update", null);
    if (!this.options.presence.awake(registration))
      return failed("the device sleeps until its next update", null);
    try {
      const { response, values, done, note } = await run(registration);
      if (response && !response.code.startsWith("2.")) return failed(explain(response), response.code);
      done();
      return { ok: true, code: response?.code ?? null, message: note ?? "", values };
    } catch (error) {
      if (error instanceof CoapFailure || error instanceof ContentError) return failed(error.message, null);
      throw error;
    }
  }

  #tell<
    T extends
      | "resource.read"
      | "resource.written"
      | "resource.executed"
      | "resource.observed"
      | "resource.unobserved",
  >(target: Target & { path: Path }, type: T, data: Omit<EventData<T>, "path" | "name">): void {
    this.options.timeline.note(type, {
      accountId: target.accountId,
      deviceId: target.deviceId,
      actor: target.actor ?? "system",
      data: { path: target.path, ...nameOf(target.path), ...data } as EventData<T>,
    });
  }

  /** Who refuses the format asked for may choose itself. */
  async #get(registration: LiveRegistration, path: Path): Promise<CoapResponse> {
    const response = await this.options.exchange.request(registration, path, {
      method: "GET",
      ...preferred(registration, path),
    });
    return response.code === "4.06"
      ? this.options.exchange.request(registration, path, { method: "GET" })
      : response;
  }

  async #observe(registration: LiveRegistration, path: Path): Promise<CoapResponse> {
    const { deviceId } = registration;
    let running = this.#observations.get(deviceId);
    if (!running) this.#observations.set(deviceId, (running = new Map()));
    // One observation per device and path: the new one takes the place of the one before.
    const former = running.get(path);
    if (former) {
      running.delete(path);
      await former.cancel();
    }
    const observation = await this.options.exchange.observe(registration, path, (notification) =>
      this.#notified(registration, path, notification),
    );
    if (observation.first.code === "2.05") {
      running.set(path, observation);
      this.options.exchange.keep(
        registration,
        this.options.exchange.decode(registration, path, observation.first),
        "notify",
      );
    }
    return observation.first;
  }

  #want(deviceId: string, path: Path): void {
    this.#wanted.set(deviceId, (this.#wanted.get(deviceId) ?? new Set()).add(path));
  }

  async #observeAnew(registration: LiveRegistration): Promise<void> {
    for (const path of [...(this.#wanted.get(registration.deviceId) ?? [])]) {
      try {
        await this.#observe(registration, path);
      } catch (error) {
        if (!(error instanceof CoapFailure || error instanceof ContentError)) throw error;
        if (this.options.directory.registrationOf(registration.deviceId) !== registration) return;
      }
    }
    if (this.#observations.has(registration.deviceId)) this.#announce(registration);
  }

  /** Pelion's client notifies some resources by itself, with tokens that it told when it registered. */
  #adoptAutomatic(registration: LiveRegistration): void {
    for (const [path, token] of automaticObservations(registration))
      this.#adopt(registration, path, token, true);
  }

  #adopt(registration: LiveRegistration, path: Path, token: string, automatic: boolean): void {
    const { peer, deviceId } = registration;
    if (!peer || peer.closed) return;
    const running = this.#observations.get(deviceId) ?? new Map<Path, AdoptedObservation>();
    this.#observations.set(deviceId, running);
    const request = automatic
      ? null
      : { method: "GET" as const, path: segments(registration, path), ...preferred(registration, path) };
    running.set(
      path,
      this.options.coap().adopt(peer, token, request, (notification) => {
        this.options.presence.heard(registration);
        this.#notified(registration, path, notification);
      }),
    );
  }

  #notified(registration: LiveRegistration, path: Path, notification: CoapResponse): void {
    if (!notification.code.startsWith("2.")) {
      this.#observations.get(registration.deviceId)?.delete(path);
      this.#wanted.get(registration.deviceId)?.delete(path);
      this.options.commit.note(removeObservation, { deviceId: registration.deviceId, path });
      this.#announce(registration);
      this.#failedValue(registration, path, `the device ended the observation with ${notification.code}`);
      return;
    }
    try {
      this.options.exchange.keep(
        registration,
        this.options.exchange.decode(registration, path, notification),
        "notify",
      );
    } catch (error) {
      if (!(error instanceof ContentError)) throw error;
      this.#failedValue(registration, path, error.message);
    }
  }

  #failedValue({ accountId, deviceId }: LiveRegistration, path: Path, reason: string): void {
    this.options.timeline.note("resource.failed", {
      accountId,
      deviceId,
      data: { path, operation: "observe", reason, ...nameOf(path) },
    });
  }

  #announce({ accountId, deviceId }: LiveRegistration): void {
    const paths = [...(this.#observations.get(deviceId)?.keys() ?? [])];
    this.options.publish({ kind: "observations", accountId, deviceId, paths });
  }

  /** Path of an executable resource of the server object, if the device may have it. */
  #trigger(registration: LiveRegistration, resource: 8 | 9): Path | null {
    const paths = parseLinks(registration.objectLinks).map((link) =>
      withoutRoot(link.target, registration.rootPath),
    );
    const instance = paths.find((path) => /^\/1\/\d+$/.test(path)) ?? "/1/0";
    // A client that lists resources lists all it has; one that lists instances only has to be asked.
    const listsResources = paths.some((path) => path.startsWith(`${instance}/`));
    const path = `${instance}/${resource}`;
    return !listsResources || paths.includes(path) ? path : null;
  }
}

function presentedObjects(registration: LiveRegistration): number[] {
  return parseLinks(registration.objectLinks).map((link) =>
    Number(withoutRoot(link.target, registration.rootPath).split("/")[1]),
  );
}

/** Path and token (hex) of each resource that the device notifies by itself: `aobs` in its links. */
function automaticObservations(registration: LiveRegistration): ReadonlyMap<Path, string> {
  const tokens = new Map<Path, string>();
  if (!registration.deltaLinks) return tokens;
  for (const { target, attributes } of parseLinks(registration.objectLinks)) {
    const number = Number(attributes.get("aobs"));
    if (Number.isInteger(number) && number >= 1 && number <= 0xffff)
      tokens.set(withoutRoot(target, registration.rootPath), number.toString(16).padStart(4, "0"));
  }
  return tokens;
}

/** Values that came with the links (`v`), opaque ones in base64. */
function presentedValues(registration: LiveRegistration, at: number): PathValue[] {
  if (!registration.deltaLinks) return [];
  return parseLinks(registration.objectLinks).flatMap(({ target, attributes }) => {
    const text = attributes.get("v");
    if (text === null || text === undefined) return [];
    try {
      return decodeContent(TEXT, Buffer.from(text), withoutRoot(target, registration.rootPath)).map(
        (value) => ({
          ...value,
          at,
        }),
      );
    } catch (error) {
      if (error instanceof ContentError) return [];
      throw error;
    }
  });
}

/** A name as the client's TLV has it: type, length, and the text with a zero behind it. */
function certificateName(name: string): Buffer {
  const text = Buffer.from(`${name}\0`);
  return Buffer.concat([Buffer.of(0, 1, text.length >> 8, text.length & 255), text]);
}

const CODES: Readonly<Record<string, string>> = {
  "4.00": "the device calls the request malformed",
  "4.01": "the device does not allow it",
  "4.03": "the device does not allow it",
  "4.04": "the device does not have it",
  "4.05": "the device does not support this on it",
  "4.06": "the device has it in no format known here",
  "4.12": "a condition for it is not met on the device",
  "4.13": "the value is too large for the device",
  "4.15": "the device does not take this format",
};

function explain(response: CoapResponse): string {
  const words = Buffer.from(response.payload)
    .toString("utf8")
    .replace(/\p{Cc}/gu, " ")
    .slice(0, 200);
  const meaning =
    CODES[response.code] ?? (response.code.startsWith("5.") ? "the device failed" : "the device refused");
  return `${meaning} (${response.code}${words ? `: ${words}` : ""})`;
}
