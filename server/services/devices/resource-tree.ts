import type { ResourceValue } from "@/server/bus/messages";

/** A last known value; `at` in milliseconds since 1970. */
export interface KnownValue {
  value: ResourceValue;
  at: number;
  source: "read" | "notify" | "write";
}

/** A resource in the tree of a device. */
export interface ResourceNode {
  path: string;
  id: number;
  name: string;
  /** "RWE" where there is no definition: any of them may work. */
  operations: "R" | "W" | "RW" | "E" | "RWE" | "";
  /** Type of the definition, null when there is none. */
  type: string | null;
  units: string | null;
  multiple: boolean;
  mandatory: boolean;
  /** The device named it or gave its value; otherwise only the definition says it may be there. */
  presented: boolean;
  observable: boolean;
  /** It, or what it is part of, is observed. */
  observed: boolean;
  /** The device tells of its changes by itself (`aobs` of Pelion's client); nobody can stop that. */
  automatic: boolean;
  value: KnownValue | null;
  /** Last known values of a multiple resource. */
  items: (KnownValue & { path: string; id: number })[];
}

export interface ObjectNode {
  id: number;
  name: string;
  /** As presented by the device. */
  version: string | null;
  /** False: not in the registry, so names and types are unknown. */
  defined: boolean;
  instances: { id: number; path: string; observed: boolean; resources: ResourceNode[] }[];
}

export interface ResourceTree {
  registered: boolean;
  rootPath: string;
  objects: ObjectNode[];
}
