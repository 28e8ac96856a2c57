import type { LocalBusClient } from "@/server/bus";
import type { BusEvent } from "@/server/bus/messages";
import type { PortalBus } from "./runtime";

/** The gateway does not send our own events back, and our own pages want them too. */
export function withEcho(bus: LocalBusClient): PortalBus {
  const listeners = new Set<(event: BusEvent) => void>();
  return {
    request: (op, input) => bus.request(op, input),
    watch: (accounts) => bus.watch(accounts),
    publish(event) {
      bus.publish(event);
      for (const listener of listeners) listener(event);
    },
    subscribe(listener) {
      listeners.add(listener);
      const unsubscribe = bus.subscribe(listener);
      return () => {
        listeners.delete(listener);
        unsubscribe();
      };
    },
  };
}
