export { connectBus, type LocalBusClient } from "./client";
export * from "./messages";
export { busPath } from "./path";
export { type BusHandlers, type BusServer, serveBus } from "./server";
