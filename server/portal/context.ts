import type { Actor, Context } from "@/server/services/context";
import { ServiceError } from "@/server/services/errors";
import { isServiceError } from "./errors";
import { type PortalRuntime, runtime } from "./runtime";

/** What verbs need, with this actor, from what the portal process started. */
export function contextFor(actor: Actor): Context {
  const { db, bus, clock, vault } = runtime();
  return { db, clock, vault, actor, bus: own(bus) };
}

// The bus lives in portal.js; its errors are made anew here so that `instanceof` holds for the verbs of this bundle.
const own = (bus: PortalRuntime["bus"]): Context["bus"] => ({
  publish: (message) => bus.publish(message),
  request: (op, input) =>
    bus.request(op, input).catch((error: unknown) => {
      throw isServiceError(error) ? new ServiceError(error.code, error.message, error.fields) : error;
    }),
});
