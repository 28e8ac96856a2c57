import type { BusEvent } from "@/server/bus/messages";
import type { Timer } from "@/server/clock";
import type { Logger } from "@/server/log";
import { hashKey } from "@/server/services/api-keys/key";
import type { Owner } from "@/server/services/channels/announce";
import { type Standing, standingOf } from "@/server/services/channels/standing";
import type { Context } from "@/server/services/context";
import { bearerKey } from "../authorization";

/** Keys that another process changed are noticed after this time. */
const RECHECK_MS = 20_000;
/** Several changes in a row are looked at together. */
const GATHER_MS = 50;
const CHUNK = 500;

/** What was opened with a key. */
export interface Opened extends Owner {
  keyHash: string;
}

interface Watched extends Opened {
  listeners: Set<(standing: Standing) => void>;
}

/** Tells what was opened with a key when the key is no longer what it was. */
export class KeyWatch {
  readonly #watched = new Map<string, Watched>();
  /** Accounts and owners whose keys are to be looked at soon. */
  readonly #changed = new Set<string>();
  #gathering: Timer | null = null;
  #recheck: Timer;
  #closed = false;

  constructor(
    private readonly ctx: Context,
    private readonly log: Logger,
  ) {
    this.#recheck = this.#arm();
  }

  /** Calls `onchange` when the key is no longer active, until called off. */
  watch({ keyHash, accountId, ownerId }: Opened, onchange: (standing: Standing) => void): () => void {
    let watched = this.#watched.get(keyHash);
    if (!watched)
      this.#watched.set(keyHash, (watched = { keyHash, accountId, ownerId, listeners: new Set() }));
    const { listeners } = watched;
    listeners.add(onchange);
    return () => {
      listeners.delete(onchange);
      if (listeners.size === 0 && this.#watched.get(keyHash) === watched) this.#watched.delete(keyHash);
    };
  }

  /** Looks soon at the keys that an event may be about. */
  hear(event: BusEvent): void {
    if (event.kind === "channel") this.#changed.add(event.ownerId);
    else if (event.kind === "event" && event.event.category === "access" && event.accountId)
      this.#changed.add(event.accountId);
    else return;
    this.#gathering ??= this.ctx.clock.after(GATHER_MS, () => {
      this.#gathering = null;
      const changed = new Set(this.#changed);
      this.#changed.clear();
      const hashes = [...this.#watched.values()]
        .filter(({ accountId, ownerId }) => changed.has(accountId) || changed.has(ownerId))
        .map(({ keyHash }) => keyHash);
      void this.#try(hashes);
    });
  }

  /** Looks at keys now, by default at every one. */
  async check(hashes: readonly string[] = [...this.#watched.keys()]): Promise<void> {
    for (let at = 0; at < hashes.length; at += CHUNK) {
      for (const [hash, standing] of await standingOf(this.ctx, hashes.slice(at, at + CHUNK)))
        if (!standing.active)
          for (const onchange of [...(this.#watched.get(hash)?.listeners ?? [])]) onchange(standing);
    }
  }

  close(): void {
    this.#closed = true;
    this.#recheck.cancel();
    this.#gathering?.cancel();
  }

  async #try(hashes?: readonly string[]): Promise<void> {
    try {
      await this.check(hashes);
    } catch (error) {
      this.log.error({ err: error }, "keys could not be checked");
    }
  }

  #arm(): Timer {
    return this.ctx.clock.after(RECHECK_MS, async () => {
      await this.#try();
      if (!this.#closed) this.#recheck = this.#arm();
    });
  }
}

/** What a key is known by after the request that brought it. */
export const keyHash = (authorization: string | null): string => hashKey(bearerKey(authorization) ?? "");
