import type { z } from "zod";
import { type ResourceValue, resourceValue } from "@/server/bus/messages";
import { mayHave, type ObjectLinks, objectDefinition, parsePath } from "@/server/lwm2m";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { idInput, validate } from "../validate";
import { readLinks } from "./links";
import type { KnownValue, ObjectNode, ResourceNode, ResourceTree } from "./resource-tree";

export type { ObjectNode, ResourceTree } from "./resource-tree";

export const getResourcesInput = idInput;

/**
 * What the device has, as far as it and the object definitions tell, with the last known values. The device is not
 * asked; without a registration there is what values are known of it. While it is registered, older values of what it
 * has no longer are left out.
 */
export async function getResources(
  ctx: Context,
  input: z.input<typeof getResourcesInput>,
): Promise<ResourceTree> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(getResourcesInput, input);
  const device = await ctx.db.device.findFirst({
    where: { id, accountId },
    select: {
      registration: {
        select: { objectLinks: true, lwm2mVersion: true, rootPath: true, registeredAt: true },
      },
      values: { select: { path: true, value: true, at: true, source: true } },
      observations: { select: { path: true } },
    },
  });
  if (!device) throw notFound("Device");
  const { registration } = device;
  const links = registration && readLinks(registration);
  const registeredAt = registration?.registeredAt.getTime() ?? 0;
  return {
    registered: registration !== null,
    rootPath: registration?.rootPath ?? "/",
    objects: buildTree(
      links,
      device.values.flatMap((row) => {
        const at = row.at.getTime();
        if (links && at < registeredAt && !mayHave(links, row.path)) return [];
        const value = readValue(row.value);
        const source = row.source as KnownValue["source"];
        return value ? [{ path: row.path, known: { value, at, source } }] : [];
      }),
      new Set(device.observations.map(({ path }) => path)),
    ),
  };
}

function readValue(text: string): ResourceValue | null {
  const parsed = resourceValue.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : null;
}

type Attributes = ReadonlyMap<string, string | null>;

/** Joins links, definitions, values and observations; exported for its tests. */
export function buildTree(
  links: Pick<ObjectLinks, "entries" | "objects"> | null,
  values: readonly { path: string; known: KnownValue }[],
  observed: ReadonlySet<string>,
): ObjectNode[] {
  const objects = new Map<number, Map<number, Map<number, Attributes | null>>>();
  const instanceOf = (objectId: number, instanceId: number) => {
    const instances = objects.get(objectId) ?? new Map<number, Map<number, Attributes | null>>();
    objects.set(objectId, instances);
    const resources = instances.get(instanceId) ?? new Map<number, Attributes | null>();
    instances.set(instanceId, resources);
    return resources;
  };
  for (const { path, attributes } of links?.entries ?? []) {
    const [objectId, instanceId, resourceId] = parsePath(path) ?? [];
    if (objectId === undefined) continue;
    if (!objects.has(objectId)) objects.set(objectId, new Map());
    if (instanceId === undefined) continue;
    const resources = instanceOf(objectId, instanceId);
    if (resourceId !== undefined) resources.set(resourceId, attributes);
  }
  // Whoever decorates resources with `obs` means that the others cannot be observed.
  const decorated = links?.entries.some(({ attributes }) => attributes.has("obs")) ?? false;
  // An instance that was presented without resources may have all that its definition names.
  const bare = new Set<Map<number, Attributes | null>>();
  for (const instances of objects.values())
    for (const resources of instances.values()) if (resources.size === 0) bare.add(resources);

  const known = new Map<string, KnownValue>();
  const items = new Map<string, ResourceNode["items"]>();
  for (const { path, known: value } of values) {
    const ids = parsePath(path);
    const [objectId, instanceId, resourceId, itemId] = ids ?? [];
    if (objectId === undefined || instanceId === undefined || resourceId === undefined) continue;
    const resources = instanceOf(objectId, instanceId);
    if (!resources.has(resourceId)) resources.set(resourceId, null);
    if (itemId === undefined) known.set(path, value);
    else {
      const parent = `/${objectId}/${instanceId}/${resourceId}`;
      items.set(parent, [...(items.get(parent) ?? []), { ...value, path, id: itemId }]);
    }
  }

  const ascending = <T>(map: ReadonlyMap<number, T>) => [...map].sort(([a], [b]) => a - b);
  return ascending(objects).map(([objectId, instances]) => {
    const version = links?.objects.get(objectId) ?? null;
    const definition = objectDefinition(objectId, version ?? undefined);
    const isObserved = (path: string) =>
      observed.has(path) ||
      observed.has(path.slice(0, path.lastIndexOf("/"))) ||
      observed.has(`/${objectId}`);
    return {
      id: objectId,
      name: definition?.name ?? `Object ${objectId}`,
      version,
      defined: definition !== null,
      instances: ascending(instances).map(([instanceId, resources]) => {
        const instancePath = `/${objectId}/${instanceId}`;
        const present = new Set(resources.keys());
        const all = new Map(resources);
        if (bare.has(resources) && definition)
          for (const resourceId of definition.resources.keys())
            if (!all.has(resourceId)) all.set(resourceId, null);
        return {
          id: instanceId,
          path: instancePath,
          observed: isObserved(instancePath),
          resources: ascending(all).map(([resourceId, attributes]): ResourceNode => {
            const path = `${instancePath}/${resourceId}`;
            const facts = definition?.resources.get(resourceId);
            const operations = facts?.operations ?? "RWE";
            return {
              path,
              id: resourceId,
              name: facts?.name ?? `Resource ${resourceId}`,
              operations,
              type: facts?.type ?? null,
              units: facts?.units || null,
              multiple: facts?.multiple ?? items.has(path),
              mandatory: facts?.mandatory ?? false,
              presented: present.has(resourceId),
              observable: decorated ? (attributes?.has("obs") ?? false) : operations.includes("R"),
              observed: isObserved(path),
              automatic: attributes?.has("aobs") ?? false,
              value: known.get(path) ?? null,
              items: (items.get(path) ?? []).sort((a, b) => a.id - b.id),
            };
          }),
        };
      }),
    };
  });
}
