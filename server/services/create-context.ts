import { type Clock, systemClock } from "@/server/clock";
import type { Config } from "@/server/config";
import type { PrismaClient } from "@/server/db";
import { createVault } from "@/server/pki";
import type { Actor, BusClient, Context, Vault } from "./context";

/** Puts together what verbs need; by default the service itself acts. */
export function createContext(parts: {
  config: Config;
  db: PrismaClient;
  bus: BusClient;
  clock?: Clock;
  vault?: Vault;
  actor?: Actor;
}): Context {
  return {
    db: parts.db,
    bus: parts.bus,
    clock: parts.clock ?? systemClock,
    vault: parts.vault ?? createVault(parts.config),
    actor: parts.actor ?? { kind: "system" },
  };
}

/** The same context with somebody else acting. */
export function actAs(ctx: Context, actor: Actor): Context {
  return { ...ctx, actor };
}
