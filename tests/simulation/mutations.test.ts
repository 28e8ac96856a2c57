import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MUTATIONS, mutate } from "./mutations";

describe("planted faults", () => {
  it.each(MUTATIONS)("$name: can still be planted", (mutation) => {
    const text = readFileSync(mutation.file, "utf8");
    expect(mutate(text, mutation)).not.toBe(text);
  });
});
