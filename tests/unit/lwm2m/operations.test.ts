import { describe, expect, test } from "vitest";
import {
  attributeConflict,
  boolean,
  buildRequest,
  ContentError,
  comparePaths,
  defaultObjectVersion,
  formatValue,
  integer,
  isResourcePath,
  judgeCode,
  objectDefinition,
  opaque,
  parseArguments,
  parseInput,
  parsePath,
  resourceDefinition,
  string,
  time,
} from "@/server/lwm2m";

const body = (payload: Uint8Array | undefined) => Buffer.from(payload ?? []).toString("latin1");

describe("paths", () => {
  test("COD-32 order and limits", () => {
    const ordered = ["/", "/1", "/1/1", "/1/1/1", "/1/1/1/1", "/2", "/10"];
    expect([...ordered].reverse().sort(comparePaths)).toEqual(ordered);
    expect(parsePath("/3/65534/65535/65535")).toEqual([3, 65534, 65535, 65535]);
    expect(parsePath("/65535")).toEqual([65535]);
    for (const bad of [
      "/3/65535",
      "/65536",
      "/03",
      "/3/",
      "3/0",
      "",
      "//",
      "/a",
      "/1/2/3/4/5",
      "/-1",
      "/3/0/0?x",
    ]) {
      expect(parsePath(bad), bad).toBe(null);
    }
    expect(isResourcePath("/3/0/0")).toBe(true);
    expect(isResourcePath("/3/0")).toBe(false);
  });
});

describe("requests of the operations", () => {
  test("DM-31 DM-39 Discover is GET with Accept 40 below the root path", () => {
    expect(buildRequest("discover", "/3/0", { rootPath: "/root/" })).toEqual({
      method: "GET",
      path: ["root", "3", "0"],
      accept: 40,
    });
  });

  test("DM-32 Write replaces with PUT and updates with POST, resources directly in the payload", () => {
    const content = [{ path: "/3/0/14", value: string("+02:00") }];
    expect(buildRequest("write", "/3/0", { content })).toMatchObject({ method: "PUT", contentFormat: 11542 });
    const update = buildRequest("update", "/3/0", { content });
    expect(update.method).toBe("POST");
    expect(body(update.payload)).toBe("\xc6\x0e+02:00");
  });

  test("DM-33 Write-Attributes has no payload", () => {
    const request = buildRequest("writeAttributes", "/3/0/14", { attributes: { pmin: 10, pmax: 100 } });
    expect(request).toEqual({ method: "PUT", path: ["3", "0", "14"], query: ["pmin=10", "pmax=100"] });
    expect(
      buildRequest("writeAttributes", "/3/0/14", { attributes: { pmin: null, pmax: null } }).query,
    ).toEqual(["pmin", "pmax"]);
  });

  test("DM-34 DM-37 Execute with arguments, checked before sending", () => {
    const request = buildRequest("execute", "/3/0/12", { args: "0='params'" });
    expect([request.method, request.contentFormat, body(request.payload)]).toEqual(["POST", 0, "0='params'"]);
    expect(buildRequest("execute", "/3/0/4", {}).payload).toBeUndefined();
    expect(() => buildRequest("execute", "/3/0/4", { args: "x" })).toThrow(ContentError);
    expect(parseArguments("3='x',4")).toEqual([
      { digit: 3, value: "x" },
      { digit: 4, value: null },
    ]);
    for (const good of ["", "3", "3='x'", "3=''", "3=',',4", "3='=',4"])
      expect(() => parseArguments(good)).not.toThrow();
    for (const bad of ["3,3", "a", "3=x", "3'x'", "3='x", "3='x',", ",3", "10", "3='x'4", "3='ü'", "3=,"]) {
      expect(() => parseArguments(bad), bad).toThrow(ContentError);
    }
  });

  test("DM-35 Create with and without an instance id", () => {
    const given = buildRequest("create", "/12", { content: [{ path: "/12/26/0", value: string("x") }] });
    expect([given.method, given.path, body(given.payload)]).toEqual(["POST", ["12"], "\x03\x1a\xc1\x00x"]);
    const open = buildRequest("create", "/12", { content: [{ path: "/12/65535/0", value: string("x") }] });
    expect(body(open.payload)).toBe("\xc1\x00x");
  });

  test("DM-38 codes an operation cannot have are no success", () => {
    expect(judgeCode("read", "2.05")).toBe("done");
    expect(judgeCode("read", "2.04")).toBe("invalid");
    expect(judgeCode("read", "4.04")).toBe("refused");
    expect(judgeCode("observe", "2.04")).toBe("done");
    expect(judgeCode("write", "4.15")).toBe("refused");
    expect(judgeCode("execute", "2.05")).toBe("invalid");
  });

  test("WR-04 a value that does not fit is refused before sending", () => {
    expect(() => buildRequest("write", "/3/0/13", { content: string("now") })).toThrow(/holds a time/);
    expect(() => buildRequest("write", "/3/0/14", {})).toThrow(/needs something to write/);
  });

  test("paths an operation cannot have", () => {
    expect(() => buildRequest("execute", "/3/0")).toThrow(/not possible/);
    expect(() => buildRequest("read", "/x")).toThrow(/not a LwM2M path/);
    expect(() => buildRequest("bootstrapDiscover", "/3/0")).toThrow(/not possible/);
    expect(buildRequest("bootstrapFinish", "/")).toEqual({ method: "POST", path: ["bs"] });
    expect(buildRequest("bootstrapDelete", "/").path).toEqual([]);
  });

  test("composite requests", () => {
    const request = buildRequest("readComposite", "/", { paths: ["/3/0/9"], contentFormat: 110 });
    expect([request.method, request.accept, body(request.payload)]).toEqual([
      "FETCH",
      110,
      '[{"n":"/3/0/9"}]',
    ]);
    const write = buildRequest("writeComposite", "/", {
      contentFormat: 110,
      content: [
        { path: "/1/0/1", value: integer(60) },
        { path: "/3/0/14", value: string("Z") },
      ],
    });
    expect([write.method, body(write.payload)]).toEqual([
      "iPATCH",
      '[{"bn":"/","n":"1/0/1","v":60},{"n":"3/0/14","vs":"Z"}]',
    ]);
  });

  test("ATT-16 attributes that contradict each other", () => {
    const conflicts: Record<string, number>[] = [
      { pmin: 5, pmax: 4 },
      { epmin: 5, epmax: 4 },
      { gt: 1, lt: 2 },
      { gt: 1, lt: 1 },
      { lt: 1, st: 2, gt: 4 },
      { lt: 1, st: 2, gt: 5 },
    ];
    for (const attributes of conflicts) {
      expect(attributeConflict(attributes)).not.toBe(null);
      expect(() => buildRequest("writeAttributes", "/3/0/9", { attributes })).toThrow(ContentError);
    }
    expect(attributeConflict({ pmin: 4, pmax: 4, lt: 1, st: 1, gt: 4 })).toBe(null);
  });
});

describe("object definitions", () => {
  test("the Device object", () => {
    expect(objectDefinition(3)).toMatchObject({
      name: "Device",
      version: "1.2",
      multiple: false,
      mandatory: true,
    });
    expect(resourceDefinition("/3/0/9")).toMatchObject({
      name: "Battery Level",
      operations: "R",
      type: "integer",
      units: "/100",
      range: "0..100",
    });
    expect(resourceDefinition("/3/0/11/0")?.multiple).toBe(true);
    expect(resourceDefinition("/3/0/4")).toMatchObject({ operations: "E", type: null });
    expect(resourceDefinition("/3303/0/5700")).toMatchObject({ name: "Sensor Value", type: "float" });
  });

  test("what is not known", () => {
    expect(objectDefinition(31999)).toBe(null);
    expect(resourceDefinition("/3/0")).toBe(null);
    expect(resourceDefinition("/3/0/999")).toBe(null);
    expect(objectDefinition(3, "9.9")?.version).toBe("1.2");
    expect(defaultObjectVersion("1.1", 4)).toBe("1.2");
    expect(defaultObjectVersion("1.0", 3)).toBe("1.0");
    expect(defaultObjectVersion("1.2", 3303)).toBe("1.0");
  });
});

describe("values for people", () => {
  test("what is typed in", () => {
    expect(parseInput("/3/0/13", "2026-01-01T00:00:00Z")).toEqual(time(1_767_225_600));
    expect(parseInput("/3/0/13", "1767225600")).toEqual(time(1_767_225_600));
    expect(parseInput("/1/0/6", "True")).toEqual(boolean(true));
    expect(parseInput("/0/0/3", "0x01 02")).toEqual(opaque(Uint8Array.of(1, 2)));
    expect(parseInput("/0/0/3", "AQI=")).toEqual(opaque(Uint8Array.of(1, 2)));
    expect(parseInput("/31999/0/1", " as typed ")).toEqual(string(" as typed "));
    expect(parseInput("/3303/0/5701", "Cel")).toEqual(string("Cel"));
    for (const [path, text] of [
      ["/3/0/13", "yesterday"],
      ["/1/0/6", "perhaps"],
      ["/3/0/9", "1.5"],
      ["/3/0/9", "101"],
      ["/0/0/3", "0xabc"],
      ["/3/0/22/0", "3"],
    ] as const) {
      expect(() => parseInput(path, text), `${path} ${text}`).toThrow(ContentError);
    }
  });

  test("what is shown", () => {
    expect(formatValue({ type: "float", value: 21.5 }, "Cel")).toBe("21.5 °C");
    expect(formatValue(integer(80), "/100")).toBe("80 /100");
    expect(formatValue(time(1_767_225_600))).toBe("2026-01-01T00:00:00Z");
    expect(formatValue(opaque(Uint8Array.of(1, 255)))).toBe("2 bytes: 01ff");
    expect(formatValue(boolean(false), "x")).toBe("false");
    expect(formatValue({ type: "float", value: null })).toBe("not a number");
  });
});
