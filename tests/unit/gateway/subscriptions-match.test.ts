import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type PresubscribedDevice,
  type PresubscriptionFacts,
  presubscribedPaths,
} from "@/server/gateway/presubscriptions";
import { mayHave, parseLinks, presentedNodes, readObjectLinks } from "@/server/lwm2m";

const ID = "0123456789abcdef0123456789abcdef";

function device(links: string, facts: Partial<PresubscribedDevice> = {}): PresubscribedDevice {
  const read = readObjectLinks(parseLinks(links), "1.1");
  return {
    id: ID,
    endpointName: "lamp-7",
    endpointType: "lamp",
    nodes: presentedNodes(read),
    mayHave: (path) => mayHave(read, path),
    ...facts,
  };
}

const pelion = device(
  '</3/0/0>;aobs="1";obs;v="x",</3200/0/5501>;obs;rt="c",</3200/0/5502>,</3201/0/5853>;obs,</32000/0/1>;obs',
);
const standard = device("</1/0>,</3303/0>,</3303/1>");
const wants = (facts: Partial<PresubscriptionFacts>, of = pelion) => [
  ...presubscribedPaths([{ endpointName: null, endpointType: null, resourcePaths: [], ...facts }], of),
];

describe("pre-subscriptions", () => {
  test("without paths find every observable resource", () => {
    expect(wants({})).toEqual(["/3/0/0", "/3200/0/5501", "/3201/0/5853", "/32000/0/1"]);
    expect(wants({}, standard)).toEqual([
      "/1/0/0",
      "/1/0/1",
      "/1/0/6",
      "/1/0/7",
      "/3303/0/5700",
      "/3303/1/5700",
    ]);
  });

  test("patterns match from the beginning, as far as the star", () => {
    expect(wants({ resourcePaths: ["/3200*"] })).toEqual(["/3200/0/5501", "/32000/0/1"]);
    expect(wants({ resourcePaths: ["/3200/*"] })).toEqual(["/3200/0/5501"]);
    expect(wants({ resourcePaths: ["*"] })).toEqual(wants({}));
    expect(wants({ resourcePaths: ["/3303/*"] }, standard)).toEqual(["/3303/0/5700", "/3303/1/5700"]);
    expect(wants({ resourcePaths: ["/3200/0/550"] })).toEqual([]);
  });

  test("a path in full may be an object, an instance, or a resource that nothing tells of", () => {
    expect(wants({ resourcePaths: ["/3200/0/5501", "/3200", "/3200/0"] })).toEqual([
      "/3200/0/5501",
      "/3200",
      "/3200/0",
    ]);
    expect(wants({ resourcePaths: ["/3303/1/5701", "/3303/2", "/3303/2/5700"] }, standard)).toEqual([
      "/3303/1/5701",
    ]);
  });

  test("what a device says cannot be observed is not", () => {
    expect(wants({ resourcePaths: ["/3200/0/5502", "/3200/0/5503", "/", "3200/0/5501", "/x/*"] })).toEqual(
      [],
    );
  });

  test("every condition has to match; a name is a device ID or an endpoint name", () => {
    const one = { resourcePaths: ["/3200/0/5501"] };
    for (const endpointName of [ID, `${ID.slice(0, 8)}*`, "lamp-7", "lamp-*", "*"])
      expect(wants({ ...one, endpointName }), endpointName).toHaveLength(1);
    for (const endpointName of ["lamp", "LAMP-7", "", "7*"])
      expect(wants({ ...one, endpointName }), endpointName).toEqual([]);
    expect(wants({ ...one, endpointType: "la*" })).toHaveLength(1);
    expect(wants({ ...one, endpointName: "*", endpointType: "door" })).toEqual([]);
  });

  test("of several each counts", () => {
    const found = presubscribedPaths(
      [
        { endpointName: "other", endpointType: null, resourcePaths: [] },
        { endpointName: "lamp*", endpointType: null, resourcePaths: ["/3/0/0"] },
        { endpointName: null, endpointType: "lamp", resourcePaths: ["/3/*", "/3201/*"] },
      ],
      pelion,
    );
    expect([...found]).toEqual(["/3/0/0", "/3201/0/5853"]);
  });

  test("as many as there may be cost little", () => {
    const resourcePaths = Array.from({ length: 256 }, (_, n) => `/4${n}/0/1`);
    const wanted = Array.from({ length: 1024 }, () => ({
      endpointName: "lamp*",
      endpointType: null,
      resourcePaths,
    }));
    const links = Array.from({ length: 500 }, (_, n) => `</3${n}/0/1>;obs`).join(",");
    let looked = 0;
    const of = device(links);
    const counting = { ...of, mayHave: (path: string) => ++looked > 0 && of.mayHave(path) };
    expect([...presubscribedPaths(wanted, counting)]).toEqual([]);
    expect(looked).toBeLessThanOrEqual(256);
  });

  test("nothing that is found is more than the device may have, whatever is wanted", () => {
    const path = fc.oneof(
      fc.constantFrom("/3200/*", "/3200/0/5501", "*", "/", "/3303", "/3303/0/5701", "//", "/3303/*"),
      fc.string({ maxLength: 12 }),
    );
    const wanted = fc.record({
      endpointName: fc.option(fc.constantFrom("lamp*", "*", "x")),
      endpointType: fc.option(fc.constantFrom("lamp", "*", "x")),
      resourcePaths: fc.array(path),
    });
    fc.assert(
      fc.property(fc.array(wanted), fc.constantFrom(pelion, standard), (list, of) => {
        for (const found of presubscribedPaths(list, of)) {
          expect(of.mayHave(found)).toBe(true);
          expect(of.nodes.find((node) => node.path === found)?.observable ?? true).toBe(true);
        }
      }),
    );
  });
});
