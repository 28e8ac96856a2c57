import { describe, expect, it } from "vitest";
import { editValue, showValue } from "@/components/device/value";
import { age, dateTime, inFuture, plural, span } from "@/components/format";

describe("times in words", () => {
  it.each([
    [0, "0 s"],
    [59_999, "59 s"],
    [60_000, "1 min"],
    [3_600_000, "1 h"],
    [47 * 3_600_000, "47 h"],
    [48 * 3_600_000, "2 d"],
    [729 * 86_400_000, "729 d"],
    [3650 * 86_400_000, "10 years"],
  ])("%i ms is %s", (ms, words) => expect(span(ms)).toBe(words));

  it("tells past from future", () => {
    expect(age(500)).toBe("now");
    expect(age(61_000)).toBe("1 min ago");
    expect(inFuture(61_000)).toBe("in 1 min");
    expect(dateTime(Date.UTC(2026, 10, 22, 9, 5, 3), true)).toBe("2026-11-22 09:05:03 UTC");
    expect([plural(1, "device"), plural(1200, "device")]).toEqual(["1 device", "1,200 devices"]);
  });
});

describe("values as a person reads them", () => {
  it.each([
    [{ type: "float", value: 21.299999237060547 } as const, "Cel", "21.3 °C"],
    [{ type: "float", value: null } as const, "Cel", "not a number"],
    [{ type: "integer", value: "87" } as const, "/100", "87 %"],
    [{ type: "integer", value: "9223372036854775807" } as const, null, "9223372036854775807"],
    [{ type: "string", value: "Cel" } as const, "Cel", "Cel"],
    [{ type: "boolean", value: false } as const, null, "false"],
    [{ type: "time", value: "0" } as const, null, "1970-01-01 00:00:00 UTC"],
    [{ type: "time", value: "9223372036854775807" } as const, null, "9223372036854775807 s"],
    [{ type: "opaque", value: "3q2+7w==" } as const, null, "4 bytes: deadbeef"],
    [{ type: "opaque", value: "" } as const, null, "0 bytes"],
    [{ type: "objlnk", value: "3:0" } as const, null, "3:0"],
  ])("%j in %s", (value, units, words) => expect(showValue(value, units)).toBe(words));

  it("starts an input with what was there, where that can be typed", () => {
    expect(editValue({ type: "time", value: "60" })).toBe("1970-01-01T00:01:00");
    expect(editValue({ type: "time", value: "9223372036854775807" })).toBe("");
    expect(editValue({ type: "opaque", value: "AAAA" })).toBe("");
    expect(editValue({ type: "float", value: null })).toBe("");
    expect(editValue(undefined)).toBe("");
  });
});
