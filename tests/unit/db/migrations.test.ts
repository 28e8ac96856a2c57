import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";

it("has migrations that lead to the schema", () => {
  const output = execFileSync(process.execPath, ["scripts/make-migration.mjs", "--check"], {
    encoding: "utf8",
  });
  expect(output).toContain("nothing to do");
});
