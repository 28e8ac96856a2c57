import rows from "./objects.data.json";
import { type Path, parsePath } from "./paths";
import { compareVersions } from "./version";

/** The data types of LwM2M. [LwM2M-Core 1.1.1 appendix C] */
export type ValueType =
  | "string"
  | "integer"
  | "unsigned"
  | "float"
  | "boolean"
  | "opaque"
  | "time"
  | "objlnk"
  | "corelnk";

/** What the registry says about a resource. */
export interface ResourceDefinition {
  id: number;
  name: string;
  /** "" for resources that only a bootstrap server may touch. */
  operations: "R" | "W" | "RW" | "E" | "";
  /** Null for executable resources. */
  type: ValueType | null;
  units: string;
  /** A range ("0..100", "1..64 bytes") or list of numbers, or "". */
  range: string;
  multiple: boolean;
  mandatory: boolean;
}

/** What the registry says about an object. */
export interface ObjectDefinition {
  id: number;
  name: string;
  version: string;
  multiple: boolean;
  mandatory: boolean;
  resources: ReadonlyMap<number, ResourceDefinition>;
}

type ResourceRow = [number, string, ResourceDefinition["operations"], number, string, string, number, number];
type ObjectRow = [number, string, string, number, number, ResourceRow[]];

const TYPES: readonly (ValueType | null)[] = [
  null,
  "string",
  "integer",
  "unsigned",
  "float",
  "boolean",
  "opaque",
  "time",
  "objlnk",
  "corelnk",
];

// Rows come newest version first for each object.
const byId = new Map<number, ObjectRow[]>();
for (const row of rows as unknown as ObjectRow[]) {
  const versions = byId.get(row[0]);
  if (versions) versions.push(row);
  else byId.set(row[0], [row]);
}

const made = new Map<ObjectRow, ObjectDefinition>();

function make(row: ObjectRow): ObjectDefinition {
  let definition = made.get(row);
  if (!definition) {
    const [id, name, version, multiple, mandatory, resources] = row;
    definition = {
      id,
      name,
      version,
      multiple: multiple === 1,
      mandatory: mandatory === 1,
      resources: new Map(
        resources.map((one) => [
          one[0],
          {
            id: one[0],
            name: one[1],
            operations: one[2],
            type: TYPES[one[3]] ?? null,
            units: one[4],
            range: one[5],
            multiple: one[6] === 1,
            mandatory: one[7] === 1,
          },
        ]),
      ),
    };
    made.set(row, definition);
  }
  return definition;
}

/** The definition of an object: of that version when it is known, else the newest; null for unknown objects. */
export function objectDefinition(id: number, version?: string): ObjectDefinition | null {
  const versions = byId.get(id);
  if (!versions) return null;
  return make(versions.find((row) => row[2] === version) ?? versions[0]!);
}

/** The versions of an object that are known, newest first. */
export function objectVersions(id: number): string[] {
  return (byId.get(id) ?? []).map((row) => row[2]).sort((a, b) => compareVersions(b, a));
}

/** The definition of the resource at a path of three or four ids, or null. */
export function resourceDefinition(path: Path, version?: string): ResourceDefinition | null {
  const ids = parsePath(path);
  if (!ids || ids.length < 3) return null;
  return objectDefinition(ids[0]!, version)?.resources.get(ids[2]!) ?? null;
}
