/** An absolute LwM2M path without the alternate root: "/", "/3", "/3/0", "/3/0/0", "/3/0/11/0". */
export type Path = string;

/** Object instance id 65535 is reserved; it stands for "not given yet" in a Create. [LwM2M-Core 1.1.1 §7.3] */
export const UNDEFINED_INSTANCE = 65535;

const MAX_ID = 65535;

/** The ids of a path, [] for "/", or null when it is none. */
export function parsePath(text: string): number[] | null {
  if (text === "/") return [];
  if (!text.startsWith("/") || text.length > 24) return null;
  return parseIds(text.slice(1).split("/"));
}

/** The ids of path segments, or null when they do not name a LwM2M node. */
export function parseIds(segments: readonly string[]): number[] | null {
  if (segments.length > 4) return null;
  const ids: number[] = [];
  for (const segment of segments) {
    if (!/^(0|[1-9]\d{0,4})$/.test(segment)) return null;
    const id = Number(segment);
    if (id > MAX_ID || (ids.length === 1 && id === UNDEFINED_INSTANCE)) return null;
    ids.push(id);
  }
  return ids;
}

/** The path of these ids. */
export function formatPath(ids: readonly number[]): Path {
  return `/${ids.join("/")}`;
}

/** Orders paths by level, then by number; a path comes before everything below it. */
export function comparePaths(a: Path, b: Path): number {
  const [x, y] = [parsePath(a) ?? [], parsePath(b) ?? []];
  for (let level = 0; level < Math.min(x.length, y.length); level++) {
    const difference = x[level]! - y[level]!;
    if (difference !== 0) return difference;
  }
  return x.length - y.length;
}

/** True when `path` is `parent` or lies below it. */
export function isWithin(path: Path, parent: Path): boolean {
  return parent === "/" || path === parent || path.startsWith(`${parent}/`);
}

/** How many ids the path has; -1 when it is no path. */
export function pathLevel(path: Path): number {
  return parsePath(path)?.length ?? -1;
}

/** True for /3. */
export const isObjectPath = (path: Path): boolean => pathLevel(path) === 1;
/** True for /3/0. */
export const isInstancePath = (path: Path): boolean => pathLevel(path) === 2;
/** True for /3/0/0. */
export const isResourcePath = (path: Path): boolean => pathLevel(path) === 3;
/** True for /3/0/11/0. */
export const isResourceInstancePath = (path: Path): boolean => pathLevel(path) === 4;

/** The path one level up; "/" for an object and for "/" itself. */
export function parentPath(path: Path): Path {
  const cut = path.lastIndexOf("/");
  return cut <= 0 ? "/" : path.slice(0, cut);
}
