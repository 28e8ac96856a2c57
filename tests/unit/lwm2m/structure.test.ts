import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatPath, mayHave, parseLinks, presentedNodes, readObjectLinks } from "@/server/lwm2m";

const read = (text: string) => readObjectLinks(parseLinks(text), "1.1");
const paths = (text: string, known: string[] = []) =>
  presentedNodes(read(text), known).map(({ path }) => path);

describe("what a device presented, or surely has", () => {
  test("of bare instances what their definition demands, and what a value is known of", () => {
    expect(paths("</3303/0>,</9999/1>")).toEqual(["/3303/0", "/3303/0/5700", "/9999/1"]);
    expect(paths("</3303/0>", ["/3303/0/5701", "/3303/0/6042/3", "/3/0/1", "/3303/1/5700"])).toEqual([
      "/3303/0",
      "/3303/0/5700",
      "/3303/0/5701",
      "/3303/0/6042",
    ]);
  });

  test("of instances with resources only those", () => {
    expect(paths("</3303/0>,</3303/0/5701>", ["/3303/0/5700"])).toEqual(["/3303/0", "/3303/0/5701"]);
  });

  test("decorated resources say what can be observed; others have their definition", () => {
    const decorated = presentedNodes(
      read('</3200/0/5501>;obs;rt="counter";if="sensor";ct=0,</3201/0/5850>;rt="led"'),
    );
    expect(decorated).toEqual([
      {
        path: "/3200/0/5501",
        resourceType: "counter",
        interfaces: "sensor",
        observable: true,
        contentFormat: 0,
      },
      { path: "/3201/0/5850", resourceType: "led", interfaces: "", observable: false, contentFormat: null },
    ]);
    const plain = presentedNodes(read("</3/0/0>,</3/0/4>,</9999/0/1>"));
    expect(plain.map(({ path, observable }) => [path, observable])).toEqual([
      ["/3/0/0", true],
      ["/3/0/4", false],
      ["/9999/0/1", true],
    ]);
  });

  test("a path may be there unless the device told otherwise", () => {
    const links = read("</1>,</3303/0>,</3/0/0>,</3/0/11>,</3/0/7/1>");
    const has = (path: string) => mayHave(links, path);
    for (const path of [
      "/1",
      "/3303",
      "/3303/0",
      "/3303/0/5701",
      "/3303/0/1/2",
      "/3/0",
      "/3/0/0",
      "/3/0/11/2",
    ])
      expect(has(path), path).toBe(true);
    for (const path of [
      "/",
      "/5",
      "/1/0",
      "/1/0/1",
      "/3303/1",
      "/3303/1/5700",
      "/3/0/1",
      "/3/0/7/2",
      "/3/0/1/0",
    ])
      expect(has(path), path).toBe(false);
  });

  test("whatever is listed may be there", () => {
    const path = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 4 }).map(formatPath);
    fc.assert(
      fc.property(fc.array(path, { maxLength: 12 }), fc.array(path), (presented, known) => {
        const links = read(presented.map((one) => `<${one}>`).join(","));
        for (const node of presentedNodes(links, known)) expect(mayHave(links, node.path)).toBe(true);
      }),
    );
  });
});
