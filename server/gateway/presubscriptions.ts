import { type Path, type PresentedNode, pathLevel } from "@/server/lwm2m";

/** What an owner wants of the devices that register; every condition that is given has to match. */
export interface PresubscriptionFacts {
  /** A device ID or endpoint name. */
  endpointName: string | null;
  endpointType: string | null;
  /** Empty: every observable resource. */
  resourcePaths: readonly string[];
}

/** A device as pre-subscriptions see it. */
export interface PresubscribedDevice {
  id: string;
  endpointName: string;
  endpointType: string;
  /** What it presented, or surely has. */
  nodes: readonly PresentedNode[];
  /** Whether it may have a path that is not among them. */
  mayHave(path: Path): boolean;
}

/**
 * The paths that an owner is subscribed to at a device. A path that is named in full may be of an object or instance,
 * or of a resource that nothing tells of; patterns find observable resources.
 */
export function presubscribedPaths(
  wanted: readonly PresubscriptionFacts[],
  device: PresubscribedDevice,
): Set<Path> {
  // Entries are many and name the same paths again and again: each is looked for once.
  const patterns = new Set<string>();
  let everything = false;
  for (const { endpointName, endpointType, resourcePaths } of wanted) {
    if (
      endpointName !== null &&
      !matches(endpointName, device.id) &&
      !matches(endpointName, device.endpointName)
    )
      continue;
    if (endpointType !== null && !matches(endpointType, device.endpointType)) continue;
    everything ||= resourcePaths.length === 0;
    for (const path of resourcePaths) patterns.add(path);
  }
  const found = new Set<Path>();
  if (!everything && patterns.size === 0) return found;
  const list = [...patterns];
  for (const { path, observable } of device.nodes)
    if (observable && pathLevel(path) >= 3 && (everything || list.some((pattern) => matches(pattern, path))))
      found.add(path);
  for (const path of list) if (isWanted(path, device)) found.add(path);
  return found;
}

/** Whether a device can be asked for a path that was named in full. */
function isWanted(path: string, device: PresubscribedDevice): boolean {
  if (pathLevel(path) < 1) return false;
  const node = device.nodes.find((one) => one.path === path);
  return node ? node.observable : device.mayHave(path);
}

/** `*` at the end stands for anything. */
function matches(pattern: string, text: string): boolean {
  return pattern.endsWith("*") ? text.startsWith(pattern.slice(0, -1)) : text === pattern;
}
