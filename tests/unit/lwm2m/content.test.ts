import { describe, expect, test } from "vitest";
import {
  boolean,
  ContentError,
  type ContentValue,
  decodeContent,
  decodePaths,
  encodeContent,
  encodeObjectInstance,
  encodePaths,
  encodeResources,
  encodeTlv,
  float,
  integer,
  objlnk,
  opaque,
  string,
  time,
  whole,
  writeFormat,
} from "@/server/lwm2m";

const TLV = 11542;
const JSON_1_0 = 11543;
const SENML_JSON = 110;
const SENML_CBOR = 112;
const LWM2M_CBOR = 11544;

const hex = (text: string) => new Uint8Array(Buffer.from(text.replace(/\s/g, ""), "hex"));
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const text = (value: string) => new Uint8Array(Buffer.from(value));
const read = (format: number, payload: Uint8Array, path: string, root = "/") =>
  decodeContent(format, payload, path, root, { now: 1_800_000_000_000 }).map((one) =>
    one.at === undefined ? [one.path, one.value.value] : [one.path, one.value.value, one.at],
  );

// The Device instance of the specification's example. [LwM2M-Core 1.0 §6.4.3.2]
const DEVICE =
  "C800144F70656E204D6F62696C6520416C6C69616E6365C801164C69676874776569676874204D324D20436C69656E74C80209333435303030313233C303312E30860641000141010588070842000ED842011388870841007D42010384C10964C10A0F830B410000C40D5182428FC60E2B30323A3030C11055";
const DEVICE_VALUES: [string, unknown][] = [
  ["/3/0/0", "Open Mobile Alliance"],
  ["/3/0/1", "Lightweight M2M Client"],
  ["/3/0/2", "345000123"],
  ["/3/0/3", "1.0"],
  ["/3/0/6/0", "1"],
  ["/3/0/6/1", "5"],
  ["/3/0/7/0", "3800"],
  ["/3/0/7/1", "5000"],
  ["/3/0/8/0", "125"],
  ["/3/0/8/1", "900"],
  ["/3/0/9", "100"],
  ["/3/0/10", "15"],
  ["/3/0/11/0", "0"],
  ["/3/0/13", "1367491215"],
  ["/3/0/14", "+02:00"],
  ["/3/0/16", "U"],
];

describe("TLV", () => {
  test("COD-01 the Device instance as resources", () => {
    expect(read(TLV, hex(DEVICE), "/3/0")).toEqual(DEVICE_VALUES);
    expect(read(1542, hex(DEVICE), "/3/0")).toEqual(DEVICE_VALUES);
    expect(read(99, hex(DEVICE), "/3")).toEqual(DEVICE_VALUES);
  });

  test("COD-02 the same inside of an instance", () => {
    expect(read(TLV, hex(`080079${DEVICE}`), "/3/0")).toEqual(DEVICE_VALUES);
    expect(read(TLV, hex(`080079${DEVICE}`), "/3")).toEqual(DEVICE_VALUES);
  });

  test("COD-03 encoding gives the bytes back, with and without the instance", () => {
    const values = decodeContent(TLV, hex(DEVICE), "/3/0");
    expect(toHex(encodeContent(TLV, "/3/0", values)).toUpperCase()).toBe(DEVICE);
    expect(toHex(encodeTlv(values, "/3/0", { instanceTlv: true })).toUpperCase()).toBe(`080079${DEVICE}`);
    expect(toHex(encodeContent(TLV, "/3", values)).toUpperCase()).toBe(`080079${DEVICE}`);
  });

  const ACL = "08000EC10001C101008302417F07C1037F080212C10003C101008702417F0761013601C1037F";

  test("COD-04 an object with two instances", () => {
    const values = decodeContent(TLV, hex(ACL), "/2");
    expect(values.map((one) => [one.path, one.value.value])).toEqual([
      ["/2/0/0", "1"],
      ["/2/0/1", "0"],
      ["/2/0/2/127", "7"],
      ["/2/0/3", "127"],
      ["/2/2/0", "3"],
      ["/2/2/1", "0"],
      ["/2/2/2/127", "7"],
      ["/2/2/2/310", "1"],
      ["/2/2/3", "127"],
    ]);
    expect(toHex(encodeContent(TLV, "/2", values)).toUpperCase()).toBe(ACL);
  });

  test("COD-05 an object with one instance", () => {
    expect(read(TLV, hex("08000FC10001C40100015180C10601C10755"), "/1")).toEqual([
      ["/1/0/0", "1"],
      ["/1/0/1", "86400"],
      ["/1/0/6", true],
      ["/1/0/7", "U"],
    ]);
  });

  test("COD-07 a multiple resource, as resource and as bare instances", () => {
    const values = [
      ["/3/0/6/0", "1"],
      ["/3/0/6/1", "5"],
    ];
    expect(read(TLV, hex("8606410001410105"), "/3/0/6")).toEqual(values);
    expect(read(TLV, hex("410001410105"), "/3/0/6")).toEqual(values);
    expect(read(TLV, hex("410105"), "/3/0/6/1")).toEqual([["/3/0/6/1", "5"]]);
  });

  test.each([
    ["an instance", "0300C100010300C10001", "/1"],
    ["a resource", "C10964C10963", "/3/0"],
    ["a resource instance", "8606410001410005", "/3/0/6"],
  ])("COD-08 %s that appears twice is refused", (_what, payload, path) => {
    expect(() => read(TLV, hex(payload), path)).toThrow(/appears twice/);
  });

  test("COD-09 a Create without instance id", () => {
    expect(decodeContent(TLV, hex("C10001"), "/1", "/", { newInstance: true })[0]?.path).toBe("/1/65535/0");
    expect(decodeContent(TLV, hex("C10001"), "/31999", "/", { newInstance: true })[0]?.path).toBe(
      "/31999/65535/0",
    );
    expect(() => read(TLV, hex("C10001"), "/1")).toThrow(/which instance/);
  });

  test("COD-10 a resource inside of an instance nobody asked for", () => {
    expect(read(TLV, hex("0300C10964"), "/3/0/9")).toEqual([["/3/0/9", "100"]]);
    expect(() => read(TLV, hex("0301C10964"), "/3/0/9")).toThrow(/instance 1 in place of instance 0/);
    expect(() => read(TLV, hex("0300C10964"), "/3/0/10")).toThrow(/in place of/);
    expect(() => read(TLV, hex("0301C10964"), "/3/0")).toThrow(ContentError);
  });

  test("COD-11 nothing is an empty object, instance or multiple resource", () => {
    const formats: [number, string][] = [
      [TLV, ""],
      [SENML_JSON, ""],
      [SENML_JSON, "[]"],
      [JSON_1_0, '{"e":[]}'],
    ];
    for (const [format, payload] of formats) {
      for (const path of ["/2", "/2/0", "/2/0/2"]) expect(read(format, text(payload), path)).toEqual([]);
      expect(() => read(format, text(payload), "/3/0/0")).toThrow(/[Nn]o value/);
    }
  });

  test("COD-13 numbers take the fewest bytes", () => {
    const bytes = (id: number, value: Parameters<typeof encodeContent>[2]) =>
      toHex(encodeContent(TLV, `/3/0/${id}`, value));
    expect(bytes(9, integer(127))).toBe("c1097f");
    expect(bytes(9, integer(128))).toBe("c2090080");
    expect(bytes(9, integer(-1))).toBe("c109ff");
    expect(bytes(9, integer(-129))).toBe("c209ff7f");
    expect(bytes(9, integer(0x12345678))).toBe("c40912345678");
    expect(bytes(9, integer(2n ** 62n))).toBe("c8 0908 4000000000000000".replace(/ /g, ""));
    expect(bytes(13, time(1_367_491_215))).toBe("c40d5182428f");
    expect(toHex(encodeContent(TLV, "/1/0/6", boolean(true)))).toBe("c10601");
    expect(toHex(encodeContent(TLV, "/1/0/11", whole("unsigned", 255)))).toBe("c10bff");
    expect(toHex(encodeContent(TLV, "/3303/0/5700", float(21.5)))).toBe("e4164441ac0000");
    expect(toHex(encodeContent(TLV, "/3303/0/5700", float(21.3)))).toHaveLength("e8164408".length + 16);
    expect(toHex(encodeContent(TLV, "/3/0/22/0", objlnk(10, 3)))).toBe("4400000a0003");
  });

  test("numbers of lengths that do not exist are refused", () => {
    expect(() => read(TLV, hex("C30901 0203"), "/3/0/9")).toThrow(/3 bytes are no whole number/);
    expect(() => read(TLV, hex("C10602"), "/1/0/6")).toThrow(/neither true/);
    expect(read(TLV, hex("E4 1644 41AA6666"), "/3303/0/5700")).toEqual([["/3303/0/5700", 21.3]]);
  });

  test("DM-07 an empty opaque value is a value", () => {
    expect(read(TLV, hex("C003"), "/0/0/3")).toEqual([["/0/0/3", ""]]);
    expect(read(42, hex(""), "/0/0/3")).toEqual([["/0/0/3", ""]]);
  });

  test("without a definition: printable text, else opaque", () => {
    expect(decodeContent(TLV, hex("C2006869"), "/31999/0")).toEqual([
      { path: "/31999/0/0", value: string("hi") },
    ]);
    expect(decodeContent(TLV, hex("C200ff01"), "/31999/0")).toEqual([
      { path: "/31999/0/0", value: opaque(hex("ff01")) },
    ]);
    expect(read(0, text("two\nlines"), "/31999/0/0")).toEqual([["/31999/0/0", "two\nlines"]]);
    expect(decodeContent(0, hex("000000"), "/31999/0/0")).toEqual([
      { path: "/31999/0/0", value: opaque(hex("000000")) },
    ]);
  });

  test("an entry that is longer than the payload", () => {
    expect(() => read(TLV, hex("C80014"), "/3/0")).toThrow(/20 bytes at offset 3, 0 are left/);
  });

  test("the object instance of a bootstrap write, 16-bit ids and long values included", () => {
    const certificate = new Uint8Array(600).fill(7);
    const payload = encodeObjectInstance(0, 0, [
      { id: 0, value: string("coaps://x") },
      { id: 1, value: boolean(false) },
      { id: 2, value: integer(2) },
      { id: 3, value: certificate },
      { id: 10, value: integer(300) },
    ]);
    expect(payload[0]! >> 6).toBe(0);
    expect(decodeContent(TLV, payload, "/0/0")).toEqual([
      { path: "/0/0/0", value: string("coaps://x") },
      { path: "/0/0/1", value: boolean(false) },
      { path: "/0/0/2", value: integer(2) },
      { path: "/0/0/3", value: opaque(certificate) },
      { path: "/0/0/10", value: integer(300) },
    ]);
    expect(decodeContent(TLV, payload, "/0")).toHaveLength(5);
    expect(() => encodeObjectInstance(0, 0, [{ id: 0, value: integer(1) }])).toThrow(/holds a text/);
    expect(
      toHex(
        encodeResources([
          { id: 0, value: integer(1) },
          { id: 1, value: integer(300) },
        ]),
      ),
    ).toBe("c10001c201012c");
  });
});

describe("text and opaque", () => {
  test("COD-14 values as text", () => {
    expect(read(0, text("56.4"), "/3303/0/5700")).toEqual([["/3303/0/5700", 56.4]]);
    expect(read(0, text("1367491215"), "/3/0/13")).toEqual([["/3/0/13", "1367491215"]]);
    expect(read(0, text("AQIDBAU="), "/0/0/3")).toEqual([["/0/0/3", "AQIDBAU="]]);
    expect(() => read(0, text("AQ*DBAU="), "/0/0/3")).toThrow(/is not base64/);
    expect(() => read(0, text("5"), "/3/0/6")).toThrow(/instances/);
    expect(() => read(0, text("5"), "/3/0")).toThrow(ContentError);
    expect(read(0, text("5"), "/3/0/6/1")).toEqual([["/3/0/6/1", "5"]]);
    expect(() => read(0, text("five"), "/3/0/9")).toThrow(/"five" is not a whole number/);
    expect(() => read(0, text(""), "/3/0/9")).toThrow(ContentError);
    expect(read(0, text(""), "/3/0/0")).toEqual([["/3/0/0", ""]]);
    expect(read(0, text("1"), "/1/0/6")).toEqual([["/1/0/6", true]]);
    expect(() => read(0, text("true"), "/1/0/6")).toThrow(ContentError);
    expect(() => read(0, hex("ff"), "/3/0/0")).toThrow(/not UTF-8/);
    const write = (path: string, value: Parameters<typeof encodeContent>[2]) =>
      Buffer.from(encodeContent(0, path, value)).toString();
    expect(write("/3303/0/5700", float(56.4))).toBe("56.4");
    expect(write("/3/0/13", time(1_367_491_215))).toBe("1367491215");
    expect(write("/0/0/3", opaque(hex("0102030405")))).toBe("AQIDBAU=");
    expect(() => encodeContent(0, "/3/0/6", [{ path: "/3/0/6/0", value: integer(1) }])).toThrow(/instances/);
  });

  test("COD-15 nothing is guessed without a content format", () => {
    expect(() => decodeContent(null, text("1"), "/3/0/9")).toThrow(/without a content format/);
  });

  test("OBS-07 an unknown content format is an error in words", () => {
    expect(() => decodeContent(666, text("1"), "/3/0/9")).toThrow(/666 is not known/);
  });

  test("opaque only for opaque resources", () => {
    expect(read(42, hex("010203"), "/0/0/3")).toEqual([["/0/0/3", "AQID"]]);
    expect(() => read(42, hex("01"), "/3/0/9")).toThrow(/not an opaque/);
    expect(toHex(encodeContent(42, "/0/0/3", opaque(hex("0102"))))).toBe("0102");
  });

  test("the format to write with", () => {
    expect(writeFormat(string("x"), [11542])).toBe(11542);
    expect(writeFormat(string("x"), [112, 0, 42, 40])).toBe(0);
    expect(writeFormat(opaque(hex("01")), [112, 0, 42, 40])).toBe(42);
    expect(writeFormat(string("x"), [110])).toBe(110);
  });
});

describe("LwM2M JSON", () => {
  const entries = '[{"n":"0","sv":"Open"},{"n":"9","v":100},{"n":"6/0","v":1}]';
  const expected = [
    ["/3/0/0", "Open"],
    ["/3/0/9", "100"],
    ["/3/0/6/0", "1"],
  ];

  test("COD-16 the base name in its forms", () => {
    expect(read(JSON_1_0, text(`{"bn":"/3/0/","e":${entries}}`), "/3/0")).toEqual(expected);
    expect(read(JSON_1_0, text(`{"bn":"3/0/","e":${entries}}`), "/3/0")).toEqual(expected);
    expect(read(JSON_1_0, text(`{"e":${entries}}`), "/3/0")).toEqual(expected);
    const absolute = entries.replace(/"n":"/g, '"n":"3/0/');
    expect(read(JSON_1_0, text(`{"bn":"/","e":${absolute}}`), "/3/0")).toEqual(expected);
    expect(read(JSON_1_0, text(`{"e":${absolute}}`), "/3/0")).toEqual(expected);
    expect(read(1543, text(`{"bn":"/3/0/","e":${entries}}`), "/3/0")).toEqual(expected);
  });

  test("COD-17 a base name cut in the middle of an id", () => {
    expect(read(JSON_1_0, text('{"bn":"3/0/1","e":[{"n":"1/0","v":7},{"n":"3","v":5}]}'), "/3/0")).toEqual([
      ["/3/0/11/0", "7"],
      ["/3/0/13", "5"],
    ]);
    expect(read(SENML_JSON, text('[{"bn":"/3/0/1","n":"1/0","v":7},{"n":"3","v":5}]'), "/3/0")).toEqual([
      ["/3/0/11/0", "7"],
      ["/3/0/13", "5"],
    ]);
  });

  test("COD-08 COD-19 duplicates and entries without a value", () => {
    expect(() => read(JSON_1_0, text('{"e":[{"n":"0","sv":"a"},{"n":"0","sv":"b"}]}'), "/3/0")).toThrow(
      /twice/,
    );
    expect(() => read(JSON_1_0, text('{"bn":"/3/0/0","e":[{"n":""}]}'), "/3/0/0")).toThrow(/no value/);
  });

  test("every kind of value, with times", () => {
    expect(read(JSON_1_0, text('{"bn":"/1/0/","e":[{"n":"6","bv":true}]}'), "/1/0")).toEqual([
      ["/1/0/6", true],
    ]);
    expect(read(JSON_1_0, text('{"e":[{"n":"","sv":"AQI="}]}'), "/0/0/3")).toEqual([["/0/0/3", "AQI="]]);
    expect(read(JSON_1_0, text('{"e":[{"n":"22/0","ov":"10:3"}]}'), "/3/0")).toEqual([["/3/0/22/0", "10:3"]]);
    expect(
      read(
        JSON_1_0,
        text('{"bn":"/3303/0/5700","bt":1700000000,"e":[{"t":-5,"v":1},{"t":-4.5,"v":2}]}'),
        "/3303/0/5700",
      ),
    ).toEqual([
      ["/3303/0/5700", 1, 1_699_999_995_000],
      ["/3303/0/5700", 2, 1_699_999_995_500],
    ]);
  });

  test("a base time counts from 1970 however small it is; without one, what is negative counts from now", () => {
    const times = (fields: string) =>
      read(JSON_1_0, text(`{"bn":"/3303/0/5700",${fields}}`), "/3303/0/5700").map(([, , at]) => at);
    expect(times('"bt":25462634,"e":[{"t":-5,"v":1},{"t":-30,"v":2},{"v":3}]')).toEqual([
      25_462_629_000, 25_462_604_000, 25_462_634_000,
    ]);
    expect(times('"e":[{"t":-5,"v":1},{"t":0,"v":2},{"v":3},{"t":1700000000,"v":4}]')).toEqual([
      1_799_999_995_000,
      1_800_000_000_000,
      undefined,
      1_700_000_000_000,
    ]);
  });
});

describe("SenML", () => {
  test("COD-20 base names that change inside of a pack", () => {
    for (const root of ["/", "/root/"]) {
      const base = root.slice(0, -1);
      const pack = `[{"bn":"${base}/2/3/","n":"0","v":1},{"n":"2/1","v":7},{"bn":"${base}/2/2/","n":"0","v":3}]`;
      expect(read(SENML_JSON, text(pack), "/2", root)).toEqual([
        ["/2/3/0", "1"],
        ["/2/3/2/1", "7"],
        ["/2/2/0", "3"],
      ]);
    }
  });

  test("COD-21 exponents", () => {
    const value = (number: string) =>
      read(SENML_JSON, text(`[{"bn":"/3/0/9","v":${number}}]`), "/3/0/9")[0]?.[1];
    expect(value("1e2")).toBe("100");
    expect(value("1.5E1")).toBe("15");
    expect(value("100.00")).toBe("100");
    expect(value("5000e-2")).toBe("50");
    expect(value("-0")).toBe("0");
    expect(() => value("1.5")).toThrow(/not a whole number/);
    expect(() => value("1e400")).toThrow(ContentError);
    expect(() => value("1e-999999999")).toThrow(ContentError);
  });

  test("COD-22 64 bits keep every digit", () => {
    const value = (path: string, number: string) =>
      read(SENML_JSON, text(`[{"n":"${path}","v":${number}}]`), path)[0]?.[1];
    expect(value("/3/0/10", "9223372036854775807")).toBe("9223372036854775807");
    expect(value("/3/0/10", "-9223372036854775808")).toBe("-9223372036854775808");
    expect(value("/1/0/11", "18446744073709551615")).toBe("18446744073709551615");
    expect(() => value("/3/0/10", "9223372036854775808")).toThrow(/does not fit/);
    for (const format of [SENML_JSON, SENML_CBOR, TLV, 0]) {
      const big = whole("unsigned", 18446744073709551615n);
      expect(decodeContent(format, encodeContent(format, "/1/0/11", big), "/1/0/11")[0]?.value).toEqual(big);
    }
  });

  test("COD-23 an empty multiple resource", () => {
    expect(read(SENML_JSON, text("[]"), "/3/0/6")).toEqual([]);
    expect(read(SENML_CBOR, hex("80"), "/3/0/6")).toEqual([]);
    expect(toHex(encodeContent(SENML_CBOR, "/3/0/6", []))).toBe("80");
    expect(() => read(SENML_CBOR, hex("80"), "/3/0/0")).toThrow(/No value/);
  });

  test("COD-25 opaque", () => {
    const value = opaque(hex("ABCDEF"));
    expect(Buffer.from(encodeContent(SENML_JSON, "/0/0/3", value)).toString()).toBe(
      '[{"bn":"/0/0/3","vd":"q83v"}]',
    );
    expect(toHex(encodeContent(SENML_CBOR, "/0/0/3", value))).toBe("81a221662f302f302f330843abcdef");
    expect(decodeContent(SENML_JSON, text('[{"bn":"/0/0/3","vd":"q83v"}]'), "/0/0/3")[0]?.value).toEqual(
      value,
    );
    expect(decodeContent(SENML_CBOR, hex("81a221662f302f302f330843abcdef"), "/0/0/3")[0]?.value).toEqual(
      value,
    );
  });

  test("COD-26 values with times in CBOR", () => {
    const values: ContentValue[] = [
      { path: "/0/0/0", value: string("SampleString"), at: 500_000_004_000 },
      { path: "/0/0/1", value: boolean(false), at: 500_000_005_000 },
      { path: "/0/0/2", value: integer(456), at: 500_000_006_000 },
    ];
    const bytes =
      "83a321662f302f302f3022c482001a1dcd6504036c53616d706c65537472696e67a321662f302f302f3122c482001a1dcd650504f4a321662f302f302f3222c482001a1dcd6506021901c8";
    expect(toHex(encodeContent(SENML_CBOR, "/0/0", values))).toBe(bytes);
    expect(decodeContent(SENML_CBOR, hex(bytes), "/0/0")).toEqual(values);
  });

  test("COD-27 COD-28 paths and answers of composite requests", () => {
    expect(decodePaths(SENML_JSON, text('[{"n":"/4/0/0"},{"n":"/3/0"},{"n":"/1"}]'))).toEqual([
      "/4/0/0",
      "/3/0",
      "/1",
    ]);
    expect(decodePaths(SENML_JSON, text('[{"bn":"/4/0/","n":"0"},{"n":"1"}]'))).toEqual(["/4/0/0", "/4/0/1"]);
    expect(() => decodePaths(SENML_JSON, text('[{"n":"/4/0/0","v":1}]'))).toThrow(/value or a time/);
    expect(() => decodePaths(SENML_JSON, text('[{"n":"/4/0/0","t":1}]'))).toThrow(/value or a time/);
    expect(decodePaths(SENML_CBOR, encodePaths(SENML_CBOR, ["/4/0/0", "/"], "/r/"), "/r/")).toEqual([
      "/4/0/0",
      "/",
    ]);
    expect(read(SENML_JSON, text('[{"bn":"/3/0/9","v":1},{"bn":"/1/0/","n":"1","v":60}]'), "/")).toEqual([
      ["/3/0/9", "1"],
      ["/1/0/1", "60"],
    ]);
    expect(() => read(SENML_JSON, text('[{"bn":"/3/0/9","v":1},{"bn":"/1/0/1","v":60}]'), "/3")).toThrow(
      /outside of/,
    );
  });

  test("COD-29 names carry the alternate root", () => {
    const values = decodeContent(
      SENML_JSON,
      text('[{"bn":"/root/3/0/","n":"9","v":1},{"n":"10","v":2}]'),
      "/3/0",
      "/root/",
    );
    expect(values.map((one) => one.path)).toEqual(["/3/0/9", "/3/0/10"]);
    expect(Buffer.from(encodeContent(SENML_JSON, "/3/0", values, "/root/")).toString()).toBe(
      '[{"bn":"/root/3/0/","n":"9","v":1},{"n":"10","v":2}]',
    );
  });

  test("OBS-10 relative times, and values without a time beside them", () => {
    const pack =
      '[{"bn":"/3303/0/","n":"5700","v":20},{"n":"5700","t":-10,"v":21.5},{"n":"5700","t":-5,"v":22}]';
    expect(read(SENML_JSON, text(pack), "/3303/0")).toEqual([
      ["/3303/0/5700", 20],
      ["/3303/0/5700", 21.5, 1_799_999_990_000],
      ["/3303/0/5700", 22, 1_799_999_995_000],
    ]);
    const values: ContentValue[] = [
      { path: "/3303/0/5700", value: float(1), at: 1_700_000_000_500 },
      { path: "/3303/0/5700", value: float(2) },
    ];
    for (const format of [SENML_JSON, SENML_CBOR]) {
      const again = decodeContent(format, encodeContent(format, "/3303/0", values), "/3303/0");
      expect(again).toEqual([values[1], values[0]]);
    }
  });

  test.each([
    ["{}", /not an array/],
    ["[1]", /not an object/],
    ['[{"n":"/3/0/9"}]', /no value/],
    ['[{"n":"/3/0/9","v":1,"vs":"x"}]', /two values/],
    ['[{"n":"/3/0/9","v":"1"}]', /v is not a number/],
    ['[{"n":"/3/0/9","vs":"1"}]', /whole number, the payload has text/],
    ['[{"n":"/3/0/9","v":1,"bs_":1}]', /not supported/],
    ['[{"n":"/3/0/9","v":1},{"n":"/3/0/9","v":2}]', /twice/],
    ['[{"n":"/3/0/9","v":1,"v":2}]', /appears twice/],
    ["[", /unreadable/],
    ['[{"n":"\\x"}]', /unreadable/],
    ["[".repeat(5000), /too deep/],
  ])("SenML JSON %# is refused in words", (payload, message) => {
    expect(() => read(SENML_JSON, text(payload), "/3/0/9")).toThrow(message);
  });

  test.each([
    ["a0", /not an array/],
    ["8101", /not a map/],
    ["0010", /CBOR/],
    ["81a1", /CBOR/],
    ["81".repeat(20000), /CBOR|not a map/],
    ["9b7fffffffffffffff", /CBOR/],
    ["81a2006 2 2f33 02c48100".replace(/ /g, ""), /CBOR/],
  ])("SenML CBOR %# is refused in words", (payload, message) => {
    expect(() => read(SENML_CBOR, hex(payload), "/3/0/9")).toThrow(message);
    expect(() => read(SENML_CBOR, hex(payload), "/3/0/9")).toThrow(ContentError);
  });
});

describe("LwM2M CBOR", () => {
  test("nested maps and lists of ids as keys", () => {
    // {3: {0: {0: "Open", 6: {0: 1, 1: 5}}}}
    const nested = "a103a100a20064 4f70656e 06a200010105";
    expect(read(LWM2M_CBOR, hex(nested), "/3/0")).toEqual([
      ["/3/0/0", "Open"],
      ["/3/0/6/0", "1"],
      ["/3/0/6/1", "5"],
    ]);
    // {[3, 0]: {9: 100}, [1, 0, 1]: 60}
    const flat = "a2 820300 a1091864 83010001 183c";
    expect(read(LWM2M_CBOR, hex(flat), "/")).toEqual([
      ["/3/0/9", "100"],
      ["/1/0/1", "60"],
    ]);
  });

  test("what does not fit is refused", () => {
    expect(() => read(LWM2M_CBOR, hex("a10301"), "/3")).toThrow(/holds no value/);
    expect(() => read(LWM2M_CBOR, hex("a103a100a10901"), "/1")).toThrow(/outside of/);
    expect(() => read(LWM2M_CBOR, hex("a2 03a100a10901 820300a10902"), "/3")).toThrow(/twice/);
    expect(() => read(LWM2M_CBOR, hex("a16161a0"), "/3")).toThrow(/no id/);
    expect(() => read(LWM2M_CBOR, hex("a13a00000000a0"), "/3")).toThrow(/no id/);
  });

  test("a single CBOR value", () => {
    expect(read(60, hex("1864"), "/3/0/9")).toEqual([["/3/0/9", "100"]]);
    expect(() => read(60, hex("80"), "/3/0/9")).toThrow(/no single value/);
  });
});
