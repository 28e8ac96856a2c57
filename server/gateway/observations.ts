import type { BusEvent, PathValue } from "@/server/bus/messages";
import type { AdoptedObservation, CoapEndpoint, CoapResponse } from "@/server/coap";
import { ContentError, ContentFormat, decodeContent, type Path } from "@/server/lwm2m";
import { type Directory, endsObservations, type LiveRegistration } from "./directory";
import { type DeviceExchange, nameOf, preferred, segments } from "./exchange";
import type { Presence } from "./presence";
import { profileOf } from "./profiles";
import type { Structures } from "./structures";
import type { Timeline } from "./timeline";

export interface ObservationOptions {
  coap: CoapEndpoint;
  directory: Directory;
  timeline: Timeline;
  presence: Presence;
  exchange: DeviceExchange;
  structures: Structures;
  publish(event: BusEvent): void;
  /** Content of an observed path, with the values in it; what has to be on disk before the device may forget it. */
  onvalue(
    registration: LiveRegistration,
    path: Path,
    content: CoapResponse,
    values: readonly PathValue[],
  ): Promise<void> | undefined;
  onerror(error: unknown): void;
  /** The device ended an observation; what has to be on disk before the device may forget it. */
  onended(registration: LiveRegistration, path: Path, response: CoapResponse): Promise<void>;
}

/** What a device answered that was asked to notify a path. */
export interface Begun {
  response: CoapResponse;
  /** It does. A value alone is the answer of one that does not [RFC7641 §4.1]. */
  observing: boolean;
}

/** What devices notify now: what they were asked to, and what they do by themselves. */
export class Observations {
  readonly #running = new Map<string, Map<Path, AdoptedObservation>>();
  /** Device and path of those that begin. */
  readonly #beginning = new Set<string>();

  constructor(private readonly options: ObservationOptions) {}

  /** Whether a path is observed now. */
  has(deviceId: string, path: Path): boolean {
    return this.#running.get(deviceId)?.has(path) ?? false;
  }

  /** Whether a device is being asked to notify a path. */
  begins(deviceId: string, path: Path): boolean {
    return this.#beginning.has(`${deviceId} ${path}`);
  }

  /** Whether the device notifies a path by itself, which nobody can begin or end. */
  isAutomatic(registration: LiveRegistration, path: Path): boolean {
    return this.#automatic(registration).has(path);
  }

  /** Asks the device to notify a path; rejects with CoapFailure. */
  async begin(registration: LiveRegistration, path: Path): Promise<Begun> {
    const { directory, exchange } = this.options;
    const { deviceId } = registration;
    const key = `${deviceId} ${path}`;
    // One observation per device and path: the new one takes the place of the one before.
    const former = this.#running.get(deviceId)?.get(path);
    this.#running.get(deviceId)?.delete(path);
    this.#beginning.add(key);
    try {
      await former?.cancel();
      const observation = await exchange.observe(registration, path, (notification) =>
        this.#notified(registration, path, notification),
      );
      const { first: response } = observation;
      const observing = response.code === "2.05" && response.observe !== null;
      if (directory.registrationOf(deviceId) !== registration) return { response, observing };
      if (!observing) {
        if (response.code === "2.05")
          exchange.keep(registration, exchange.valuesIn(registration, path, response), "read");
        return { response, observing };
      }
      // Two may have begun at a time.
      this.#running.get(deviceId)?.get(path)?.cancel();
      this.#put(deviceId, path, observation);
      this.#take(registration, path, response)?.catch(this.options.onerror);
      return { response, observing };
    } finally {
      this.#beginning.delete(key);
    }
  }

  /** Asks the device to notify a path no longer. */
  async end(deviceId: string, path: Path): Promise<void> {
    const observation = this.#running.get(deviceId)?.get(path);
    const registration = this.options.directory.registrationOf(deviceId);
    if (!observation || (registration && this.isAutomatic(registration, path))) return;
    this.#running.get(deviceId)?.delete(path);
    if (registration) this.announce(registration);
    await observation.cancel();
  }

  /** Pelion's client notifies some resources by itself, with tokens that it told when it registered. */
  adoptAutomatic(registration: LiveRegistration): void {
    for (const [path, token] of this.#automatic(registration)) this.#adopt(registration, path, token);
  }

  /**
   * The device goes on over another session, where it still notifies what it did; false when it does not, and has to be
   * asked anew.
   */
  move(registration: LiveRegistration): boolean {
    if (endsObservations(registration)) {
      this.#running.delete(registration.deviceId);
      return false;
    }
    for (const [path, { token }] of this.#running.get(registration.deviceId) ?? [])
      this.#adopt(registration, path, token);
    return true;
  }

  /** A registration is over: nothing of it is observed any longer, and nothing that was asked is answered. */
  forget({ deviceId, peer }: Pick<LiveRegistration, "deviceId" | "peer">): void {
    this.#running.delete(deviceId);
    if (peer) this.options.coap.forget(peer);
  }

  /** Tells whoever looks what is observed. */
  announce({ accountId, deviceId }: LiveRegistration): void {
    const paths = [...(this.#running.get(deviceId)?.keys() ?? [])];
    this.options.publish({ kind: "observations", accountId, deviceId, paths });
  }

  /** Keeps the values that came with the links (`v`, opaque ones in base64), and returns them. */
  takePresented(registration: LiveRegistration, at: number): PathValue[] {
    if (!profileOf(registration).presentsResources) return [];
    const { structures, exchange } = this.options;
    const values = structures.of(registration).entries.flatMap(({ path, attributes }) => {
      const text = attributes.get("v");
      if (text === null || text === undefined) return [];
      try {
        return decodeContent(ContentFormat.text, Buffer.from(text), path).map((value) => ({ ...value, at }));
      } catch (error) {
        if (error instanceof ContentError) return [];
        throw error;
      }
    });
    exchange.keep(registration, values, "notify");
    return values;
  }

  #put(deviceId: string, path: Path, observation: AdoptedObservation): void {
    const running = this.#running.get(deviceId) ?? new Map<Path, AdoptedObservation>();
    this.#running.set(deviceId, running.set(path, observation));
  }

  #automatic(registration: LiveRegistration): ReadonlyMap<Path, string> {
    return profileOf(registration).presentsResources
      ? this.options.structures.of(registration).automatic
      : NONE;
  }

  #adopt(registration: LiveRegistration, path: Path, token: string): void {
    const { peer, deviceId } = registration;
    if (!peer || peer.closed) return;
    const request = this.isAutomatic(registration, path)
      ? null
      : { method: "GET" as const, path: segments(registration, path), ...preferred(registration, path) };
    const observation = this.options.coap.adopt(peer, token, request, (notification) => {
      this.options.presence.heard(registration);
      return this.#notified(registration, path, notification);
    });
    this.#put(deviceId, path, observation);
  }

  #notified(
    registration: LiveRegistration,
    path: Path,
    notification: CoapResponse,
  ): Promise<void> | undefined {
    if (notification.code.startsWith("2.")) return this.#take(registration, path, notification);
    this.#running.get(registration.deviceId)?.delete(path);
    this.announce(registration);
    this.#failed(registration, path, `the device ended the observation with ${notification.code}`);
    return this.options.onended(registration, path, notification);
  }

  #take(registration: LiveRegistration, path: Path, content: CoapResponse): Promise<void> | undefined {
    const { exchange } = this.options;
    let values: PathValue[] = [];
    try {
      values = exchange.decode(registration, path, content);
      exchange.keep(registration, values, "notify");
    } catch (error) {
      if (!(error instanceof ContentError)) throw error;
      this.#failed(registration, path, error.message);
    }
    // What cannot be read here may well mean something to an application.
    return this.options.onvalue(registration, path, content, values);
  }

  #failed({ accountId, deviceId }: LiveRegistration, path: Path, reason: string): void {
    this.options.timeline.note("resource.failed", {
      accountId,
      deviceId,
      data: { path, operation: "observe", reason, ...nameOf(path) },
    });
  }
}

const NONE: ReadonlyMap<Path, string> = new Map();
