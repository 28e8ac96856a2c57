import {
  type ContentValue,
  defaultObjectVersion,
  type ExecuteArgument,
  formatPath,
  isWithin,
  type Link,
  link,
  type Path,
  parsePath,
  type ResourceValue,
} from "@/server/lwm2m";

/** One value, or one for each resource instance. */
export type Reading = ResourceValue | ReadonlyMap<number, ResourceValue>;

/** What to do when the server has its answer. */
export type Afterwards = (() => void) | undefined;

/** What a resource can do; what is left out is not allowed. */
export interface Resource {
  read?(): Reading;
  /** Throws ContentError when the value cannot be taken; what it returns is done once the answer is out. */
  write?(value: ResourceValue): Afterwards;
  /** What it returns is done once the answer is out. */
  execute?(args: readonly ExecuteArgument[]): Afterwards;
}

type Instance = ReadonlyMap<number, Resource>;

/** The objects a device shows to its server. */
export class ResourceTree {
  readonly #objects = new Map<number, { version: string; instances: Map<number, Instance> }>();
  /** A value changed; `exact` ones concern only who watches that very resource. */
  onchange: ((path: Path, exact: boolean) => void) | null = null;
  /** Instances came or went. */
  onstructure: (() => void) | null = null;

  /** Adds an object instance, and its object when it is the first. */
  add(objectId: number, instanceId: number, version: string, resources: Record<number, Resource>): void {
    let object = this.#objects.get(objectId);
    if (!object) this.#objects.set(objectId, (object = { version, instances: new Map() }));
    object.instances.set(
      instanceId,
      new Map(Object.entries(resources).map(([id, resource]) => [Number(id), resource])),
    );
    this.onstructure?.();
  }

  /** Takes an object instance away. */
  remove(objectId: number, instanceId: number): void {
    if (this.#objects.get(objectId)?.instances.delete(instanceId)) this.onstructure?.();
  }

  /** Says that the value at a path changed. */
  changed(path: Path, exact = false): void {
    this.onchange?.(path, exact);
  }

  /** True when the device has this object, instance, resource or resource instance. */
  has(path: Path): boolean {
    const [objectId, instanceId, resourceId, id] = parsePath(path) ?? [];
    if (objectId === undefined) return path === "/";
    const object = this.#objects.get(objectId);
    if (!object || instanceId === undefined) return object !== undefined;
    const instance = object.instances.get(instanceId);
    if (!instance || resourceId === undefined) return instance !== undefined;
    const resource = instance.get(resourceId);
    if (!resource || id === undefined) return resource !== undefined;
    const reading = resource.read?.();
    return reading instanceof Map && reading.has(id);
  }

  /** The resource at a path of three or four ids. */
  resource(path: Path): Resource | null {
    const [objectId, instanceId, resourceId] = parsePath(path) ?? [];
    return (
      this.#objects
        .get(objectId ?? -1)
        ?.instances.get(instanceId ?? -1)
        ?.get(resourceId ?? -1) ?? null
    );
  }

  /** Every value at or below a path. */
  values(path: Path): ContentValue[] {
    const values: ContentValue[] = [];
    for (const at of this.#resourcePaths(path)) {
      const reading = this.resource(at)?.read?.();
      if (!reading) continue;
      if (!(reading instanceof Map)) values.push({ path: at, value: reading as ResourceValue });
      else for (const [id, value] of reading) values.push({ path: `${at}/${id}`, value });
    }
    return values.filter((one) => isWithin(one.path, path));
  }

  *#resourcePaths(path: Path): Generator<Path> {
    for (const [objectId, { instances }] of this.#objects) {
      for (const [instanceId, resources] of instances) {
        for (const resourceId of resources.keys()) {
          const at = formatPath([objectId, instanceId, resourceId]);
          if (isWithin(at, path) || isWithin(path, at)) yield at;
        }
      }
    }
  }

  /** The links of a Register: objects whose version has to be told, instances and resources. */
  links(lwm2mVersion: string): Link[] {
    const links: Link[] = [];
    for (const [objectId, { version, instances }] of this.#objects) {
      const told = version !== defaultObjectVersion(lwm2mVersion, objectId);
      if (told || instances.size === 0) links.push(link(`/${objectId}`, told ? { ver: version } : {}));
      for (const [instanceId, resources] of instances) {
        links.push(link(`/${objectId}/${instanceId}`));
        for (const id of resources.keys()) links.push(link(`/${objectId}/${instanceId}/${id}`));
      }
    }
    return links;
  }

  /** The paths of a Discover, each with how many resource instances it has, or null. */
  discover(path: Path, lwm2mVersion: string): { path: Path; attributes: Record<string, string> }[] {
    const ids = parsePath(path) ?? [];
    const found: { path: Path; attributes: Record<string, string> }[] = [];
    const object = this.#objects.get(ids[0] ?? -1);
    if (!object) return found;
    if (ids.length === 1) {
      const told = object.version !== defaultObjectVersion(lwm2mVersion, ids[0]!);
      found.push({ path, attributes: told ? { ver: object.version } : {} });
    }
    for (const instanceId of object.instances.keys()) {
      const instance = formatPath([ids[0]!, instanceId]);
      if (ids.length < 3 && isWithin(instance, path)) found.push({ path: instance, attributes: {} });
    }
    for (const at of this.#resourcePaths(path)) {
      const reading = this.resource(at)?.read?.();
      const many = reading instanceof Map ? reading : null;
      found.push({ path: at, attributes: many ? { dim: String(many.size) } : {} });
      if (ids.length === 3 && many) {
        for (const id of many.keys()) found.push({ path: `${at}/${id}`, attributes: {} });
      }
    }
    return found;
  }
}
