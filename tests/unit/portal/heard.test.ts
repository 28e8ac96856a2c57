import { beforeEach, describe, expect, it, vi } from "vitest";
import type { QueryOutput } from "@/server/portal/queries";

type Row = QueryOutput<"events">["rows"][number];
type Tree = QueryOutput<"resources">;

const event = (id: string, over: Partial<Row> = {}): Row => ({
  id,
  deviceId: "d1",
  type: "registration.registered",
  category: "registration",
  outcome: "SUCCESS",
  description: id,
  data: {},
  stateChange: false,
  actor: "device",
  at: 0,
  ...over,
});

const list = (...rows: Row[]) => ({ rows, more: false });
const ids = (output: { rows: Row[] }) => output.rows.map(({ id }) => id);

let heard: typeof import("@/components/heard");
beforeEach(async () => {
  vi.resetModules();
  heard = await import("@/components/heard");
});

describe("an answer that is older than what the stream told", () => {
  it("gets the event that it does not have yet, in its place", () => {
    heard.hear(event("b"), true);
    expect(ids(heard.withHeard("events", { deviceId: "d1" }, list(event("c"), event("a"))))).toEqual([
      "c",
      "b",
      "a",
    ]);
  });

  it("gets the newer state of an event that counts up", () => {
    heard.hear(event("a", { description: "twice" }), true);
    const { rows } = heard.withHeard("events", { deviceId: "d1" }, list(event("a", { description: "once" })));
    expect(rows.map(({ description }) => description)).toEqual(["twice"]);
  });

  it("does not get what was not asked for", () => {
    heard.hear(event("other device", { deviceId: "d2" }), true);
    heard.hear(event("stranger", { deviceId: null, category: "connection" }), false);
    expect(ids(heard.withHeard("events", { deviceId: "d1" }, list()))).toEqual([]);
    expect(ids(heard.withHeard("events", { deviceId: "d2", category: "bootstrap" }, list()))).toEqual([]);
    expect(ids(heard.withHeard("events", { deviceId: "d2", outcome: "FAIL" }, list()))).toEqual([]);
    expect(ids(heard.withHeard("events", { deviceId: "d2", before: "x" }, list()))).toEqual([]);
    expect(ids(heard.withHeard("events", {}, list()))).toEqual(["other device"]);
    expect(ids(heard.withHeard("events", { knocks: true }, list()))).toEqual(["stranger"]);
  });

  it("keeps a newer value, and an answer's value when that is newer", () => {
    const tree = (at: number, value: string): Tree => ({
      registered: true,
      rootPath: "/",
      objects: [
        {
          id: 3,
          name: "Device",
          version: "1.1",
          defined: true,
          instances: [
            {
              id: 0,
              path: "/3/0",
              observed: false,
              resources: [
                {
                  path: "/3/0/0",
                  id: 0,
                  name: "Manufacturer",
                  operations: "R",
                  type: "string",
                  units: null,
                  multiple: false,
                  mandatory: false,
                  presented: true,
                  observable: true,
                  observed: false,
                  automatic: false,
                  value: { value: { type: "string", value }, at, source: "read" },
                  items: [],
                },
              ],
            },
          ],
        },
      ],
    });
    const shown = (output: Tree) => output.objects[0]?.instances[0]?.resources[0]?.value?.value.value;
    heard.hearValues("d1", "notify", [{ path: "/3/0/0", value: { type: "string", value: "heard" }, at: 5 }]);
    expect(shown(heard.withHeard("resources", { id: "d1" }, tree(1, "older")))).toBe("heard");
    expect(shown(heard.withHeard("resources", { id: "d1" }, tree(9, "newer")))).toBe("newer");
    expect(shown(heard.withHeard("resources", { id: "d2" }, tree(1, "another device")))).toBe(
      "another device",
    );
  });
});
