import type { PathValue, ResourceValue } from "@/server/bus/messages";
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
import { ContentError, decodeContent, formatValue, type Path, resourceDefinition } from "@/server/lwm2m";
import { putValue } from "@/server/services/registrations/statements";
import type { LiveRegistration } from "./directory";
import type { Presence } from "./presence";
import { profileOf } from "./profiles";
import { type Listeners, WATCHED_MS } from "./timeline";

/** A person waits for the answer. */
const TIMEOUT_MS = 60_000;

export interface ExchangeOptions {
  clock: Clock;
  coap: CoapEndpoint;
  commit: GroupCommit;
  presence: Presence;
  listeners: Listeners;
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

  /**
   * The values in what a device sent for a path, the oldest first; throws ContentError. A time that has not come yet is
   * taken for now: a clock that is ahead must not keep out what comes later.
   */
  decode(
    registration: LiveRegistration,
    path: Path,
    { contentFormat, payload }: Pick<CoapResponse, "contentFormat" | "payload">,
  ): PathValue[] {
    const now = this.options.clock.now();
    return decodeContent(contentFormat, payload, path, registration.rootPath, { now })
      .map((value) => ({ ...value, at: Math.min(value.at ?? now, now) }))
      .sort((one, other) => one.at - other.at);
  }

  /** The same; none where it cannot be read: the application may know what it is. */
  valuesIn(
    registration: LiveRegistration,
    path: Path,
    content: Pick<CoapResponse, "contentFormat" | "payload">,
  ): PathValue[] {
    try {
      return this.decode(registration, path, content);
    } catch (error) {
      if (error instanceof ContentError) return [];
      throw error;
    }
  }

  /** Writes the newest value of each path with the next commit, then tells whoever looks; returns these values. */
  keep(
    registration: LiveRegistration,
    values: readonly PathValue[],
    source: "read" | "notify" | "write",
  ): PathValue[] {
    const newest = newestOf(values);
    if (newest.length === 0) return newest;
    const { commit, listeners } = this.options;
    const { accountId, deviceId } = registration;
    const watched = listeners.watched(accountId) && { withinMs: WATCHED_MS };
    newest.forEach(({ path, value, at }, index) => {
      // All of them are on disk when the last one is.
      const written = index === newest.length - 1 && {
        written: () => listeners.publish({ kind: "values", accountId, deviceId, source, values: newest }),
      };
      const row = { deviceId, path, value: JSON.stringify(value), at, source };
      commit.note(putValue, row, { ...watched, ...written });
    });
    return newest;
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

/** The newest value of each path; of those of one time the last. */
function newestOf(values: readonly PathValue[]): PathValue[] {
  const newest = new Map<Path, PathValue>();
  for (const value of values) {
    const former = newest.get(value.path);
    if (!former || former.at <= value.at) newest.set(value.path, value);
  }
  return [...newest.values()];
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
