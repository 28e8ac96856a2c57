import { z } from "zod";
import { searchAccounts } from "@/server/services/accounts/list";
import { getAccountSettings } from "@/server/services/accounts/settings";
import { listApiKeys } from "@/server/services/api-keys/list";
import { searchAccessKeys, searchApplications } from "@/server/services/applications/search";
import { auditFacets } from "@/server/services/audit/facets";
import { namesOf } from "@/server/services/audit/names";
import { searchAuditLog } from "@/server/services/audit/search";
import { listCertificates } from "@/server/services/certificates/list";
import {
  listAccountChannels,
  listDeliveries,
  listDeliveriesInput,
} from "@/server/services/channels/of-account";
import type { Context } from "@/server/services/context";
import { searchDeviceGroups } from "@/server/services/device-groups/search";
import { getDevice, getDeviceInput } from "@/server/services/devices/get";
import { getDeviceInterest, getDeviceInterestInput } from "@/server/services/devices/interest";
import { listDevices, listDevicesInput } from "@/server/services/devices/list";
import { getResources, getResourcesInput } from "@/server/services/devices/resources";
import { listEnrollmentJobs } from "@/server/services/enrollments/jobs";
import { searchEnrollments } from "@/server/services/enrollments/search";
import { listEvents, listEventsInput } from "@/server/services/events/list";
import { getOverview } from "@/server/services/overview/get";
import { searchInvitations } from "@/server/services/users/invitations";
import { searchUsers } from "@/server/services/users/search";
import { idField } from "@/server/services/validate";
import { reference } from "./reference/read";
import { runtime } from "./runtime";
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

/** Channels, and of WebSockets whether they are open. */
const channelsNow = async (ctx: Context) =>
  (await listAccountChannels(ctx)).map((channel) => ({
    ...channel,
    connected: channel.kind === "WEB_SOCKET" && runtime().isConnected(channel.ownerId),
  }));

const ALL = { limit: 1000, order: "DESC" } as const;

/** Applications with their keys and how they are told of things, the newest first. */
async function applicationsWithKeys(ctx: Context) {
  const [applications, keys, channels] = await Promise.all([
    searchApplications(ctx, ALL),
    searchAccessKeys(ctx, ALL),
    channelsNow(ctx),
  ]);
  return applications.rows.map((application) => ({
    ...application,
    keys: keys.rows.filter(({ applicationId }) => applicationId === application.id),
    channel: channels.find(({ ownerId }) => ownerId === application.id) ?? null,
  }));
}

/** The people of the account, and until when the links work of those who have not come yet. */
async function usersWithInvitations(ctx: Context) {
  const [users, invitations] = await Promise.all([
    searchUsers(ctx, { limit: 1000 }),
    searchInvitations(ctx, { limit: 1000 }),
  ]);
  return users.rows.map((user) => ({
    ...user,
    invitedUntil: invitations.rows.find(({ userId }) => userId === user.id)?.expiresAt ?? null,
  }));
}

const auditInput = z.object({
  objectType: z.string().max(100).optional(),
  actor: z.string().max(400).optional(),
  objectId: z.string().max(64).optional(),
  from: z.iso.datetime().optional(),
  to: z.iso.datetime().optional(),
  after: idField.optional(),
});

const ID = /^[0-9a-f]{32}$/;

/** A page of the audit log as its filters say, the newest first, and what the things in it are called. */
async function auditLog(ctx: Context, { after, ...given }: z.output<typeof auditInput>) {
  const conditions = [
    ["object_type", "eq", given.objectType],
    ["actor", "eq", given.actor],
    ["object_id", "eq", given.objectId],
    ["created_at", "gte", given.from],
    ["created_at", "lte", given.to],
  ] as const;
  const { rows, more } = await searchAuditLog(ctx, {
    filters: conditions.flatMap(([field, operator, value]) => (value ? [{ field, operator, value }] : [])),
    order: "DESC",
    after,
  });
  const ids = rows.flatMap(({ objectId, before: was, after: is }) => [
    objectId,
    ...Object.values({ ...was, ...is }).filter((value) => typeof value === "string" && ID.test(value)),
  ]);
  return { rows, more, names: await namesOf(ctx, ids as string[]) };
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
  channels: query(nothing, channelsNow),
  deliveries: query(listDeliveriesInput, listDeliveries),
  enrollments: query(z.object({ after: idField.optional() }), (ctx, { after }) =>
    searchEnrollments(ctx, { after, order: "DESC" }),
  ),
  enrollmentJobs: query(nothing, (ctx) => listEnrollmentJobs(ctx)),
  groups: query(nothing, async (ctx) => (await searchDeviceGroups(ctx, { limit: 1000 })).rows),
  interest: query(getDeviceInterestInput, getDeviceInterest),
  users: query(nothing, usersWithInvitations),
  accounts: query(nothing, async (ctx) => (await searchAccounts(ctx, { limit: 1000 })).rows),
  audit: query(auditInput, auditLog),
  auditFacets: query(nothing, (ctx) => auditFacets(ctx)),
  operations: query(nothing, async () =>
    reference().reference.groups.flatMap(({ tag, operations }) =>
      operations.map(({ id, method, path, summary }) => ({
        id,
        method,
        path,
        summary: summary.replaceAll("`", ""),
        tag,
      })),
    ),
  ),
  server: query(nothing, serverFacts),
} as const;

export type QueryName = keyof typeof queries;
export type QueryInput<K extends QueryName> = z.input<(typeof queries)[K]["input"]>;
export type QueryOutput<K extends QueryName> = Wire<Awaited<ReturnType<(typeof queries)[K]["run"]>>>;
