import { z } from "zod";
import { comparePaths, isResourcePath, objectDefinition, parentPath, parsePath } from "@/server/lwm2m";
import { type Context, memberAccount } from "../context";
import { ServiceError } from "../errors";
import { idInput, validate } from "../validate";
import { readLinks } from "./links";

/** A registered device, as Connect lists it. */
export interface Endpoint {
  id: string;
  endpointType: string;
  queueMode: boolean;
}

export const listEndpointsInput = z.object({ endpointType: z.string().max(64).optional() });

/** The devices of the account that are registered now, in the order in which they were made. */
export async function listEndpoints(
  ctx: Context,
  input: z.input<typeof listEndpointsInput> = {},
): Promise<Endpoint[]> {
  const accountId = memberAccount(ctx.actor);
  const { endpointType } = validate(listEndpointsInput, input);
  const rows = await ctx.db.registration.findMany({
    where: {
      accountId,
      expiresAt: { gt: new Date(ctx.clock.now()) },
      ...(endpointType !== undefined && { device: { endpointType } }),
    },
    orderBy: { deviceId: "asc" },
    select: { deviceId: true, queueMode: true, device: { select: { endpointType: true } } },
  });
  return rows.map(({ deviceId, queueMode, device }) => ({
    id: deviceId,
    endpointType: device.endpointType,
    queueMode,
  }));
}

/** A resource, or object instance, of a registered device. */
export interface EndpointResource {
  path: string;
  resourceType: string;
  observable: boolean;
  /** Content format number; null when the device does not say. */
  contentFormat: number | null;
}

export const listEndpointResourcesInput = idInput;

/**
 * What a registered device presented at its registration; it is not asked. Standard clients present object instances
 * only: of those, the resources that their definition demands, and those that a value is known of, are listed as well.
 */
export async function listEndpointResources(
  ctx: Context,
  input: z.input<typeof listEndpointResourcesInput>,
): Promise<EndpointResource[]> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(listEndpointResourcesInput, input);
  const device = await ctx.db.device.findFirst({
    where: { id, accountId },
    select: {
      registration: { select: { objectLinks: true, lwm2mVersion: true, expiresAt: true } },
      values: { select: { path: true } },
    },
  });
  const registration = device?.registration;
  if (!registration || registration.expiresAt.getTime() <= ctx.clock.now())
    throw new ServiceError("not_found", "The device is not registered.");
  const links = readLinks(registration);
  if (!links) return [];
  // Whoever decorates resources with `obs` means that the others cannot be observed.
  const decorated = links.entries.some(({ attributes }) => attributes.has("obs"));
  const operationsOf = (ids: readonly number[]) => {
    const [objectId = 0, , resourceId = 0] = ids;
    return objectDefinition(objectId, links.objects.get(objectId))?.resources.get(resourceId)?.operations;
  };
  const resources = new Map<string, EndpointResource>();
  /** Presented without resources. */
  const instances = new Set<string>();
  for (const { path, attributes } of links.entries) {
    const ids = parsePath(path) ?? [];
    if (ids.length < 2) continue;
    if (ids.length === 2) instances.add(path);
    const format = attributes.get("ct");
    resources.set(path, {
      path,
      resourceType: attributes.get("rt") ?? "",
      observable: decorated
        ? attributes.has("obs")
        : ids.length === 2 || (operationsOf(ids) ?? "R").includes("R"),
      contentFormat: format && /^\d{1,5}$/.test(format) ? Number(format) : null,
    });
  }
  for (const path of resources.keys()) if (isResourcePath(path)) instances.delete(parentPath(path));
  const implied = [...instances].flatMap((path) => {
    const [objectId = 0] = parsePath(path) ?? [];
    const definition = objectDefinition(objectId, links.objects.get(objectId));
    return [...(definition?.resources ?? [])].flatMap(([resourceId, { mandatory }]) =>
      mandatory ? [`${path}/${resourceId}`] : [],
    );
  });
  const known = (device.values ?? []).flatMap(({ path }) => {
    const ids = parsePath(path) ?? [];
    const resource = `/${ids.slice(0, 3).join("/")}`;
    return isResourcePath(resource) && instances.has(parentPath(resource)) ? [resource] : [];
  });
  for (const path of [...implied, ...known]) {
    if (resources.has(path)) continue;
    const observable = (operationsOf(parsePath(path) ?? []) ?? "R").includes("R");
    resources.set(path, { path, resourceType: "", observable, contentFormat: null });
  }
  return [...resources.values()].sort((a, b) => comparePaths(a.path, b.path));
}
