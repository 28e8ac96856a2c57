import { LinkFormatError } from "./errors";
import { formatPath, type Path, parseIds } from "./paths";
import { defaultObjectVersion, parseVersion } from "./version";

/** One link of a CoRE link-format document [RFC6690 §2]; an attribute without value maps to null. */
export interface Link {
  target: string;
  attributes: ReadonlyMap<string, string | null>;
}

// A Register of some 2,000 resources is about 60 kB; the bounds keep a hostile document cheap.
const MAX_TEXT = 256 * 1024;
const MAX_LINKS = 8192;
const MAX_ATTRIBUTES = 64;

const NAME_END = /[\s=;,<>"]/;

/**
 * Reads link format. More liberal than RFC 6690 in one point: a quote inside a quoted value is part of the
 * value unless `;name`, `,<` or the end follows, because Pelion's client does not escape quotes in `v="…"`.
 */
export function parseLinks(text: string): Link[] {
  if (text.length > MAX_TEXT)
    throw new LinkFormatError(`The link list is longer than ${MAX_TEXT} characters.`);
  const links: Link[] = [];
  let at = 0;

  const fail = (what: string): never => {
    const near = text.slice(at, at + 16);
    throw new LinkFormatError(
      `Link format: ${what} at character ${at + 1}${near ? ` near ${JSON.stringify(near)}` : ""}.`,
    );
  };
  const skipSpace = () => {
    while (at < text.length && /\s/.test(text[at]!)) at++;
  };

  const quoted = (): string => {
    let value = "";
    at++;
    for (;;) {
      if (at >= text.length) fail("a quoted value is not closed");
      const c = text[at]!;
      if (c === "\\" && at + 1 < text.length) {
        value += text[at + 1];
        at += 2;
      } else if (c === '"' && closesValue(text, at + 1)) {
        at++;
        return value;
      } else {
        value += c;
        at++;
      }
    }
  };

  const attribute = (): [string, string | null] => {
    const start = at;
    while (at < text.length && !NAME_END.test(text[at]!)) at++;
    const name = text.slice(start, at);
    if (!name) fail("an attribute name is missing");
    skipSpace();
    if (text[at] !== "=") return [name, null];
    at++;
    skipSpace();
    if (text[at] === '"') return [name, quoted()];
    const from = at;
    while (at < text.length && !/[\s;,"]/.test(text[at]!)) at++;
    if (at === from) fail(`the value of "${name}" is missing`);
    return [name, text.slice(from, at)];
  };

  skipSpace();
  while (at < text.length) {
    if (text[at] !== "<") fail("a link must start with <");
    const end = text.indexOf(">", at);
    if (end < 0) fail("a link target is not closed with >");
    const target = text.slice(at + 1, end);
    if (/[<\s"]/.test(target)) fail("a link target holds a character that is not allowed");
    at = end + 1;
    const attributes = new Map<string, string | null>();
    skipSpace();
    while (text[at] === ";") {
      at++;
      skipSpace();
      const [name, value] = attribute();
      // Only the first occurrence of an attribute counts. [RFC6690 §2.2]
      if (!attributes.has(name)) attributes.set(name, value);
      if (attributes.size > MAX_ATTRIBUTES) fail("too many attributes on one link");
      skipSpace();
    }
    links.push({ target, attributes });
    if (links.length > MAX_LINKS) fail(`more than ${MAX_LINKS} links`);
    if (at >= text.length) break;
    if (text[at] !== ",") fail("a link must end with a comma or the end of the list");
    at++;
    skipSpace();
    if (at >= text.length) fail("a link is missing after the comma");
  }
  return links;
}

// Sticky, so that looking ahead costs nothing however often a value holds a quote.
const VALUE_END = /\s*(?:$|;\s*[A-Za-z]|,\s*<)/y;

function closesValue(text: string, at: number): boolean {
  VALUE_END.lastIndex = at;
  return VALUE_END.test(text);
}

/** Writes link format; numbers and versions stay bare, everything else is quoted. */
export function formatLinks(links: readonly Link[]): string {
  return links.map(formatLink).join(",");
}

function formatLink(link: Link): string {
  let text = `<${link.target}>`;
  for (const [name, value] of link.attributes) {
    if (value === null) text += `;${name}`;
    else if (/^-?\d+(\.\d+)?$/.test(value)) text += `;${name}=${value}`;
    else text += `;${name}="${value.replace(/["\\]/g, "\\$&")}"`;
  }
  return text;
}

/** Makes a link from a plain record. */
export function link(target: string, attributes: Record<string, string | null> = {}): Link {
  return { target, attributes: new Map(Object.entries(attributes)) };
}

/** One LwM2M node a client presented, its path without the alternate root. */
export interface ObjectLink {
  path: Path;
  attributes: ReadonlyMap<string, string | null>;
}

/** What the object links of a registration say. */
export interface ObjectLinks {
  /** "/" or the alternate root with a slash at its end, such as "/root/". [LwM2M-Transport 1.1.1 §6.4.1] */
  rootPath: string;
  /** Content formats the client can use, the ones it need not announce included. */
  contentFormats: number[];
  entries: ObjectLink[];
  /** Object id to object version. */
  objects: Map<number, string>;
}

// What every client of that version knows without saying so. [LwM2M-Core 1.0 §6.4; 1.1.1 §7.4]
const UNANNOUNCED: Readonly<Record<string, readonly number[]>> = { "1.0": [11542] };
const UNANNOUNCED_LATER: readonly number[] = [0, 42, 40];

/** Applies the LwM2M rules to the links of a registration; throws LinkFormatError when one is broken. */
export function readObjectLinks(links: readonly Link[], lwm2mVersion: string): ObjectLinks {
  const root = links.find((one) => hasResourceType(one, "oma.lwm2m"));
  const prefix = root ? root.target.replace(/\/+$/, "") : "";
  if (prefix && !prefix.startsWith("/")) {
    throw new LinkFormatError(`The root path ${JSON.stringify(root!.target)} does not start with a slash.`);
  }
  const rootLink = root ?? links.find((one) => one.target === "/");

  const formats = new Set<number>();
  const announced = rootLink?.attributes.get("ct");
  if (announced !== null && announced !== undefined) {
    for (const word of announced.trim().split(/\s+/)) {
      if (!/^\d{1,5}$/.test(word) || Number(word) > 65535) {
        throw new LinkFormatError(`ct=${JSON.stringify(announced)} is not a list of content format numbers.`);
      }
      formats.add(Number(word));
    }
  }
  for (const format of UNANNOUNCED[lwm2mVersion] ?? UNANNOUNCED_LATER) formats.add(format);

  const entries: ObjectLink[] = [];
  const objects = new Map<number, string>();
  const seen = new Set<Path>();
  for (const one of links) {
    if (one === rootLink) continue;
    if (!one.target.startsWith(`${prefix}/`)) {
      // Without an alternate root every target has to be a path of ours.
      if (!prefix) throw new LinkFormatError(`<${one.target}> is not an absolute path.`);
      continue;
    }
    const rest = one.target.slice(prefix.length + 1);
    const ids = rest === "" ? [] : parseIds(rest.split("/"));
    if (!ids) throw new LinkFormatError(`<${one.target}> is not a LwM2M path.`);
    if (ids.length === 0) continue;
    const path = formatPath(ids);
    checkAttributes(one);
    if (!seen.has(path)) {
      seen.add(path);
      entries.push({ path, attributes: one.attributes });
    }
    const objectId = ids[0]!;
    const version = ids.length === 1 ? one.attributes.get("ver") : undefined;
    if (version) objects.set(objectId, version);
    else if (!objects.has(objectId)) objects.set(objectId, defaultObjectVersion(lwm2mVersion, objectId));
  }
  return { rootPath: prefix ? `${prefix}/` : "/", contentFormats: [...formats], entries, objects };
}

function hasResourceType(one: Link, type: string): boolean {
  return (one.attributes.get("rt") ?? "").split(/\s+/).includes(type);
}

// Attributes with a meaning in LwM2M and what they may hold. [LwM2M-Core 1.1.1 §7.3.1, §7.3.2]
const COUNT = /^\d{1,10}$/;
const DECIMAL = /^-?\d+(\.\d+)?$/;
const ATTRIBUTES: Readonly<Record<string, (value: string) => boolean>> = {
  dim: (value) => COUNT.test(value) && Number(value) <= 255,
  ssid: (value) => COUNT.test(value) && Number(value) >= 1 && Number(value) <= 65534,
  ver: (value) => parseVersion(value) !== null,
  pmin: (value) => COUNT.test(value),
  pmax: (value) => COUNT.test(value),
  epmin: (value) => COUNT.test(value),
  epmax: (value) => COUNT.test(value),
  gt: (value) => DECIMAL.test(value),
  lt: (value) => DECIMAL.test(value),
  st: (value) => DECIMAL.test(value),
};

function checkAttributes(one: Link): void {
  for (const [name, value] of one.attributes) {
    const rule = Object.hasOwn(ATTRIBUTES, name) ? ATTRIBUTES[name] : undefined;
    if (!rule) continue;
    if (value === null) throw new LinkFormatError(`The attribute "${name}" of <${one.target}> has no value.`);
    if (!rule(value)) {
      throw new LinkFormatError(`${name}=${JSON.stringify(value)} of <${one.target}> is not allowed.`);
    }
  }
}

/**
 * The list after an Update. Standard clients send their whole list [LwM2M-Core 1.1.1 §6.2.2]; Pelion's client and ours
 * (`deltas`) send what is new and, marked `;d`, what is gone with everything below it.
 */
export function mergeObjectLinks(
  existing: readonly Link[],
  update: readonly Link[],
  deltas: boolean,
): Link[] {
  if (!deltas && !update.some((one) => one.attributes.has("d"))) return [...update];
  const merged = new Map<string, Link>();
  for (const one of existing) merged.set(one.target, one);
  for (const one of update) {
    if (!one.attributes.has("d")) {
      merged.set(one.target, one);
      continue;
    }
    const below = `${one.target.replace(/\/+$/, "")}/`;
    for (const target of merged.keys()) {
      if (target === one.target || target.startsWith(below)) merged.delete(target);
    }
  }
  return [...merged.values()];
}
