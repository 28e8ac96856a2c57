import { ContentError } from "./errors";

/** A JSON number by its text, so that 64-bit integers keep every digit. */
export class JsonNumber {
  constructor(readonly text: string) {}
}

export type Json = null | boolean | string | JsonNumber | Json[] | Map<string, Json>;

// SenML and LwM2M JSON are an array of flat objects: 3 levels. More is allowed for unknown extensions.
const MAX_DEPTH = 8;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/sy;
const SPACE = /[ \t\r\n]*/y;
const WORD = /true|false|null/y;

/** Reads JSON [RFC8259] with numbers as text, bounded depth and no duplicate names. */
export function parseJson(text: string): Json {
  let at = 0;
  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? null;
    if (found !== null) at += found.length;
    return found;
  };
  const fail = (): never => {
    throw new ContentError(`JSON: unreadable at character ${at + 1}.`);
  };
  const punctuation = (): string | undefined => {
    match(SPACE);
    return text[at];
  };
  const quoted = (): string => {
    const literal = match(STRING) ?? fail();
    try {
      return JSON.parse(literal) as string;
    } catch {
      return fail();
    }
  };

  const value = (depth: number): Json => {
    const first = punctuation();
    if (depth > MAX_DEPTH) throw new ContentError("JSON: nested too deep.");
    if (first === '"') return quoted();
    if (first === "[") {
      const items: Json[] = [];
      at++;
      if (punctuation() === "]") at++;
      else {
        for (;;) {
          items.push(value(depth + 1));
          const next = punctuation();
          at++;
          if (next === "]") break;
          if (next !== ",") fail();
        }
      }
      return items;
    }
    if (first === "{") {
      const members = new Map<string, Json>();
      at++;
      if (punctuation() === "}") at++;
      else {
        for (;;) {
          if (punctuation() !== '"') fail();
          const name = quoted();
          if (punctuation() !== ":") fail();
          at++;
          if (members.has(name))
            throw new ContentError(`JSON: the name "${name.slice(0, 40)}" appears twice.`);
          members.set(name, value(depth + 1));
          const next = punctuation();
          at++;
          if (next === "}") break;
          if (next !== ",") fail();
        }
      }
      return members;
    }
    const word = match(WORD);
    if (word !== null) return word === "null" ? null : word === "true";
    const number = match(NUMBER);
    return number === null ? fail() : new JsonNumber(number);
  };

  const result = value(0);
  match(SPACE);
  if (at !== text.length) fail();
  return result;
}
