import type { OperationResult, PathValue, ResourceValue } from "@/server/bus/messages";
import type { Clock } from "@/server/clock";
import { CoapFailure, type CoapResponse } from "@/server/coap";
import type { GroupCommit } from "@/server/db";
import { ContentError, encodeContent, type Path } from "@/server/lwm2m";
import { ServiceError } from "@/server/services/errors";
import type { EventData } from "@/server/services/events/types";
import { markRebootstrap } from "@/server/services/registrations/statements";
import type { Directory, LiveRegistration } from "./directory";
import { type DeviceExchange, nameOf, preferred, told } from "./exchange";
import type { Presence } from "./presence";
import { refusalOf } from "./request-plan";
import type { Structures } from "./structures";
import type { Subscriptions } from "./subscriptions";
import type { Timeline } from "./timeline";

const TEXT = 0;
const OPAQUE = 42;
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
/** An execute of the bootstrap trigger may never be answered, because the device is already gone. */
const TRIGGER_TIMEOUT_MS = 10_000;

export interface OperationOptions {
  clock: Clock;
  directory: Directory;
  commit: GroupCommit;
  timeline: Timeline;
  presence: Presence;
  exchange: DeviceExchange;
  subscriptions: Subscriptions;
  structures: Structures;
}

interface Target {
  accountId: string;
  deviceId: string;
  actor?: string | undefined;
}

type Operation = EventData<"resource.failed">["operation"];

/** What the server asks of registered devices: one request after the other for each of them. */
export class DeviceOperations {
  constructor(private readonly options: OperationOptions) {}

  async read(target: Target & { path: Path }): Promise<OperationResult> {
    return this.#operate(target, "read", async (registration) => {
      const response = await this.#get(registration, target.path);
      const { exchange } = this.options;
      const read = response.code === "2.05" ? exchange.decode(registration, target.path, response) : [];
      const values = exchange.keep(registration, read, "read");
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
    const { subscriptions } = this.options;
    return this.#operate(target, "observe", async (registration) => {
      if (subscriptions.isAutomatic(registration, target.path))
        return { response: null, values: [], done: () => {}, note: "the device reports it by itself" };
      const { response, values } = await subscriptions.observe(registration, target.path);
      return { response, values, done: () => this.#tell(target, "resource.observed", {}) };
    });
  }

  async unobserve(target: Target & { path: Path }): Promise<OperationResult> {
    const { subscriptions } = this.options;
    return this.#operate(target, "unobserve", async (registration) => {
      if (subscriptions.isAutomatic(registration, target.path))
        return {
          response: null,
          values: [],
          done: () => {},
          note: "the device goes on to report it by itself",
        };
      await subscriptions.unobserve(registration, target.path);
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
    const { directory, commit, timeline, clock, presence } = this.options;
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

    const there = registration !== undefined && presence.awake(registration);
    if (there) {
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
    const update = registration && presence.awake(registration) ? this.#trigger(registration, 8) : null;
    if (registration && update)
      this.options.exchange
        .request(registration, update, { method: "POST", timeoutMs: TRIGGER_TIMEOUT_MS })
        .catch(() => {});
    return tell(
      "refuse-registration",
      registration
        ? `${there ? "it has no bootstrap trigger that works" : "it cannot be asked now"}; its next registration is refused, so that it falls back to bootstrap`
        : "it is not registered; its next registration is refused, so that it falls back to bootstrap",
    );
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
      if (response && !response.code.startsWith("2.")) return failed(refusalOf(response), response.code);
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

  /** Path of an executable resource of the server object, if the device may have it. */
  #trigger(registration: LiveRegistration, resource: 8 | 9): Path | null {
    const paths = this.options.structures.of(registration).entries.map(({ path }) => path);
    const instance = paths.find((path) => /^\/1\/\d+$/.test(path)) ?? "/1/0";
    // A client that lists resources lists all it has; one that lists instances only has to be asked.
    const listsResources = paths.some((path) => path.startsWith(`${instance}/`));
    const path = `${instance}/${resource}`;
    return !listsResources || paths.includes(path) ? path : null;
  }
}

/** A name as the client's TLV has it: type, length, and the text with a zero behind it. */
function certificateName(name: string): Buffer {
  const text = Buffer.from(`${name}\0`);
  return Buffer.concat([Buffer.of(0, 1, text.length >> 8, text.length & 255), text]);
}
