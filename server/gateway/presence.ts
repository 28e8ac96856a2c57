import type { Clock } from "@/server/clock";
import { DEFAULT_PARAMETERS, maxTransmitWait } from "@/server/coap";
import type { LiveRegistration } from "./directory";

/** How long a device in queue mode listens after it was heard: MAX_TRANSMIT_WAIT [LwM2M-Core 1.1.1 §6.5; RFC7252 §4.8.2]. */
export const AWAKE_MS = maxTransmitWait(DEFAULT_PARAMETERS);

/** Who can be asked now: whoever is connected, and in queue mode was heard a short while ago. */
export class Presence {
  /** Devices in queue mode, until when they listen. */
  readonly #until = new WeakMap<LiveRegistration, number>();
  /** Hears of every message of a registered device. */
  oncontact: (registration: LiveRegistration) => void = () => {};

  constructor(private readonly clock: Clock) {}

  awake(registration: LiveRegistration): boolean {
    const { peer, queueMode, updatedAt } = registration;
    if (!peer || peer.closed) return false;
    // Of the time before a restart only the last Register or Update is known.
    return !queueMode || this.clock.now() < (this.#until.get(registration) ?? updatedAt + AWAKE_MS);
  }

  /** The device sent something. */
  heard(registration: LiveRegistration): void {
    if (registration.queueMode) this.#until.set(registration, this.clock.now() + AWAKE_MS);
    this.oncontact(registration);
  }

  /** The device did not answer in time. */
  silent(registration: LiveRegistration): void {
    if (registration.queueMode) this.#until.set(registration, 0);
  }
}
