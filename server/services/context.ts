import type { Clock } from "../clock";
import type { PrismaClient } from "../db";
import { ServiceError } from "./errors";

/** What a key may be restricted to. */
export const scopes = ["read", "connect", "manage", "credentials"] as const;
export type Scope = (typeof scopes)[number];

/** Who does it. */
export type Actor =
  | { kind: "user"; id: string; accountId: string; role: "administrator" | "developer"; email: string }
  | {
      kind: "apiKey";
      id: string;
      accountId: string;
      name: string;
      role?: "administrator" | "developer";
      /** The application it is an access key of. */
      applicationId?: string | null;
      /** What it may do; absent: everything its role may. */
      scopes?: readonly Scope[];
    }
  | { kind: "device"; id: string; accountId: string }
  /** Somebody with a shell on the server, acting in an account. */
  | { kind: "operator"; accountId: string }
  | { kind: "system" };

/** What every verb gets beside its input. */
export interface Context {
  db: PrismaClient;
  clock: Clock;
  actor: Actor;
  /** Tells the other process; never throws, a process that is down is told when it comes back. */
  bus: BusClient;
  /** Seals secrets at rest. */
  vault: Vault;
  /** The request it is done for, as the audit log and the application know it. */
  requestId?: string;
}

/** The part of the bus that verbs use (server/bus). */
export interface BusClient {
  /** Asks the gateway to do something with a device; throws ServiceError "unavailable" when it is down. */
  request<K extends keyof import("../bus/messages").GatewayRequests>(
    op: K,
    input: import("../bus/messages").GatewayRequests[K]["input"],
  ): Promise<import("../bus/messages").GatewayRequests[K]["output"]>;
  publish(message: import("../bus/messages").BusEvent): void;
}

/** Authenticated encryption with a key outside the database (server/pki/vault.ts). */
export interface Vault {
  seal(plain: Uint8Array, purpose: string): Uint8Array;
  open(sealed: Uint8Array, purpose: string): Uint8Array;
}

/** The account the actor acts in. */
export function accountOf(actor: Actor): string {
  if (actor.kind === "system") throw new ServiceError("forbidden", "This needs an account.");
  return actor.accountId;
}

/** The account of a person or their key; the first line of every verb that people use. */
export function memberAccount(actor: Actor): string {
  if (actor.kind === "device") throw new ServiceError("forbidden", "A device may not do this.");
  return accountOf(actor);
}

export const isAdministrator = (actor: Actor): boolean =>
  actor.kind === "operator" ||
  ((actor.kind === "user" || actor.kind === "apiKey") && actor.role === "administrator");

/** The same where only an administrator may do it, or somebody with a shell on the server. */
export function requireAdministrator(actor: Actor): string {
  const accountId = memberAccount(actor);
  if (!isAdministrator(actor)) throw new ServiceError("forbidden", "Only an administrator may do this.");
  return accountId;
}

/** Lets only the service itself pass; the first line of verbs that read secrets or every account. */
export function requireSystem(actor: Actor): void {
  if (actor.kind !== "system") throw new ServiceError("forbidden", "Only the service itself may do this.");
}

/** Whose subscriptions and notification channel an actor uses: the application of its key, or the key itself. */
export function ownerOf(actor: Actor): { accountId: string; ownerId: string } {
  if (actor.kind !== "apiKey")
    throw new ServiceError("forbidden", "Notification channels belong to applications and API keys.");
  return { accountId: actor.accountId, ownerId: actor.applicationId ?? actor.id };
}

/** How an actor is written into events and audit rows. */
export function actorLabel(actor: Actor): string {
  switch (actor.kind) {
    case "user":
      return `user:${actor.email}`;
    case "apiKey":
      return `key:${actor.name}`;
    case "device":
      return "device";
    case "operator":
      return "operator";
    case "system":
      return "system";
  }
}
