import { describe, expect, test } from "vitest";
import {
  formatLinks,
  type Link,
  LinkFormatError,
  link,
  mergeObjectLinks,
  parseLinks,
  readObjectLinks,
} from "@/server/lwm2m";

const read = (text: string, version = "1.0") => readObjectLinks(parseLinks(text), version);
const paths = (text: string, version = "1.0") => read(text, version).entries.map((entry) => entry.path);
const plain = (links: Link[]) => links.map((one) => [one.target, Object.fromEntries(one.attributes)]);

describe("object links of a registration", () => {
  test("REG-02 the root link and everything behind it are kept as sent", () => {
    const text = '</>;rt="oma.lwm2m";ct="60 110 112 1542 1543 11542 11543",</1/0>,</2>,</3/0>,</3442/0>';
    expect(formatLinks(parseLinks(text))).toBe(text);
    expect(paths(text, "1.1")).toEqual(["/1/0", "/2", "/3/0", "/3442/0"]);
  });

  test("LNK-01 default root and default versions of LwM2M 1.0", () => {
    const links = read("</1/0>,</3/0>");
    expect(links.rootPath).toBe("/");
    expect([...links.objects]).toEqual([
      [1, "1.0"],
      [3, "1.0"],
    ]);
    expect(links.entries.map((entry) => entry.path)).toEqual(["/1/0", "/3/0"]);
  });

  test("LNK-02 content formats without a resource type, and TLV that 1.0 need not announce", () => {
    const links = read('</>;ct="0 42 11543",</1/0>');
    expect(links.rootPath).toBe("/");
    expect(links.contentFormats).toEqual([0, 42, 11543, 11542]);
  });

  test("LNK-03 one content format, with and without quotes", () => {
    expect(read('</>;ct="42"').contentFormats).toEqual([42, 11542]);
    expect(read("</>;ct=42").contentFormats).toEqual([42, 11542]);
    expect(() => read('</>;ct="42 x"')).toThrow(/not a list of content format numbers/);
  });

  test("LNK-04 the default root may be named", () => {
    expect(read('</>;rt="oma.lwm2m";ct=112,</3/0>').rootPath).toBe("/");
  });

  test("LNK-05 an alternate root leaves out what lies beside it", () => {
    const links = read('</root>;rt="oma.lwm2m",</root/1/0>,</3/0>');
    expect(links.rootPath).toBe("/root/");
    expect([...links.objects.keys()]).toEqual([1]);
    expect(links.entries.map((entry) => entry.path)).toEqual(["/1/0"]);
  });

  test("LNK-07 the version of an object comes with its own link", () => {
    expect([...read("</3>;ver=1.1,</3/0>,</1/0>").objects]).toEqual([
      [3, "1.1"],
      [1, "1.0"],
    ]);
    expect(read("</3/0>,</3>;ver=1.1").objects.get(3)).toBe("1.1");
  });

  test("LNK-08 default versions of the core objects for LwM2M 1.1", () => {
    const links = read("</1/0>,</2>,</3/0>,</4/0>,</5/0>,</6/0>,</7/0>,</3303/0>", "1.1");
    expect(Object.fromEntries(links.objects)).toEqual({
      1: "1.1",
      2: "1.0",
      3: "1.1",
      4: "1.2",
      5: "1.0",
      6: "1.0",
      7: "1.0",
      3303: "1.0",
    });
  });

  test("LNK-09 text beside an alternate root is ignored", () => {
    expect(paths('</root>;rt="oma.lwm2m",</text/1/0>,</1/text>,</root/3/0>')).toEqual(["/3/0"]);
  });

  test("LNK-10 text below the root makes the whole list invalid", () => {
    expect(() => read("</1/0>,</3/text>")).toThrow(LinkFormatError);
    expect(() => read('</root>;rt="oma.lwm2m",</root/text/0>')).toThrow(/is not a LwM2M path/);
  });

  test("LNK-11 special characters inside of attribute values", () => {
    expect(plain(parseLinks('</1>;a="<x>/y";b=<z>/w;c="1,2;d=3 \\"q\\""'))).toEqual([
      ["/1", { a: "<x>/y", b: "<z>/w", c: '1,2;d=3 "q"' }],
    ]);
  });

  test("LNK-13 an attribute without value is kept", () => {
    expect(plain(parseLinks("</1>;empty;full=1"))).toEqual([["/1", { empty: null, full: "1" }]]);
  });

  test("LNK-14 a version with and without quotes", () => {
    expect(read('</3>;ver="2.2"').objects.get(3)).toBe("2.2");
    expect(read("</3>;ver=2.2").objects.get(3)).toBe("2.2");
  });

  test("LNK-15 attributes of LwM2M are checked for their range", () => {
    expect(paths("</3/0/11>;dim=255,</1/0>;ssid=65534")).toHaveLength(2);
    for (const bad of ["dim=256", "dim=-1", "ssid=0", "ssid=65535", "ver=1", "pmin=1.5", "gt=x"]) {
      expect(() => read(`</3>;${bad}`), bad).toThrow(LinkFormatError);
    }
  });

  test("LNK-16 pmin needs a value", () => {
    expect(paths("</3/0>;pmin=200")).toEqual(["/3/0"]);
    expect(() => read("</3/0>;pmin")).toThrow(/has no value/);
  });

  test("LNK-17 text, opaque and link format need no announcement from 1.1 on", () => {
    expect(read("</>;ct=112,</3/0>", "1.1").contentFormats).toEqual([112, 0, 42, 40]);
    expect(read("</3/0>", "1.0").contentFormats).toEqual([11542]);
  });

  test("a list without any link is an empty list", () => {
    expect(parseLinks("")).toEqual([]);
    expect(parseLinks(" ")).toEqual([]);
  });

  test.each([
    ["</1", /not closed with >/],
    ["/1", /must start with </],
    ["</1>,", /missing after the comma/],
    ["</1> </2>", /comma or the end/],
    ['</1>;a="x', /not closed/],
    ["</1>;", /attribute name is missing/],
    ["</1>;a=", /value of "a" is missing/],
  ])("REG-17 %s says what is wrong and where", (text, message) => {
    expect(() => parseLinks(text)).toThrow(message);
    expect(() => parseLinks(text)).toThrow(/at character \d+/);
  });
});

describe("links of Pelion's client", () => {
  test("decorated resources, one with quotes that are not escaped", () => {
    const text =
      '</3/0/13>;obs,</3/0/2>;v="0";aobs="115",</14/0/1>;rt="Component Identity";v="say "hi", you",</1/0/8>';
    expect(plain(parseLinks(text))).toEqual([
      ["/3/0/13", { obs: null }],
      ["/3/0/2", { v: "0", aobs: "115" }],
      ["/14/0/1", { rt: "Component Identity", v: 'say "hi", you' }],
      ["/1/0/8", {}],
    ]);
    expect(paths(text)).toEqual(["/3/0/13", "/3/0/2", "/14/0/1", "/1/0/8"]);
  });
});

describe("the list after an Update", () => {
  const before = parseLinks("</3>,</3/0>,</3/0/0>,</3303>,</3303/0>,</3303/0/5700>;obs");

  test("UPD-17 the list of a standard client replaces the former one", () => {
    const update = parseLinks("</1/0>,</3/0>");
    expect(mergeObjectLinks(before, update, false)).toEqual(update);
  });

  test("links marked with d go, with everything below them", () => {
    const update = parseLinks("</3303/0>;d,</33>");
    expect(mergeObjectLinks(before, update, false).map((one) => one.target)).toEqual([
      "/3",
      "/3/0",
      "/3/0/0",
      "/3303",
      "/33",
    ]);
  });

  test("new links of a client of Pelion's kind are added, known ones renewed", () => {
    const update = [link("/3/0/0", { v: "x" }), link("/5/0")];
    const after = mergeObjectLinks(before, update, true);
    expect(after).toHaveLength(before.length + 1);
    expect(after.find((one) => one.target === "/3/0/0")?.attributes.get("v")).toBe("x");
  });
});
