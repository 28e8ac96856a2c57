import type { BusEvent, GatewayOp, GatewayRequests } from "@/server/bus/messages";
import type { Transaction } from "@/server/db";
import type { Context } from "./context";
import { ServiceError } from "./errors";

/**
 * Runs a change and tells listeners of it once it is committed.
 * The first statement must be a write: SQLite cannot turn a read into a write while another process wrote.
 */
export async function transaction<T>(
  ctx: Context,
  run: (tx: Transaction, tell: (message: BusEvent) => void) => Promise<T>,
): Promise<T> {
  const messages: BusEvent[] = [];
  const result = await ctx.db.$transaction((tx) => run(tx, (message) => messages.push(message)));
  for (const message of messages) ctx.bus.publish(message);
  return result;
}

/** Asks the gateway for something that it also finds in the database when it starts; null when it is down. */
export async function tellGateway<K extends GatewayOp>(
  ctx: Context,
  op: K,
  input: GatewayRequests[K]["input"],
): Promise<GatewayRequests[K]["output"] | null> {
  try {
    return await ctx.bus.request(op, input);
  } catch (error) {
    if (error instanceof ServiceError && error.code === "unavailable") return null;
    throw error;
  }
}

/** A row of the same unique value is there already. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === "P2002";
}
