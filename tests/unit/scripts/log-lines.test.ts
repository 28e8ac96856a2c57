import { describe, expect, it } from "vitest";
import { formatLogLine } from "../../../scripts/lib/log-lines.mjs";

describe("formatLogLine", () => {
  it("shows time, process, level, message and facts", () => {
    const line = JSON.stringify({
      level: 40,
      time: 0,
      name: "gateway",
      peer: "10.0.0.1",
      n: 2,
      msg: "refused",
    });
    expect(formatLogLine(line)).toMatch(/^\d\d:\d\d:\d\d gateway {2}warning: refused peer=10\.0\.0\.1 n=2$/);
  });

  it("shows the stack of an error", () => {
    const line = JSON.stringify({
      level: 50,
      time: 0,
      name: "portal",
      err: { message: "no", stack: "Error: no\n at x" },
    });
    expect(formatLogLine(line)).toContain("error: no\nError: no\n at x");
  });

  it.each(["not json", "null", "{}", "[1]", '{"level":"info"}', ""])("leaves %j as it is", (line) => {
    expect(formatLogLine(line)).toBe(line);
  });
});
