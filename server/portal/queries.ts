import { z } from "zod";
import { getAccountSettings } from "@/server/services/accounts/settings";
import { listApiKeys } from "@/server/services/api-keys/list";
import { listCertificates } from "@/server/services/certificates/list";
import type { Context } from "@/server/services/context";
import { getDevice, getDeviceInput } from "@/server/services/devices/get";
import { listDevices, listDevicesInput } from "@/server/services/devices/list";
import { getResources, getResourcesInput } from "@/server/services/devices/resources";
import { listEvents, listEventsInput } from "@/server/services/events/list";
import { getOverview } from "@/server/services/overview/get";
import { serverFacts } from "./server-facts";
import type { Wire } from "./wire";

interface Query<S extends z.ZodType, T> {
  input: S;
  run(ctx: Context, input: z.output<S>): Promise<T>;
}

const query = <S extends z.ZodType, T>(
  input: S,
  run: (ctx: Context, input: z.output<S>) => Promise<T>,
): Query<S, T> => ({
  input,
  run,
});
const nothing = z.object({});

/** Recent events are of several devices, and an ID says nothing to a person. */
async function overviewWithNames(ctx: Context) {
  const overview = await getOverview(ctx);
  const ids = new Set(overview.recentEvents.flatMap(({ deviceId }) => deviceId ?? []));
  const devices = await Promise.all([...ids].map((id) => getDevice(ctx, { id }).catch(() => null)));
  const deviceNames: Record<string, string> = {};
  for (const device of devices) if (device) deviceNames[device.id] = device.name || device.endpointName;
  return { ...overview, deviceNames };
}

/** Everything that pages read, by name: rendered on the server first, then asked again through /data/NAME. */
export const queries = {
  overview: query(nothing, overviewWithNames),
  certificates: query(nothing, (ctx) => listCertificates(ctx)),
  devices: query(listDevicesInput, listDevices),
  device: query(getDeviceInput, getDevice),
  resources: query(getResourcesInput, getResources),
  events: query(listEventsInput, listEvents),
  settings: query(nothing, (ctx) => getAccountSettings(ctx)),
  keys: query(nothing, (ctx) => listApiKeys(ctx)),
  server: query(nothing, serverFacts),
} as const;

export type QueryName = keyof typeof queries;
export type QueryInput<K extends QueryName> = z.input<(typeof queries)[K]["input"]>;
export type QueryOutput<K extends QueryName> = Wire<Awaited<ReturnType<(typeof queries)[K]["run"]>>>;
