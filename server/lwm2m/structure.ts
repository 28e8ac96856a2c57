import { objectDefinition } from "./definitions";
import type { ObjectLinks } from "./links";
import { comparePaths, isWithin, type Path, parentPath, parsePath } from "./paths";

/** An object instance, resource or resource instance that a device presents, or surely has. */
export interface PresentedNode {
  path: Path;
  /** Attribute rt; "" when there is none. */
  resourceType: string;
  /** Attribute if; "" when there is none. */
  interfaces: string;
  observable: boolean;
  /** Content format number; null when the device does not say. */
  contentFormat: number | null;
}

type Presented = Pick<ObjectLinks, "entries" | "objects">;

/**
 * What a device presented, in the order of the paths. Standard clients present object instances only: of those, the
 * resources that their definition demands are listed as well, and those in `known`, of which there is a value.
 */
export function presentedNodes(links: Presented, known: Iterable<Path> = []): PresentedNode[] {
  // Whoever decorates resources with `obs` means that the others cannot be observed.
  const decorated = links.entries.some(({ attributes }) => attributes.has("obs"));
  const nodes = new Map<Path, PresentedNode>();
  for (const { path, attributes } of links.entries) {
    const ids = parsePath(path) ?? [];
    if (ids.length < 2) continue;
    const format = attributes.get("ct");
    nodes.set(path, {
      path,
      resourceType: attributes.get("rt") ?? "",
      interfaces: attributes.get("if") ?? "",
      observable: decorated ? attributes.has("obs") : ids.length === 2 || isReadable(links, ids),
      contentFormat: format && /^\d{1,5}$/.test(format) ? Number(format) : null,
    });
  }
  const bare = bareInstances(links);
  const imply = (path: Path) => {
    if (nodes.has(path)) return;
    const observable = isReadable(links, parsePath(path) ?? []);
    nodes.set(path, { path, resourceType: "", interfaces: "", observable, contentFormat: null });
  };
  for (const instance of bare) {
    const [objectId = 0] = parsePath(instance) ?? [];
    const definition = objectDefinition(objectId, links.objects.get(objectId));
    for (const [resourceId, { mandatory }] of definition?.resources ?? [])
      if (mandatory) imply(`${instance}/${resourceId}`);
  }
  for (const path of known) {
    const ids = parsePath(path) ?? [];
    if (ids.length < 3) continue;
    const resource = `/${ids.slice(0, 3).join("/")}`;
    if (bare.has(parentPath(resource))) imply(resource);
  }
  return [...nodes.values()].sort((a, b) => comparePaths(a.path, b.path));
}

/**
 * Whether a device may have this path, as far as it told: an instance that was presented without resources may have
 * any, and a resource that was presented without instances any of those.
 */
export function mayHave(links: Presented, path: Path): boolean {
  const level = (parsePath(path) ?? []).length;
  if (level === 0) return false;
  if (links.entries.some((entry) => isWithin(entry.path, path))) return true;
  if (level < 3) return false;
  const parent = parentPath(path);
  const presented = links.entries.filter((entry) => isWithin(entry.path, parent));
  return presented.length === 0
    ? level === 4 && mayHave(links, parent)
    : presented.every((entry) => entry.path === parent);
}

/** Instances that were presented without resources. */
function bareInstances({ entries }: Presented): Set<Path> {
  const bare = new Set<Path>();
  const listed = new Set<Path>();
  for (const { path } of entries) {
    const ids = parsePath(path) ?? [];
    if (ids.length === 2) bare.add(path);
    else if (ids.length > 2) listed.add(`/${ids[0]}/${ids[1]}`);
  }
  for (const path of listed) bare.delete(path);
  return bare;
}

/** What no definition tells of may be readable. */
function isReadable(links: Presented, [objectId = 0, , resourceId = 0]: readonly number[]): boolean {
  const definition = objectDefinition(objectId, links.objects.get(objectId));
  return (definition?.resources.get(resourceId)?.operations ?? "R").includes("R");
}
