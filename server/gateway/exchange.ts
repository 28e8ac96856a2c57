import type { BusEvent, PathValue, ResourceValue } from "@/server/bus/messages";
import type { Clock } from "@/server/clock";
import {
  type CoapEndpoint,
  CoapFailure,
  type CoapObservation,
  type CoapRequest,
  type CoapResponse,
  type NotificationHandler,
} from "@/server/coap";
import type { GroupCommit } from "@/server/db";
import { decodeContent, formatValue, type Path, resourceDefinition } from "@/server/lwm2m";
import { putValue } from "@/server/services/registrations/statements";
import type { LiveRegistration } from "./directory";
import type { Presence } from "./presence";
import { profileOf } from "./profiles";

/** A person waits for the answer. */
const TIMEOUT_MS = 60_000;

export interface ExchangeOptions {
  clock: Clock;
  coap: CoapEndpoint;
  commit: GroupCommit;
  presence: Presence;
  publish(event: BusEvent): void;
}

/** Asks registered devices, notes who answers, and keeps the values that they tell. */
export class DeviceExchange {
  constructor(private readonly options: ExchangeOptions) {}

  /** Sends a request for a path; rejects with CoapFailure. */
  request(
    registration: LiveRegistration,
    path: Path,
    request: Omit<CoapRequest, "path">,
  ): Promise<CoapResponse> {
    return this.#heed(registration, (peer) =>
      this.options.coap.request(peer, { ...this.#common(registration, path), ...request }),
    );
  }

  /** Sends a request once and hears nothing of it; throws CoapFailure. */
  tell(registration: LiveRegistration, path: Path, request: Omit<CoapRequest, "path">): void {
    if (!registration.peer) throw new CoapFailure("closed", "the device is not connected");
    this.options.coap.tell(registration.peer, { ...this.#common(registration, path), ...request });
  }

  /** Starts to observe a path in the format that suits the device; rejects with CoapFailure. */
  async observe(
    registration: LiveRegistration,
    path: Path,
    onnotification: NotificationHandler,
  ): Promise<CoapObservation> {
    const { accept } = preferred(registration, path);
    const ask = (wish: { accept?: number }) =>
      this.#heed(registration, (peer) =>
        this.options.coap.observe(
          peer,
          { method: "GET", ...this.#common(registration, path), ...wish },
          (notification) => {
            this.options.presence.heard(registration);
            return onnotification(notification);
          },
        ),
      );
    if (accept === undefined) return ask({});
    const observation = await ask({ accept });
    // Who refuses the format asked for may choose itself.
    return observation.first.code === "4.06" ? ask({}) : observation;
  }

  /** The values in what a device sent for a path; throws ContentError. */
  decode(
    registration: LiveRegistration,
    path: Path,
    { contentFormat, payload }: Pick<CoapResponse, "contentFormat" | "payload">,
  ): PathValue[] {
    const at = this.options.clock.now();
    return decodeContent(contentFormat, payload, path, registration.rootPath).map((value) => ({
      ...value,
      at: value.at ?? at,
    }));
  }

  /** Writes the last known values with the next commit, and tells whoever looks. */
  keep(registration: LiveRegistration, values: PathValue[], source: "read" | "notify" | "write"): void {
    if (values.length === 0) return;
    const { accountId, deviceId } = registration;
    for (const { path, value, at } of values)
      this.options.commit.note(putValue, { deviceId, path, value: JSON.stringify(value), at, source });
    this.options.publish({ kind: "values", accountId, deviceId, source, values });
  }

  #common(registration: LiveRegistration, path: Path): Omit<CoapRequest, "method"> {
    const { blockSize } = profileOf(registration);
    return {
      path: segments(registration, path),
      timeoutMs: TIMEOUT_MS,
      ...(blockSize !== null && { blockSize }),
    };
  }

  async #heed<T>(
    registration: LiveRegistration,
    send: (peer: NonNullable<LiveRegistration["peer"]>) => Promise<T>,
  ): Promise<T> {
    const { presence } = this.options;
    if (!registration.peer) throw new CoapFailure("closed", "the device is not connected");
    try {
      const answer = await send(registration.peer);
      presence.heard(registration);
      return answer;
    } catch (error) {
      if (error instanceof CoapFailure && error.kind === "timeout") presence.silent(registration);
      throw error;
    }
  }
}

/** The path on the device, below its root. */
export function segments(registration: LiveRegistration, path: Path): string[] {
  return `${registration.rootPath}${path.slice(1)}`.split("/").filter(Boolean);
}

/** The format to ask for where nobody chose one. */
export function preferred(registration: LiveRegistration, path: Path): { accept?: number } {
  const accept = profileOf(registration).accept(path);
  return accept === null ? {} : { accept };
}

/** A value as the timeline has it, where a firmware's worth of text would be too much. */
export function told(value: ResourceValue): string {
  const text = formatValue(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** The name of a resource for the timeline. */
export function nameOf(path: Path): { name?: string } {
  const name = resourceDefinition(path)?.name;
  return name ? { name } : {};
}
