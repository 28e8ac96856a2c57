import { beforeEach, describe, expect, test } from "vitest";
import type { IncomingRequest, OutgoingResponse } from "@/server/coap/types";
import { Management } from "@/server/device/management";
import { addStandardObjects, type DeviceObjects } from "@/server/device/objects";
import { ResourceTree } from "@/server/device/tree";
import {
  decodeContent,
  encodeContent,
  encodeResources,
  float,
  integer,
  type ResourceValue,
  string,
} from "@/server/lwm2m";
import { FakeClock } from "../../support/fake-clock";
import { FakeObserver, incoming } from "./fake-server";

let clock: FakeClock;
let tree: ResourceTree;
let objects: DeviceObjects;
let management: Management;
let done: string[];
/** A sensor whose value the test sets: /3303/5/5700. */
let reading: number;

beforeEach(() => {
  clock = new FakeClock();
  tree = new ResourceTree();
  done = [];
  objects = addStandardObjects(
    tree,
    { serialNumber: "42", softwareVersion: "1", shortServerId: 1, binding: "U", lifetime: 300 },
    {
      update: () => done.push("update"),
      bootstrap: () => done.push("bootstrap"),
      reboot: () => done.push("reboot"),
      factoryReset: () => done.push("factoryReset"),
    },
    { clock, random: () => 0.75 },
  );
  reading = 1024;
  tree.add(3303, 5, "1.1", { 5700: { read: () => float(reading) } });
  management = new Management(tree, "1.1", clock, objects.defaultPmin);
});

function send(
  method: IncomingRequest["method"],
  path: string,
  rest: Partial<IncomingRequest> = {},
): OutgoingResponse {
  const response = management.handle(incoming({ method, path: path.split("/").filter(Boolean), ...rest }));
  response.sent?.();
  return response;
}
const get = (path: string, accept: number | null = null) => send("GET", path, { accept });
const put = (path: string, value: string, contentFormat: number | null = 0) =>
  send("PUT", path, { contentFormat, payload: Buffer.from(value) });
const text = (response: OutgoingResponse) => Buffer.from(response.payload ?? "").toString();
const discover = (path: string) => text(get(path, 40));

function observe(path: string, accept: number | null = null): FakeObserver {
  const response = send("GET", path, { accept, observe: 0 });
  expect(response.code).toBe("2.05");
  const observer = new FakeObserver(clock, path.split("/").filter(Boolean));
  response.observe?.(observer);
  return observer;
}
const attributes = (path: string, ...query: string[]) => send("PUT", path, { query });
function change(value: number): void {
  reading = value;
  tree.changed("/3303/5/5700");
}

describe("reading", () => {
  test("DM-01 a resource in every format", () => {
    for (const format of [0, 110, 112, 11542, 1542, 99]) {
      const response = get("/3/0/2", format);
      expect([response.code, response.contentFormat]).toEqual(["2.05", format]);
      expect(decodeContent(format, response.payload as Uint8Array, "/3/0/2")[0]?.value).toEqual(string("42"));
    }
    expect([get("/3/0/2").contentFormat, get("/3/0").contentFormat]).toEqual([0, 11542]);
  });

  test("DM-02 DM-05 resource instances, instances and objects", () => {
    expect(text(get("/3/0/11/0"))).toBe("0");
    const object = get("/3303");
    const values = decodeContent(11542, object.payload as Uint8Array, "/3303");
    expect(values.map((one) => one.path)).toContain("/3303/5/5700");
    expect(values.map((one) => one.path)).toContain("/3303/0/5701");
  });

  test.each([
    ["DM-03", "/3/0/9/0", null, "4.00"],
    ["DM-08", "/3/0/4", null, "4.05"],
    ["DM-09", "/5", null, "4.04"],
    ["DM-09", "/3/1", null, "4.04"],
    ["DM-09", "/3/0/999", null, "4.04"],
    ["DM-09", "/3/0/11/7", null, "4.04"],
    ["DM-10", "/0", null, "4.04"],
    ["DM-10", "/0/0/5", null, "4.04"],
    ["DM-16", "/3/1/0", 40, "4.04"],
    ["DM-16", "/77", 40, "4.04"],
    ["an unknown format", "/3/0/9", 60, "4.06"],
    ["text for an instance", "/3/0", 0, "4.06"],
    ["what is no path", "/x", null, "4.04"],
    ["nothing", "/", null, "4.04"],
  ])("%s GET %s", (_row, path, accept, code) => {
    expect(get(path, accept).code).toBe(code);
  });
});

describe("discovering", () => {
  test("DM-13 DM-14 DM-15 what an instance and a resource have", () => {
    expect(discover("/3/0")).toMatch(/^<\/3\/0>,<\/3\/0\/0>,.*<\/3\/0\/11>;dim=1,/);
    expect(discover("/3/0/0")).toBe("</3/0/0>");
    expect(discover("/3/0/11")).toBe("</3/0/11>;dim=1,</3/0/11/0>");
    expect(discover("/3303")).toMatch(/^<\/3303>;ver=1\.1,<\/3303\/0>,<\/3303\/5>,/);
  });

  test("ATT-11 ATT-13 ATT-14 attributes show where they were written", () => {
    attributes("/3303", "pmin=100", "pmax=200");
    attributes("/3303/5", "pmin=10");
    attributes("/3303/5/5700", "gt=50", "lt=2.5", "st=4");
    expect(discover("/3303")).toMatch(/^<\/3303>;ver=1\.1;pmin=100;pmax=200,/);
    expect(discover("/3303/5")).toBe("</3303/5>;pmin=10,</3303/5/5700>;gt=50;lt=2.5;st=4");
    attributes("/3/0/11/0", "pmin=1");
    expect(discover("/3/0")).not.toContain("pmin");
    expect(discover("/3/0/11")).toBe("</3/0/11>;dim=1,</3/0/11/0>;pmin=1");
  });
});

describe("writing", () => {
  test("WR-01 a resource, read back equal", () => {
    for (const format of [0, 110, 112, 11542]) {
      const value: ResourceValue = string(`zone ${format}`);
      const payload = encodeContent(format, "/3/0/15", value);
      expect(send("PUT", "/3/0/15", { contentFormat: format, payload }).code).toBe("2.04");
      expect(text(get("/3/0/15"))).toBe(`zone ${format}`);
    }
    expect(put("/3/0/14", "+01:00", null).code).toBe("2.04");
    put("/3/0/13", "1000000000");
    expect(text(get("/3/0/13"))).toBe("1000000000");
  });

  test("WR-05 WR-07 an instance: what is not in the payload stays", () => {
    const payload = encodeResources([{ id: 14, value: string("+02:00") }]);
    expect(send("POST", "/3/0", { contentFormat: 11542, payload }).code).toBe("2.04");
    expect([text(get("/3/0/14")), text(get("/3/0/15"))]).toEqual(["+02:00", "Etc/UTC"]);
  });

  test("an instance with one resource that cannot be written changes nothing", () => {
    const payload = encodeResources([
      { id: 14, value: string("+09:00") },
      { id: 0, value: string("Others") },
    ]);
    expect(send("PUT", "/3/0", { contentFormat: 11542, payload }).code).toBe("4.05");
    expect(text(get("/3/0/14"))).toBe("+00:00");
  });

  test.each([
    ["a read-only resource", "/3/0/0", "x", 0, "4.05"],
    ["an executable one", "/3/0/4", "x", 0, "4.05"],
    ["an unknown one", "/3/0/99", "x", 0, "4.04"],
    ["a value of the wrong type", "/1/0/1", "soon", 0, "4.00"],
    ["a value out of range", "/1/0/1", "0", 0, "4.00"],
    ["a binding it does not have", "/1/0/7", "S", 0, "4.00"],
    ["an unknown format", "/3/0/14", "x", 50, "4.15"],
    ["a broken payload", "/3/0/14", "\xc8", 11542, "4.00"],
    ["a whole object", "/3", "x", 0, "4.05"],
    ["below the security object", "/0/0/0", "x", 0, "4.04"],
  ])("%s is refused", (_what, path, value, format, code) => {
    expect(put(path, value, format).code).toBe(code);
  });
});

describe("executing, creating, deleting", () => {
  test("DM-20 with and without arguments, done once the answer is out", () => {
    const response = management.handle(incoming({ method: "POST", path: ["1", "0", "8"] }));
    expect([response.code, done]).toEqual(["2.04", []]);
    response.sent?.();
    expect(done).toEqual(["update"]);
    expect(send("POST", "/3/0/4", { contentFormat: 0, payload: Buffer.from("0='now'") }).code).toBe("2.04");
    expect(done).toEqual(["update", "reboot"]);
    expect(send("POST", "/3/0/5").code).toBe("2.04");
    expect(send("POST", "/1/0/9").code).toBe("2.04");
    expect(done).toEqual(["update", "reboot", "factoryReset", "bootstrap"]);
    expect(send("POST", "/3/0/4", { contentFormat: 0, payload: Buffer.from("now") }).code).toBe("4.00");
  });

  test.each([
    ["DM-17", "POST", "/3/0/0", "4.05"],
    ["DM-17", "POST", "/3/0/15", "4.05"],
    ["DM-19", "POST", "/0/0/1", "4.04"],
    ["DM-25", "POST", "/3", "4.00"],
    ["DM-26", "POST", "/0", "4.04"],
    ["DM-26", "POST", "/50", "4.04"],
    ["DM-28", "DELETE", "/3303/9", "4.04"],
    ["DM-28", "DELETE", "/3/0", "4.05"],
    ["DM-28", "DELETE", "/0/0", "4.04"],
    ["DM-29", "DELETE", "/3/0/14", "4.00"],
    ["composite", "FETCH", "/3", "4.05"],
  ] as const)("%s %s %s", (_row, method, path, code) => {
    expect(send(method, path).code).toBe(code);
  });
});

describe("observing", () => {
  test("OBS-01 OBS-02 OBS-13 changes are told, those of others are not", () => {
    const resource = observe("/3303/5/5700");
    const instance = observe("/3303/5", 112);
    const other = observe("/3303/0/5701");
    change(1025);
    expect(resource.told.map((one) => one.text)).toEqual(["1025"]);
    expect(instance.told).toHaveLength(1);
    expect(other.told).toEqual([]);
  });

  test("values change by themselves, and writes are told", () => {
    const temperature = observe("/3303/0/5700");
    const time = observe("/3/0/13");
    const device = observe("/3/0");
    objects.tick();
    objects.tick();
    expect(new Set(temperature.told.map((one) => one.text)).size).toBe(2);
    expect(time.told).toHaveLength(2);
    expect(device.told).toEqual([]);
    put("/3/0/14", "+05:00");
    expect(device.told).toHaveLength(1);
  });

  test("OBS-03 what is gone is told with 4.04, which is the last word", () => {
    const observer = observe("/3303/5/5700");
    tree.remove(3303, 5);
    tree.changed("/3303/5");
    tree.changed("/3303/5");
    expect(observer.told.map((one) => one.code)).toEqual(["4.04"]);
    expect(management.observations.size).toBe(0);
  });

  test("an observer that ends is told nothing any longer", async () => {
    const observer = observe("/3303/5/5700");
    attributes("/3303/5/5700", "pmax=5");
    observer.onend?.("cancelled");
    change(1);
    await clock.advance(60_000);
    expect(observer.told).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test("ATT-01 pmin holds a change back", async () => {
    attributes("/3303/5/5700", "pmin=1");
    const observer = observe("/3303/5/5700");
    const start = clock.now();
    change(1);
    change(2);
    await clock.advance(5000);
    expect(observer.told).toEqual([{ at: start + 1000, code: "2.05", text: "2" }]);
  });

  test("ATT-02 ATT-03 pmax tells without a change", async () => {
    const observer = observe("/3303/5/5700");
    attributes("/3303/5/5700", "pmin=1", "pmax=2");
    const start = clock.now();
    change(7);
    await clock.advance(3000);
    expect(observer.told.map((one) => one.at - start)).toEqual([1000, 3000]);
    attributes("/3303/5/5700", "pmax");
    await clock.advance(60_000);
    expect(observer.told).toHaveLength(2);
  });

  test("the default pmin of the server object holds where none was written", async () => {
    put("/1/0/2", "3");
    const observer = observe("/3303/5/5700");
    change(1);
    expect(observer.told).toEqual([]);
    await clock.advance(3000);
    expect(observer.told).toHaveLength(1);
  });

  test("ATT-04 ATT-05 ATT-07 thresholds", async () => {
    attributes("/3303/5/5700", "lt=500");
    const below = observe("/3303/5/5700");
    change(800);
    expect(below.told).toEqual([]);
    change(450);
    expect(below.told).toHaveLength(1);
    attributes("/3303/5/5700", "lt", "gt=2000");
    change(1500);
    expect(below.told).toHaveLength(1);
    change(3000);
    expect(below.told).toHaveLength(2);
    attributes("/3303/5/5700", "pmax=1");
    await clock.advance(1000);
    expect(below.told).toHaveLength(3);
  });

  test("ATT-08 lt, gt and st are alternatives", () => {
    attributes("/3303/5/5700", "lt=1000", "gt=1201", "st=100");
    const observer = observe("/3303/5/5700");
    for (const value of [1050, 990, 1100, 1210]) change(value);
    expect(observer.told.map((one) => one.text)).toEqual(["990", "1100", "1210"]);
  });

  test("ATT-09 attributes of the levels above hold below", async () => {
    attributes("/3303", "pmin=2");
    const observer = observe("/3303/5/5700");
    change(5);
    expect(observer.told).toEqual([]);
    await clock.advance(2000);
    expect(observer.told).toHaveLength(1);
  });

  test("ATT-10 inherited attributes that contradict each other", () => {
    attributes("/3303", "pmin=200");
    attributes("/3303/5", "pmax=100");
    expect(send("GET", "/3303/5/5700", { observe: 0 }).code).toBe("5.00");
    expect(get("/3303/5/5700").code).toBe("2.05");
  });

  test("ATT-15 contradictions at one node are refused", () => {
    const node = "/3303/5/5700";
    expect(attributes(node, "pmin=100", "pmax=50").code).toBe("4.00");
    expect(attributes(node, "pmax=50").code).toBe("2.04");
    expect(attributes(node, "pmin=100").code).toBe("4.00");
    expect(attributes(node, "gt=1", "lt=2").code).toBe("4.00");
    expect(attributes(node, "gt=2", "lt=2").code).toBe("4.00");
    expect(attributes(node, "lt=0", "st=5", "gt=10").code).toBe("4.00");
    expect(attributes(node, "pmin=x").code).toBe("4.00");
    expect(attributes(node, "colour=red").code).toBe("4.00");
    expect(attributes("/3/0/99", "pmin=1").code).toBe("4.04");
    expect(discover(node)).toBe("</3303/5/5700>;pmax=50");
  });
});

test("the number of an integer is watched as well", () => {
  attributes("/3/0/9", "lt=50");
  const observer = observe("/3/0/9");
  for (let minutes = 0; minutes < 60; minutes++) for (let second = 0; second < 60; second++) objects.tick();
  expect(observer.told.map((one) => Number(one.text))).toEqual([49]);
  expect(get("/3/0/9").payload).toEqual(encodeContent(0, "/3/0/9", integer(40)));
});
