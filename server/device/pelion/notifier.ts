import type { Clock, Timer } from "@/server/clock";
import type { Delivery, PelionAnswer } from "./coap";
import type { PelionNode, PelionTree } from "./tree";

/** The first answer has Observe 0, notifications go on from 2. */
const FIRST_OBSERVE = 2;

interface Watch {
  path: string;
  token: Uint8Array;
  /** The client notifies by itself; no reset ends it. */
  auto: boolean;
  observe: number;
  /** Its value has changed since the last notification. */
  dirty: boolean;
  /** Seconds, of Write-Attributes. */
  pmin: number;
  pmax: number | null;
  sentAt: number;
  timer: Timer | null;
}

/** How a notification leaves; false while there is no connection to a server that knows us. */
export type SendNotification = (
  path: string,
  token: Uint8Array,
  answer: PelionAnswer,
  done: (delivery: Delivery) => void,
) => boolean;

/** Automatic and asked-for notifications: one under way at a time, always the latest value. */
export class Notifier {
  readonly #watches = new Map<string, Watch>();
  #underWay = false;

  constructor(
    private readonly tree: PelionTree,
    private readonly clock: Clock,
    private readonly send: SendNotification,
  ) {
    for (const node of tree.automatic()) this.#watchAutomatic(node);
    tree.onchange = (node) => this.changed(node);
  }

  #watchAutomatic(node: PelionNode): void {
    const number = node.aobs ?? 0;
    // The number is the token, in two bytes.
    this.#watch(node.path, Uint8Array.of(number >> 8, number & 0xff), true);
  }

  observe(path: string, token: Uint8Array): void {
    this.#watch(path, Uint8Array.from(token), false);
  }

  #watch(path: string, token: Uint8Array, auto: boolean): void {
    const before = this.#watches.get(path);
    before?.timer?.cancel();
    const { pmin = 0, pmax = null } = before ?? {};
    const watch: Watch = {
      ...{ path, token, auto, pmin, pmax },
      observe: FIRST_OBSERVE,
      dirty: false,
      sentAt: this.clock.now(),
      timer: null,
    };
    this.#watches.set(path, watch);
    this.#await(watch);
  }

  cancel(path: string): void {
    const watch = this.#watches.get(path);
    if (!watch || watch.auto) return;
    watch.timer?.cancel();
    this.#watches.delete(path);
  }

  /** Takes pmin and pmax; they hold for a notification of the path that is on. */
  attributes(path: string, { pmin, pmax }: { pmin?: number; pmax?: number }): void {
    const watch = this.#watches.get(path);
    if (!watch) return;
    if (pmin !== undefined) watch.pmin = pmin;
    if (pmax !== undefined) watch.pmax = pmax;
    this.#await(watch);
  }

  changed(node: PelionNode): void {
    for (const watch of this.#watches.values()) {
      if (watch.path !== node.path && !node.path.startsWith(`${watch.path}/`)) continue;
      watch.dirty = true;
    }
    this.pump();
  }

  /** Forgets what the server asked for; what the client notifies by itself goes on. */
  reset(): void {
    for (const watch of [...this.#watches.values()]) this.cancel(watch.path);
  }

  /** The connection is gone: what was not acknowledged is due again. */
  disconnected(): void {
    this.#underWay = false;
  }

  stop(): void {
    this.tree.onchange = null;
    for (const watch of this.#watches.values()) watch.timer?.cancel();
    this.#watches.clear();
  }

  /** Sends the next notification that is due. */
  pump(): void {
    if (this.#underWay) return;
    const now = this.clock.now();
    for (const watch of this.#watches.values()) {
      if (!watch.dirty) continue;
      const wait = watch.pmin * 1000 - (now - watch.sentAt);
      if (wait > 0) {
        this.#await(watch);
        continue;
      }
      if (this.#notify(watch)) return;
    }
  }

  #notify(watch: Watch): boolean {
    const node = this.tree.find(watch.path);
    if (!node) {
      this.cancel(watch.path);
      return false;
    }
    // Behind the others, so that one that changes all the time does not keep them from their turn.
    this.#watches.delete(watch.path);
    this.#watches.set(watch.path, watch);
    watch.dirty = false;
    this.#underWay = true;
    const payload =
      node.kind === "resource" && !node.multiple ? (node.value ?? "") : this.tree.tlv(node.path);
    const contentFormat = node.kind === "resource" && !node.multiple ? 0 : 11542;
    const sent = this.send(
      watch.path,
      watch.token,
      { code: "2.05", payload, contentFormat, observe: watch.observe },
      (delivery) => {
        this.#underWay = false;
        if (delivery === "reset") this.cancel(watch.path);
        else if (delivery !== "ack") watch.dirty = true;
        if (delivery === "ack" || delivery === "reset") this.pump();
      },
    );
    if (!sent) {
      watch.dirty = true;
      this.#underWay = false;
      return true;
    }
    watch.observe++;
    watch.sentAt = this.clock.now();
    this.#await(watch);
    return true;
  }

  /** Looks again when pmin has passed for a change, or pmax without one. */
  #await(watch: Watch): void {
    watch.timer?.cancel();
    watch.timer = null;
    const seconds = watch.dirty && watch.pmin > 0 ? watch.pmin : watch.pmax;
    if (seconds === null) return;
    const ms = Math.max(0, watch.sentAt + seconds * 1000 - this.clock.now());
    watch.timer = this.clock.after(ms, () => {
      watch.timer = null;
      watch.dirty = true;
      this.pump();
    });
  }
}
