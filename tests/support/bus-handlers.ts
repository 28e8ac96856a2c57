import type { BusHandlers } from "@/server/bus";
import { gatewayRequests } from "@/server/bus/messages";

/** A gateway that nobody is meant to ask; tests put their own answers over it. */
export const unasked = Object.fromEntries(
  Object.keys(gatewayRequests).map((op) => [
    op,
    () => {
      throw new Error(`${op} is not asked here`);
    },
  ]),
) as unknown as BusHandlers;
