import { attributeConflict, isWithin, type Path, parentPath } from "@/server/lwm2m";

const NAMES = ["pmin", "pmax", "gt", "lt", "st", "epmin", "epmax"] as const;
type Name = (typeof NAMES)[number];

/** The notification attributes in force for one observation. [LwM2M-Core 1.1.1 §7.3.2] */
export type Attributes = Partial<Record<Name, number>>;

/** The attributes servers wrote to the nodes of a device. */
export class AttributeStore {
  readonly #nodes = new Map<Path, Attributes>();

  /** Writes the query of a Write-Attributes; the answer says why it is refused, or null. */
  write(path: Path, query: readonly string[]): string | null {
    const attributes: Attributes = { ...this.#nodes.get(path) };
    for (const item of query) {
      const [name = "", value] = item.split("=", 2);
      if (!isName(name)) return `The attribute ${name} is not known.`;
      if (value === undefined || value === "") {
        delete attributes[name];
        continue;
      }
      const valid = /^e?pm/.test(name) ? /^\d{1,9}$/.test(value) : /^-?\d+(\.\d+)?$/.test(value);
      if (!valid) return `${name}=${value} is not a number.`;
      attributes[name] = Number(value);
    }
    const conflict = attributeConflict(attributes);
    if (conflict) return conflict;
    this.#nodes.set(path, attributes);
    return null;
  }

  /** The attributes written to this very node, as link attributes. */
  own(path: Path): Record<string, string> {
    const entries = Object.entries(this.#nodes.get(path) ?? {});
    return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
  }

  /** What holds for an observation of `path`: the nearest node wins for each attribute. */
  effective(path: Path): Attributes {
    const attributes: Attributes = {};
    for (let node = path; node !== "/"; node = parentPath(node)) {
      for (const [name, value] of Object.entries(this.#nodes.get(node) ?? {}) as [Name, number][]) {
        attributes[name] ??= value;
      }
    }
    return attributes;
  }

  /** Forgets what was written at or below a path. */
  forget(path: Path): void {
    for (const node of this.#nodes.keys()) if (isWithin(node, path)) this.#nodes.delete(node);
  }
}

const isName = (name: string): name is Name => NAMES.some((known) => known === name);
