import type { Clock, Timer } from "@/server/clock";
import type { Notification, Observer } from "@/server/coap/types";
import { isWithin, type Path } from "@/server/lwm2m";
import type { AttributeStore } from "./attributes";

interface Observation {
  path: Path;
  observer: Observer;
  notifiedAt: number;
  /** The number last told, when the observed thing is one. */
  told: number | null;
  /** Set while a change waits for pmin. */
  due: Timer | null;
  /** Fires at pmax after the last notification. */
  late: Timer | null;
}

/** What observations need to know of the device. */
export interface ObservedThings {
  /** The notification for a path, or an error code when it is gone. */
  notification(path: Path, contentFormat: number | null): Notification;
  /** The number at a path, or null when it is none. */
  number(path: Path): number | null;
  /** Seconds that hold where no pmin was written. */
  defaultPmin(): number;
}

/** Decides when observers are told: on change, not before pmin, at pmax at the latest. */
export class Observations {
  readonly #running = new Map<Observer, { observation: Observation; contentFormat: number | null }>();

  constructor(
    private readonly clock: Clock,
    private readonly attributes: AttributeStore,
    private readonly things: ObservedThings,
  ) {}

  get size(): number {
    return this.#running.size;
  }

  /** Takes an observer whose first answer was just sent. */
  add(path: Path, observer: Observer, contentFormat: number | null): void {
    const observation: Observation = {
      path,
      observer,
      notifiedAt: this.clock.now(),
      told: this.things.number(path),
      due: null,
      late: null,
    };
    this.#running.set(observer, { observation, contentFormat });
    observer.onend = () => this.#remove(observation);
    this.#armLate(observation);
  }

  /** A value changed. */
  changed(path: Path, exact: boolean): void {
    for (const { observation } of [...this.#running.values()]) {
      const concerned = exact
        ? observation.path === path
        : isWithin(path, observation.path) || isWithin(observation.path, path);
      if (!concerned || observation.due || !this.#worthTelling(observation)) continue;
      const { pmin = this.things.defaultPmin() } = this.attributes.effective(observation.path);
      const wait = observation.notifiedAt + pmin * 1000 - this.clock.now();
      if (wait <= 0) this.#notify(observation);
      else observation.due = this.clock.after(wait, () => this.#notify(observation));
    }
  }

  /** Attributes were written: the longest period may be another one. */
  attributesChanged(path: Path): void {
    for (const { observation } of this.#running.values()) {
      if (isWithin(observation.path, path)) this.#armLate(observation);
    }
  }

  /** Ends everything without a word, as after the loss of a connection. */
  clear(): void {
    for (const { observation } of [...this.#running.values()]) this.#remove(observation);
  }

  // gt, lt and st are alternatives: any one fulfilled is worth telling. [LwM2M-Core 1.1.1 §7.3.2]
  #worthTelling(observation: Observation): boolean {
    const { gt, lt, st } = this.attributes.effective(observation.path);
    const { told } = observation;
    const now = this.things.number(observation.path);
    if (told === null || now === null || (gt === undefined && lt === undefined && st === undefined))
      return true;
    return (
      (gt !== undefined && told > gt !== now > gt) ||
      (lt !== undefined && told < lt !== now < lt) ||
      (st !== undefined && Math.abs(now - told) >= st)
    );
  }

  #notify(observation: Observation): void {
    const entry = this.#running.get(observation.observer);
    if (!entry) return;
    observation.due?.cancel();
    observation.due = null;
    observation.notifiedAt = this.clock.now();
    observation.told = this.things.number(observation.path);
    const notification = this.things.notification(observation.path, entry.contentFormat);
    observation.observer.notify(notification);
    if (notification.code && !notification.code.startsWith("2.")) this.#remove(observation);
    else this.#armLate(observation);
  }

  #armLate(observation: Observation): void {
    observation.late?.cancel();
    observation.late = null;
    const { pmin = this.things.defaultPmin(), pmax } = this.attributes.effective(observation.path);
    // A pmax below pmin, 0 included, is ignored. [LwM2M-Core 1.1.1 §7.3.2]
    if (pmax === undefined || pmax === 0 || pmax < pmin) return;
    const wait = observation.notifiedAt + pmax * 1000 - this.clock.now();
    observation.late = this.clock.after(Math.max(0, wait), () => this.#notify(observation));
  }

  #remove(observation: Observation): void {
    observation.due?.cancel();
    observation.late?.cancel();
    this.#running.delete(observation.observer);
  }
}
