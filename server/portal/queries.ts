import { z } from "zod";
import { getAccountSettings } from "@/server/services/accounts/settings";
import { listApiKeys } from "@/server/services/api-keys/list";
import { searchAccessKeys, searchApplications } from "@/server/services/applications/search";
import { listCertificates } from "@/server/services/certificates/list";
import {
  listAccountChannels,
  listDeliveries,
  listDeliveriesInput,
} from "@/server/services/channels/of-account";
import type { Context } from "@/server/services/context";
import { getDevice, getDeviceInput } from "@/server/services/devices/get";
import { getDeviceInterest, getDeviceInterestInput } from "@/server/services/devices/interest";
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

const ALL = { limit: 1000, order: "DESC" } as const;

/** Applications with their keys and how they are told of things, the newest first. */
async function applicationsWithKeys(ctx: Context) {
  const [applications, keys, channels] = await Promise.all([
    searchApplications(ctx, ALL),
    searchAccessKeys(ctx, ALL),
    listAccountChannels(ctx),
  ]);
  return applications.rows.map((application) => ({
    ...application,
    keys: keys.rows.filter(({ applicationId }) => applicationId === application.id),
    channel: channels.find(({ ownerId }) => ownerId === application.id) ?? null,
  }));
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
  applications: query(nothing, applicationsWithKeys),
  channels: query(nothing, (ctx) => listAccountChannels(ctx)),
  deliveries: query(listDeliveriesInput, listDeliveries),
  interest: query(getDeviceInterestInput, getDeviceInterest),
  server: query(nothing, serverFacts),
} as const;

export type QueryName = keyof typeof queries;
export type QueryInput<K extends QueryName> = z.input<(typeof queries)[K]["input"]>;
export type QueryOutput<K extends QueryName> = Wire<Awaited<ReturnType<(typeof queries)[K]["run"]>>>;
