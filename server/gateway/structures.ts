import {
  LinkFormatError,
  mayHave,
  mediaTypeOf,
  type ObjectLinks,
  type Path,
  type PresentedNode,
  parseLinks,
  presentedNodes,
  readObjectLinks,
} from "@/server/lwm2m";
import type { PresentedResource } from "@/server/services/notifications/types";
import type { LiveRegistration } from "./directory";

/**
 * Most links presented by devices are those of a few firmwares: reading each text once is enough. Of those that are all
 * different not too many are kept: what is read is many times as large as the text.
 */
const KEPT_CHARACTERS = 2_000_000;

/** What the links of a registration say; worked out when it is asked for first. */
export class Structure {
  #nodes: readonly PresentedNode[] | null = null;
  #json: string | null = null;
  #automatic: ReadonlyMap<Path, string> | null = null;

  constructor(private readonly links: ObjectLinks) {}

  get rootPath(): string {
    return this.links.rootPath;
  }

  get entries(): ObjectLinks["entries"] {
    return this.links.entries;
  }

  /** Object ids. */
  get objects(): ObjectLinks["objects"] {
    return this.links.objects;
  }

  /** What the device presented, or surely has. */
  get nodes(): readonly PresentedNode[] {
    return (this.#nodes ??= presentedNodes(this.links));
  }

  /** The same, as notifications tell it. */
  get json(): string {
    return (this.#json ??= JSON.stringify(this.nodes.map(presentedResource)));
  }

  /** Path and token (hex) of each resource that a device of Pelion's kind notifies by itself: `aobs` in its links. */
  get automatic(): ReadonlyMap<Path, string> {
    return (this.#automatic ??= automaticObservations(this.links));
  }

  /** With the paths that a value is known of. */
  nodesWith(known: Iterable<Path>): readonly PresentedNode[] {
    return presentedNodes(this.links, known);
  }

  mayHave(path: Path): boolean {
    return mayHave(this.links, path);
  }
}

/** The structures of registered devices. */
export class Structures {
  /** By version and text. */
  readonly #read = new Map<string, Map<string, Structure>>();
  #characters = 0;

  /** Reads the links that a client presents; throws LinkFormatError. */
  read(text: string, lwm2mVersion: string): Structure {
    const known = this.#read.get(lwm2mVersion)?.get(text);
    if (known) return known;
    const structure = new Structure(readObjectLinks(parseLinks(text), lwm2mVersion));
    this.#characters += text.length;
    if (this.#characters > KEPT_CHARACTERS) {
      this.#read.clear();
      this.#characters = text.length;
    }
    const texts = this.#read.get(lwm2mVersion) ?? new Map<string, Structure>();
    this.#read.set(lwm2mVersion, texts.set(text, structure));
    return structure;
  }

  of({ objectLinks, lwm2mVersion, rootPath }: LiveRegistration): Structure {
    try {
      return this.read(objectLinks, lwm2mVersion);
    } catch (error) {
      if (!(error instanceof LinkFormatError)) throw error;
      // They were checked when they came, but a rule may have changed since.
      return new Structure({ rootPath, contentFormats: [], entries: [], objects: new Map() });
    }
  }
}

function presentedResource(node: PresentedNode): PresentedResource {
  const ct = node.contentFormat === null ? null : mediaTypeOf(node.contentFormat);
  return {
    path: node.path,
    ...(node.interfaces && { if: node.interfaces }),
    ...(node.resourceType && { rt: node.resourceType }),
    ...(ct && { ct }),
    obs: node.observable,
  };
}

function automaticObservations({ entries }: ObjectLinks): ReadonlyMap<Path, string> {
  const tokens = new Map<Path, string>();
  for (const { path, attributes } of entries) {
    const number = Number(attributes.get("aobs"));
    if (Number.isInteger(number) && number >= 1 && number <= 0xffff)
      tokens.set(path, number.toString(16).padStart(4, "0"));
  }
  return tokens;
}
