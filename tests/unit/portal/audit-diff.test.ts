import { describe, expect, it } from "vitest";
import { changes } from "@/components/audit/diff";
import { actorWords, nameOf, objectWords, verb } from "@/components/audit/wording";

describe("what a change was about", () => {
  it("is what is different, fields of fields and lists included", () => {
    expect(
      changes(
        {
          name: "pump",
          status: "ACTIVE",
          attributes: { colour: "red", row: "4" },
          scopes: ["read"],
          expiresAt: null,
        },
        {
          name: "pump",
          status: "INACTIVE",
          attributes: { colour: "blue" },
          scopes: ["read", "manage"],
          expiresAt: "2026-11-22T12:00:00.000Z",
        },
      ),
    ).toEqual([
      { field: "status", was: "ACTIVE", is: "INACTIVE" },
      { field: "attributes: colour", was: "red", is: "blue" },
      { field: "attributes: row", was: "4", is: null },
      { field: "scopes", was: "read", is: "read, manage" },
      { field: "expires at", was: null, is: "2026-11-22 12:00:00 UTC" },
    ]);
  });

  it("is everything of what was made or deleted", () => {
    expect(changes(null, { name: "pump", ok: true })).toEqual([
      { field: "name", was: null, is: "pump" },
      { field: "ok", was: null, is: "yes" },
    ]);
    expect(changes({ name: "pump" }, null)).toEqual([{ field: "name", was: "pump", is: null }]);
    expect(changes(null, null)).toEqual([]);
  });

  it("says names for IDs where they are known", () => {
    expect(changes(null, { deviceId: "abc" }, { abc: "Tomato row 4" })[0]?.is).toBe("Tomato row 4");
  });
});

it("says who did what to which in words", () => {
  expect(verb("device.updated")).toBe("changed");
  expect(verb("device-group.device-added")).toBe("device added");
  expect(objectWords("api-key")).toBe("API key");
  expect(objectWords("device-group")).toBe("Device group");
  expect(actorWords("user:ada@example.com")).toBe("ada@example.com");
  expect(actorWords("key:nightly")).toBe("Key “nightly”");
  expect(nameOf(null, { name: "", endpointName: "ep-1" })).toBe("ep-1");
  expect(nameOf({ name: "was" }, {})).toBe("was");
  expect(nameOf(null, null)).toBeNull();
});
