import type { BusEvent } from "@/server/bus/messages";
import type { Timer } from "@/server/clock";
import type { Logger } from "@/server/log";
import { hashKey } from "@/server/services/api-keys/key";
import { type Standing, standingOf } from "@/server/services/channels/standing";
import type { Context } from "@/server/services/context";
import { bearerKey } from "../authorization";

/** Keys that another process changed are noticed after this time. */
const RECHECK_MS = 20_000;
/** Several changes in a row are looked at together. */
const GATHER_MS = 50;
const CHUNK = 500;

/** Tells what was opened with a key when the key is no longer what it was. */
export class KeyWatch {
  readonly #watched = new Map<string, Set<(standing: Standing) => void>>();
  #timer: Timer;
  #closed = false;

  constructor(
    private readonly ctx: Context,
    private readonly log: Logger,
  ) {
    this.#timer = this.#arm(RECHECK_MS);
  }

  /** Calls `onchange` when the key of an Authorization header is no longer active, until called off. */
  watch(hash: string, onchange: (standing: Standing) => void): () => void {
    let all = this.#watched.get(hash);
    if (!all) this.#watched.set(hash, (all = new Set()));
    all.add(onchange);
    return () => {
      all.delete(onchange);
      if (all.size === 0) this.#watched.delete(hash);
    };
  }

  /** Looks again soon when an event may be about keys. */
  hear(event: BusEvent): void {
    if (event.kind === "channel" || (event.kind === "event" && event.event.category === "access")) {
      this.#timer.cancel();
      this.#timer = this.#arm(GATHER_MS);
    }
  }

  /** Looks at keys now, by default at every one. */
  async check(hashes: readonly string[] = [...this.#watched.keys()]): Promise<void> {
    for (let at = 0; at < hashes.length; at += CHUNK) {
      for (const [hash, standing] of await standingOf(this.ctx, hashes.slice(at, at + CHUNK)))
        if (!standing.active) for (const onchange of [...(this.#watched.get(hash) ?? [])]) onchange(standing);
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer.cancel();
  }

  #arm(delayMs: number): Timer {
    return this.ctx.clock.after(delayMs, () => {
      this.check()
        .catch((error: unknown) => this.log.error({ err: error }, "keys could not be checked"))
        .finally(() => {
          if (!this.#closed) this.#timer = this.#arm(RECHECK_MS);
        });
    });
  }
}

/** What a key is known by after the request that brought it. */
export const keyHash = (authorization: string | null): string => hashKey(bearerKey(authorization) ?? "");
