import type { Operation } from "./operation";

/** The parameter that takes every segment from its place on. */
const REST = "resource_path";

interface Route {
  operation: Operation;
  /** Names of the parameters by segment; null where there is a word. */
  names: (string | null)[];
}

interface Node {
  words: Map<string, Node>;
  parameter: Node | null;
  rest: Route | null;
  route: Route | null;
}

export interface Match {
  operation: Operation;
  params: Record<string, string>;
}

const node = (): Node => ({ words: new Map(), parameter: null, rest: null, route: null });

/** Finds the operation of a path. A word goes before a parameter, whatever was declared first. */
export class Router {
  readonly #methods = new Map<string, Node>();

  constructor(operations: readonly Operation[]) {
    for (const operation of operations) this.#add(operation);
  }

  #add(operation: Operation): void {
    const names = split(operation.path).map((segment) => /^\{(\w+)\}$/.exec(segment)?.[1] ?? null);
    const method = operation.method.toUpperCase();
    let at = this.#methods.get(method);
    if (!at) this.#methods.set(method, (at = node()));
    const route = { operation, names };
    const twice = () => new Error(`${method} ${operation.path} is declared twice.`);
    for (const [index, segment] of split(operation.path).entries()) {
      const name = names[index];
      if (name === REST) {
        if (at.rest) throw twice();
        at.rest = route;
        return;
      }
      let next: Node | null | undefined = name ? at.parameter : at.words.get(segment);
      if (!next) {
        next = node();
        if (name) at.parameter = next;
        else at.words.set(segment, next);
      }
      at = next;
    }
    if (at.route) throw twice();
    at.route = route;
  }

  /** `path` begins with one slash, ends with none and doubles none. */
  find(method: string, path: string): Match | null {
    const root = this.#methods.get(method);
    if (!root) return null;
    const segments = split(path);
    const route = walk(root, segments, 0);
    if (!route) return null;
    const params: Record<string, string> = {};
    for (const [index, name] of route.names.entries()) {
      if (name === REST) params[name] = tidy(segments.slice(index).join("/"));
      else if (name) params[name] = segments[index] as string;
    }
    return { operation: route.operation, params };
  }
}

function walk(at: Node, segments: readonly string[], index: number): Route | null {
  if (index === segments.length) return at.route;
  const word = at.words.get(segments[index] as string);
  return (
    (word && walk(word, segments, index + 1)) ??
    (at.parameter && walk(at.parameter, segments, index + 1)) ??
    at.rest
  );
}

function split(path: string): string[] {
  const segments = path.slice(1).split("/");
  return path.includes("%") ? segments.map(decode) : segments;
}

/** Clients encode the slashes of a resource path, too. */
const tidy = (path: string) => path.replace(/\/{2,}/g, "/").replace(/^\/|\/$/g, "");

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
