import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ContentError,
  type ContentValue,
  decodeContent,
  encodeContent,
  formatLinks,
  LinkFormatError,
  mergeObjectLinks,
  parseArguments,
  parseLinks,
  parseRegister,
  parseUpdate,
  type ResourceValue,
  readObjectLinks,
} from "@/server/lwm2m";

const NOW = 1_800_000_000_000;
const FORMATS = [0, 42, 60, 99, 110, 112, 1542, 1543, 11542, 11543, 11544, 666];
const PATHS = [
  "/",
  "/1",
  "/3",
  "/3/0",
  "/3/0/6",
  "/3/0/6/1",
  "/3/0/9",
  "/0/0/3",
  "/3303/0/5700",
  "/31999/0/1",
];

/** Runs a parser; anything but a result or its own kind of error fails the test. */
function total(run: () => unknown, errors: (new (message: string) => Error)[]): void {
  try {
    run();
  } catch (error) {
    if (!errors.some((kind) => error instanceof kind)) throw error;
    expect((error as Error).message.length).toBeGreaterThan(5);
  }
}

const big = (type: "integer" | "time" | "unsigned"): fc.Arbitrary<ResourceValue> =>
  (type === "unsigned" ? fc.bigInt(0n, 2n ** 64n - 1n) : fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)).map(
    (value) => ({
      type,
      value: value.toString(),
    }),
  );
const bytes = fc.uint8Array({ maxLength: 400 });
const words = fc
  .string({ maxLength: 300, unit: "grapheme" })
  .filter((text) => Buffer.from(text).toString() === text);

/** One resource of each type LwM2M has, by the definitions. */
const typed: fc.Arbitrary<ContentValue> = fc.oneof(
  fc.record({
    path: fc.constant("/3/0/0"),
    value: words.map((value): ResourceValue => ({ type: "string", value })),
  }),
  fc.record({ path: fc.constant("/3/0/10"), value: big("integer") }),
  fc.record({ path: fc.constant("/1/0/11"), value: big("unsigned") }),
  fc.record({ path: fc.constant("/3/0/13"), value: big("time") }),
  fc.record({
    path: fc.constant("/3303/0/5700"),
    value: fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .map((value): ResourceValue => ({ type: "float", value: value === 0 ? 0 : value })),
  }),
  fc.record({
    path: fc.constant("/1/0/6"),
    value: fc.boolean().map((value): ResourceValue => ({ type: "boolean", value })),
  }),
  fc.record({
    path: fc.constant("/0/0/3"),
    value: bytes.map(
      (value): ResourceValue => ({ type: "opaque", value: Buffer.from(value).toString("base64") }),
    ),
  }),
);

describe("content", () => {
  test("a value comes back from every format that carries it", () => {
    fc.assert(
      fc.property(typed, fc.constantFrom(0, 110, 112, 11542), ({ path, value }, format) => {
        expect(decodeContent(format, encodeContent(format, path, value), path)).toEqual([{ path, value }]);
      }),
      { numRuns: 500 },
    );
  });

  test("an instance comes back from TLV and SenML", () => {
    const resources = fc.uniqueArray(
      fc.oneof(
        fc.record({
          path: fc.integer({ min: 0, max: 65535 }).map((id) => `/31999/7/${id}`),
          value: bytes
            .filter((value) => value.length > 0 && value[0]! < 32)
            .map(
              (value): ResourceValue => ({ type: "opaque", value: Buffer.from(value).toString("base64") }),
            ),
        }),
        fc.record({
          path: fc
            .tuple(fc.integer({ min: 0, max: 65535 }), fc.integer({ min: 0, max: 65535 }))
            .map(([id, instance]) => `/31998/7/${id}/${instance}`),
          value: fc.bigInt(0n, 1000n).map(
            (value): ResourceValue => ({
              type: "opaque",
              value: Buffer.from([0, Number(value & 255n)]).toString("base64"),
            }),
          ),
        }),
      ),
      { selector: (one) => one.path.split("/").slice(0, 4).join("/"), maxLength: 20 },
    );
    const order = (values: ContentValue[]) => [...values].sort((a, b) => (a.path < b.path ? -1 : 1));
    fc.assert(
      fc.property(resources, fc.constantFrom(110, 112, 11542), (values, format) => {
        for (const path of ["/31999/7", "/31998/7"]) {
          const mine = values.filter((one) => one.path.startsWith(`${path}/`));
          expect(order(decodeContent(format, encodeContent(format, path, mine), path))).toEqual(order(mine));
        }
      }),
    );
  });

  test("random bytes end in values or in an error in words", () => {
    fc.assert(
      fc.property(bytes, fc.constantFrom(...FORMATS), fc.constantFrom(...PATHS), (payload, format, path) => {
        total(() => decodeContent(format, payload, path, "/", { now: NOW }), [ContentError]);
      }),
      { numRuns: 3000 },
    );
  });

  test("damaged payloads end in values or in an error in words", () => {
    const damaged = fc
      .tuple(typed, fc.constantFrom(0, 110, 112, 11542), fc.nat(), fc.nat(255))
      .map(([{ path, value }, format, at, byte]) => {
        const payload = encodeContent(format, path, value);
        if (payload.length > 0) payload[at % payload.length] = byte;
        return { format, path, payload };
      });
    fc.assert(
      fc.property(damaged, ({ format, path, payload }) => {
        total(() => decodeContent(format, payload, path, "/", { now: NOW }), [ContentError]);
      }),
      { numRuns: 2000 },
    );
  });

  test("random JSON documents", () => {
    fc.assert(
      fc.property(
        fc.json({ maxDepth: 4 }),
        fc.constantFrom(110, 11543),
        fc.constantFrom(...PATHS),
        (text, format, path) => {
          total(() => decodeContent(format, Buffer.from(text), path, "/", { now: NOW }), [ContentError]);
        },
      ),
    );
  });

  test("random SenML records", () => {
    const record = fc.dictionary(
      fc.constantFrom("bn", "n", "bt", "t", "v", "vs", "vb", "vd", "vlo", "u", "x_"),
      fc.oneof(
        fc.constantFrom("/3/0/", "9", "/3/0/9", ""),
        fc.double(),
        fc.boolean(),
        fc.bigInt().map(Number),
      ),
    );
    fc.assert(
      fc.property(fc.array(record, { maxLength: 5 }), fc.constantFrom(...PATHS), (pack, path) => {
        total(
          () => decodeContent(110, Buffer.from(JSON.stringify(pack)), path, "/", { now: NOW }),
          [ContentError],
        );
      }),
      { numRuns: 1000 },
    );
  });
});

const linkText = fc
  .array(
    fc.constantFrom(
      "<",
      ">",
      "/",
      "/3/0",
      ";",
      ",",
      "=",
      '"',
      "\\",
      " ",
      "d",
      "rt",
      "oma.lwm2m",
      "ct",
      "0",
      "ver",
      "1.1",
      "v",
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(""));

describe("links and parameters", () => {
  test("any text ends in links or in an error that says where", () => {
    fc.assert(
      fc.property(fc.oneof(linkText, fc.string({ maxLength: 200 })), (text) => {
        total(() => {
          const links = parseLinks(text);
          readObjectLinks(links, "1.1");
          mergeObjectLinks(links, links, true);
        }, [LinkFormatError]);
      }),
      { numRuns: 3000 },
    );
  });

  test("links come back from their text", () => {
    // A quote before a separator cannot be told from the end of a value unless it is escaped: it is.
    const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,8}$/);
    const value = fc.option(fc.string({ maxLength: 30 }), { nil: null });
    const links = fc.array(
      fc.record({
        target: fc.stringMatching(/^\/[a-z0-9/]{0,12}$/),
        attributes: fc.array(fc.tuple(name, value), { maxLength: 4 }).map((entries) => new Map(entries)),
      }),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(links, (given) => {
        expect(parseLinks(formatLinks(given))).toEqual(given);
      }),
      { numRuns: 1000 },
    );
  });

  test("a long list of quotes and spaces is read in time", () => {
    const text = `</3>;v="${'" '.repeat(100_000)}`;
    const start = performance.now();
    total(() => parseLinks(text), [LinkFormatError]);
    total(() => parseLinks(`</3>;v="${" ".repeat(200_000)}`), [LinkFormatError]);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test("any query ends in parameters or in a code with words", () => {
    const item = fc.oneof(
      fc.string({ maxLength: 40 }),
      fc
        .tuple(fc.constantFrom("ep", "lt", "lwm2m", "b", "Q", "sms", "x"), fc.string({ maxLength: 20 }))
        .map(([name, value]) => `${name}=${value}`),
    );
    fc.assert(
      fc.property(fc.array(item, { maxLength: 8 }), (query) => {
        for (const result of [parseRegister(query), parseUpdate(query, { lwm2mVersion: "1.0" })]) {
          if (!result.ok) expect(result.message).not.toBe("");
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("any text as arguments", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (text) => total(() => parseArguments(text), [ContentError])),
    );
  });
});
