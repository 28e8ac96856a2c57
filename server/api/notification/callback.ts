import type { Clock, Timer } from "@/server/clock";
import type { GroupCommit } from "@/server/db";
import type { Logger } from "@/server/log";
import type { Callback } from "@/server/services/channels/get";
import {
  callbackStatement,
  deliveryStatement,
  pruneDeliveriesStatement,
} from "@/server/services/channels/queue";
import { expireChannel } from "@/server/services/channels/remove";
import { type CallbackResult, CallbackSender } from "@/server/services/channels/send";
import type { CallbackTargets } from "@/server/services/channels/targets";
import type { Context } from "@/server/services/context";
import { newId } from "@/server/services/ids";
import type { Feed } from "./feed";
import type { Batch } from "./message";
import { Pump } from "./pump";

const DELIVERY_TIMEOUT_MS = 20_000;
const MAX_BACK_OFF_MS = 120_000;
/** A callback that fails for so long is deleted. */
const GIVE_UP_MS = 24 * 3_600_000;
/** What comes within this time after a delivery goes with the next one. */
const REST_MS = 20;
/** After a fault of our own. */
const FAULT_MS = 1_000;

export interface CallbackParts {
  ctx: Context;
  clock: Clock;
  commit: GroupCommit;
  log: Logger;
  targets: CallbackTargets;
}

/** Times in ms. */
interface Failures {
  tries: number;
  since: number;
  nextTryAt: number;
}

/** Delivers to the callback of one owner: one batch after the other, the next when the one before was taken. */
export class CallbackDelivery {
  readonly #sender: CallbackSender;
  readonly #pump: Pump;
  #stopped = false;
  #failures: Failures | null = null;
  #retry: Timer | null = null;
  /** The last row of a batch that was not taken: it is sent again as it was. */
  #upTo: number | undefined;

  constructor(
    private callback: Callback,
    private readonly feed: Feed,
    private readonly parts: CallbackParts,
  ) {
    this.#sender = new CallbackSender(parts.targets, parts.clock);
    this.#pump = new Pump(parts.clock, REST_MS, () => this.#drain());
    this.update(callback);
  }

  /** Goes on with what the channel is set to now. */
  update(callback: Callback): void {
    this.callback = callback;
    const { failingSince, nextTryAt, tries } = callback;
    this.#failures =
      failingSince && nextTryAt
        ? { tries, since: failingSince.getTime(), nextTryAt: nextTryAt.getTime() }
        : null;
    this.wake();
  }

  wake(): void {
    const now = this.parts.clock.now();
    if (!this.#failures || this.#failures.nextTryAt <= now) this.#pump.wake();
    else this.#wakeIn(this.#failures.nextTryAt - now);
  }

  #wakeIn(delayMs: number): void {
    this.#retry?.cancel();
    // A timer may run a little before its time: whether it is time is looked at again.
    if (!this.#stopped) this.#retry = this.parts.clock.after(delayMs, () => this.wake());
  }

  /** Ends it; what is under way is cut after some time. */
  async stop(graceMs = 0): Promise<void> {
    this.#stopped = true;
    this.#retry?.cancel();
    const timer = this.parts.clock.after(graceMs, () => this.#sender.close());
    await this.#pump.stop();
    timer.cancel();
    this.#sender.close();
  }

  async #drain(): Promise<void> {
    const { log } = this.parts;
    try {
      while (!this.#stopped && (this.#failures?.nextTryAt ?? 0) <= this.parts.clock.now()) {
        const batch = await this.#next();
        if (!batch || this.#stopped) return;
        await this.#deliver(batch);
      }
    } catch (error) {
      log.error({ err: error, ownerId: this.feed.owner.ownerId }, "a callback could not be served");
      this.#wakeIn(FAULT_MS);
    }
  }

  async #next(): Promise<Batch | null> {
    const look = this.callback.serialization;
    const again = this.#upTo === undefined ? null : await this.feed.next(this.feed.taken, look, this.#upTo);
    this.#upTo = undefined;
    return again ?? (await this.feed.next(this.feed.taken, look));
  }

  async #deliver(batch: Batch): Promise<void> {
    const { ownerId } = this.feed.owner;
    const id = `msg_${ownerId}_${batch.first}_${batch.last}`;
    const result = await this.#sender.put(this.callback, id, batch.message(), DELIVERY_TIMEOUT_MS);
    if (!result.error) {
      this.feed.take(batch.last);
      if (this.#failures) this.#note(null);
    } else if (this.#stopped) {
      return;
    } else {
      this.#upTo = batch.last;
      await this.#failed();
    }
    this.#log(batch, result);
  }

  async #failed(): Promise<void> {
    const { clock, ctx, log } = this.parts;
    const now = clock.now();
    const { tries, since } = this.#failures ?? { tries: 0, since: now };
    const backOff = Math.min(MAX_BACK_OFF_MS, 1000 * 2 ** Math.min(tries, 20));
    this.#note({ tries: tries + 1, since, nextTryAt: now + backOff });
    this.wake();
    const { owner } = this.feed;
    if (now - since < GIVE_UP_MS) return;
    if (await expireChannel(ctx, owner, { failingSince: new Date(now - GIVE_UP_MS) }))
      log.warn({ ownerId: owner.ownerId }, "a callback that failed for a day was deleted");
  }

  #note(failures: Failures | null): void {
    this.#failures = failures;
    this.parts.commit.note(callbackStatement, {
      ownerId: this.feed.owner.ownerId,
      failingSince: failures?.since ?? null,
      nextTryAt: failures?.nextTryAt ?? null,
      tries: failures?.tries ?? 0,
    });
  }

  #log({ size }: Batch, { status, error, durationMs }: CallbackResult): void {
    const { commit, clock } = this.parts;
    const { ownerId } = this.feed.owner;
    const at = clock.now();
    commit.note(deliveryStatement, { id: newId(at), ownerId, at, status, durationMs, items: size, error });
    commit.note(pruneDeliveriesStatement, { ownerId });
  }
}
