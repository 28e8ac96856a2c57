import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ContentFormat, contentFormatOf, mediaTypeOf } from "@/server/lwm2m";

describe("media types and content formats", () => {
  it("are the same both ways", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 65_535 }), (format) => {
        const type = mediaTypeOf(format);
        if (type === null) return;
        const back = contentFormatOf(type);
        expect(back).not.toBeNull();
        expect(mediaTypeOf(back ?? -1)).toBe(type);
      }),
      { numRuns: 5000 },
    );
    for (const format of [0, 40, 42, 50, 60, 110, 112, 11542, 11543, 11544])
      expect(contentFormatOf(mediaTypeOf(format) ?? "")).toBe(format);
  });

  it("read the numbers that came before the registered ones", () => {
    expect(mediaTypeOf(ContentFormat.oldTlv)).toBe("application/vnd.oma.lwm2m+tlv");
    expect(mediaTypeOf(ContentFormat.pelionTlv)).toBe("application/vnd.oma.lwm2m+tlv");
    expect(mediaTypeOf(ContentFormat.oldJson)).toBe("application/vnd.oma.lwm2m+json");
    expect(mediaTypeOf(1541)).toBe("text/plain");
    expect(mediaTypeOf(1544)).toBe("application/octet-stream");
    expect(mediaTypeOf(65_000)).toBeNull();
  });

  it("are told whatever their case, space and parameters", () => {
    const names = [
      "text/plain",
      "application/octet-stream",
      "application/senml+json",
      "application/senml+cbor",
      "application/vnd.oma.lwm2m+tlv",
      "application/nanoservice-tlv",
    ];
    const space = fc.constantFrom("", " ", "\t", "  ");
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
        space,
        space,
        fc.constantFrom("", ";charset=utf-8", "; charset=utf-8", ";", "; q=0.5; x=y"),
        (name, upper, before, after, parameters) => {
          const written = [...name].map((letter, at) => (upper[at] ? letter.toUpperCase() : letter)).join("");
          expect(contentFormatOf(before + written + after + parameters)).toBe(contentFormatOf(name));
          expect(contentFormatOf(name)).not.toBeNull();
        },
      ),
    );
  });

  it("are not known whatever is written", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const format = contentFormatOf(text);
        expect(format === null || mediaTypeOf(format) !== null).toBe(true);
      }),
    );
    for (const text of ["", "text", "text/html", "0", "constructor", "__proto__"])
      expect(contentFormatOf(text)).toBeNull();
  });
});
