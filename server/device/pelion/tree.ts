import { joinTlv, type Tlv, TlvType } from "@/server/lwm2m/tlv";

export type PelionType = "string" | "integer" | "boolean" | "opaque" | "time";

/** Where a delayed execute says how it went. */
export interface Delayed {
  arguments: Uint8Array;
  /** Sends the one answer, 2.04. */
  finish(payload?: string, delivered?: () => void): void;
}

/** What a resource is besides its value. */
export interface PelionResource {
  type: PelionType;
  /** As text for all types but opaque, as in the client; null is none. */
  value?: string | Uint8Array;
  readable?: boolean;
  writable?: boolean;
  rt?: string;
  /** May be observed. */
  obs?: boolean;
  /** Notifies by itself. */
  auto?: boolean;
  /** The value stands in the registration. */
  publish?: boolean;
  /** Is there but not told of in the registration. */
  hidden?: boolean;
  execute?(call: Delayed): void;
  /** Brings the value up to date before it is read. */
  refresh?(): void;
  /** Called when the server wrote it. */
  written?(): void;
  /** Why a written text is not taken: the answer's code. */
  check?(text: string): "4.06" | null;
}

export type NodeKind = "object" | "instance" | "resource" | "resourceInstance";

/** One entry of the tree; value and rights are those of resources. */
export interface PelionNode extends Omit<PelionResource, "value" | "hidden"> {
  readonly path: string;
  readonly kind: NodeKind;
  value: Uint8Array | null;
  /** Holds resource instances. */
  multiple: boolean;
  /** Number of its automatic notifications, or null. */
  aobs: number | null;
  /** Is there but not told of in the registration. */
  hidden: boolean;
  state: "new" | "registered" | "deleted";
}

const FIRST_NUMBER = 100;

/** The objects of Pelion's client, with what it told of them in its registration. Paths have no leading slash. */
export class PelionTree {
  readonly #nodes = new Map<string, PelionNode>();
  #numbers = FIRST_NUMBER;
  /** A value changed. */
  onchange: ((node: PelionNode) => void) | null = null;
  /** Entries came or went. */
  onstructure: (() => void) | null = null;

  /** Numbers of automatic notifications begin here: another one at every start of the process. */
  constructor(firstNumber = FIRST_NUMBER) {
    this.#numbers = firstNumber;
  }

  find(path: string): PelionNode | null {
    const node = this.#nodes.get(path);
    return node && node.state !== "deleted" ? node : null;
  }

  /** Adds an object instance with its resources; parts that exist already stay. */
  add(instance: string, resources: Record<string, PelionResource>, hidden = false): void {
    const [object = ""] = instance.split("/");
    if (!this.find(object)) this.#put(object, "object", { type: "string", hidden });
    if (!this.find(instance)) this.#put(instance, "instance", { type: "string", hidden });
    for (const [id, resource] of Object.entries(resources)) {
      const path = `${instance}/${id}`;
      const kind = id.includes("/") ? "resourceInstance" : "resource";
      this.#put(path, kind, resource);
      if (kind === "resourceInstance") {
        const parent = this.find(path.slice(0, path.lastIndexOf("/")));
        if (parent) parent.multiple = true;
      }
    }
    this.onstructure?.();
  }

  /** Takes an object instance away; the server hears of it with the next update. */
  remove(instance: string): void {
    for (const [path, node] of this.#nodes) {
      if (path !== instance && !path.startsWith(`${instance}/`)) continue;
      if (node.state === "registered") node.state = "deleted";
      else this.#nodes.delete(path);
    }
    this.onstructure?.();
  }

  #put(path: string, kind: NodeKind, resource: PelionResource): void {
    const { value, hidden = false, ...rest } = resource;
    this.#nodes.delete(path);
    this.#nodes.set(path, {
      ...rest,
      path,
      kind,
      value: value === undefined ? null : bytesOf(value),
      multiple: false,
      aobs: resource.auto ? this.#numbers++ : null,
      hidden,
      state: "new",
    });
  }

  /** Sets a value; nobody is told of one that is the same. */
  set(path: string, value: string | Uint8Array): void {
    const node = this.find(path);
    if (!node) throw new Error(`There is no ${path}.`);
    const bytes = bytesOf(value);
    if (node.value && Buffer.from(bytes).equals(node.value)) return;
    node.value = bytes;
    this.onchange?.(node);
  }

  text(path: string): string {
    return Buffer.from(this.find(path)?.value ?? []).toString("utf8");
  }

  children(path: string): PelionNode[] {
    return this.#below(path).filter((node) => node.state !== "deleted");
  }

  #below(path: string): PelionNode[] {
    return [...this.#nodes.values()].filter(
      ({ path: at }) => at.startsWith(`${path}/`) && !at.slice(path.length + 1).includes("/"),
    );
  }

  /** Every entry with a number of automatic notifications. */
  automatic(): PelionNode[] {
    return [...this.#nodes.values()].filter((node) => node.aobs !== null && node.state !== "deleted");
  }

  /** The links of a Register. */
  links(): string {
    for (const [path, node] of this.#nodes) {
      if (node.state === "deleted") this.#nodes.delete(path);
      else node.state = "new";
    }
    return this.delta();
  }

  /** The links of an Update: what is new and what is gone. */
  delta(): string {
    const told: PelionNode[] = [];
    // Newest first, as the client's list grows at its head; what holds others stands before them.
    const visit = (nodes: PelionNode[]) => {
      for (const node of nodes.reverse()) {
        if (!node.hidden && node.state !== "registered") told.push(node);
        visit(this.#below(node.path));
      }
    };
    visit([...this.#nodes.values()].filter(({ kind }) => kind === "object"));
    return told.map(formatNode).join(",");
  }

  /** The server has heard it all. */
  told(): void {
    for (const [path, node] of this.#nodes) {
      if (node.state === "deleted") this.#nodes.delete(path);
      else node.state = "registered";
    }
  }

  /** The links of a Discover at one level, or of all there is. */
  discover(path: string | null): string {
    const below = [...this.#nodes.values()].filter(
      (node) =>
        node.state !== "deleted" && (path === null || node.path === path || node.path.startsWith(`${path}/`)),
    );
    return below.map((node) => `</${node.path}>${node.obs ? ";obs" : ""}`).join(",");
  }

  /** The resources at or below a path as TLV. */
  tlv(path: string): Uint8Array {
    const node = this.find(path);
    if (!node) return new Uint8Array();
    switch (node.kind) {
      case "object":
        return joinTlv(
          this.children(path).map((instance) => ({
            type: TlvType.objectInstance,
            id: lastId(instance.path),
            value: this.tlv(instance.path),
          })),
        );
      case "instance":
        return joinTlv(this.children(path).flatMap((resource) => this.#entry(resource)));
      default:
        return joinTlv(this.#entry(node));
    }
  }

  #entry(node: PelionNode): Tlv[] {
    const id = lastId(node.path);
    if (node.multiple) {
      const value = joinTlv(
        this.children(node.path).flatMap((one) => {
          const bytes = tlvValue(one);
          return bytes ? [{ type: TlvType.resourceInstance, id: lastId(one.path), value: bytes }] : [];
        }),
      );
      return [{ type: TlvType.multipleResource, id, value }];
    }
    node.refresh?.();
    const value = node.readable === false || node.execute ? null : tlvValue(node);
    return value ? [{ type: TlvType.resource, id, value }] : [];
  }
}

const bytesOf = (value: string | Uint8Array): Uint8Array =>
  typeof value === "string" ? new Uint8Array(Buffer.from(value)) : value;

const lastId = (path: string) => Number(path.slice(path.lastIndexOf("/") + 1));

/** Integers always take eight bytes. */
function tlvValue(node: PelionNode): Uint8Array | null {
  if (!node.value) return null;
  if (node.type !== "integer" && node.type !== "time" && node.type !== "boolean") return node.value;
  const text = Buffer.from(node.value).toString("utf8");
  const number = /^-?\d{1,19}$/.test(text) ? BigInt.asIntN(64, BigInt(text)) : 0n;
  if (node.type === "boolean") return Uint8Array.of(number === 0n ? 0 : 1);
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(number);
  return new Uint8Array(bytes);
}

/** Values stand as they are, quotes inside included; opaque ones in base64. */
function formatNode(node: PelionNode): string {
  let text = `</${node.path}>`;
  if (node.state === "deleted") text += ";d";
  if (node.rt) text += `;rt="${node.rt}"`;
  if (node.publish && node.value) {
    text += `;v="${Buffer.from(node.value).toString(node.type === "opaque" ? "base64" : "utf8")}"`;
  }
  if (node.aobs !== null) text += `;aobs="${node.aobs}"`;
  else if (node.obs) text += ";obs";
  return text;
}
