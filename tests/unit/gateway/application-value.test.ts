import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { asSent, forApplication, samplesOf } from "@/server/gateway/application-value";
import {
  ContentError,
  ContentFormat,
  type ContentValue,
  decodeContent,
  encodeContent,
  type ResourceValue,
} from "@/server/lwm2m";

const { text, opaque, tlv, senmlJson, senmlCbor, cbor } = ContentFormat;

/** What the gateway reads from a content; nothing where that cannot be read. */
function valuesIn(path: string, contentFormat: number | null, payload: Uint8Array, rootPath?: string) {
  try {
    return decodeContent(contentFormat, payload, path, rootPath).map((value: ContentValue) => ({
      at: 1,
      ...value,
    }));
  } catch (error) {
    if (error instanceof ContentError) return [];
    throw error;
  }
}

function read(path: string, contentFormat: number | null, payload: Uint8Array | string, rootPath?: string) {
  const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
  const values = valuesIn(path, contentFormat, bytes, rootPath);
  const { ct, payload: base64 } = forApplication(path, { contentFormat, payload: bytes }, values);
  return { ct, text: Buffer.from(base64, "base64").toString("latin1") };
}

describe("what applications get of what a device sent", () => {
  const values: [path: string, value: ResourceValue, ct: string, as: string][] = [
    ["/3/0/0", { type: "string", value: "Pinecone" }, "text/plain", "Pinecone"],
    ["/3/0/9", { type: "integer", value: "87" }, "text/plain", "87"],
    ["/3/0/13", { type: "time", value: "1700000000" }, "text/plain", "1700000000"],
    ["/3303/0/5700", { type: "float", value: 21.5 }, "text/plain", "21.5"],
    ["/3311/0/5850", { type: "boolean", value: true }, "text/plain", "1"],
    ["/3311/0/5850", { type: "boolean", value: false }, "text/plain", "0"],
    ["/5/0/0", { type: "opaque", value: "AP8B" }, "application/octet-stream", "\x00\xff\x01"],
    ["/3/0/7/1", { type: "integer", value: "5000" }, "text/plain", "5000"],
  ];

  it.each(values)("%s %o is %s", (path, value, ct, as) => {
    for (const format of [tlv, senmlJson, senmlCbor, ContentFormat.oldTlv])
      expect(read(path, format, encodeContent(format, path, value)), String(format)).toEqual({
        ct,
        text: as,
      });
  });

  it("takes a single value in CBOR", () => {
    expect(read("/3/0/9", cbor, Buffer.of(0x18, 87))).toEqual({ ct: "text/plain", text: "87" });
  });

  it("reads names below the root of the device", () => {
    const json = JSON.stringify([{ n: "/lwm2m/3/0/9", v: 87 }]);
    expect(read("/3/0/9", senmlJson, json, "/lwm2m/")).toEqual({ ct: "text/plain", text: "87" });
  });

  it("gives each sample of a resource by itself, with its time, and the newest as its value", () => {
    const payload = Buffer.from(
      '[{"bn":"/3303/0/5700","bt":1700000000,"t":-60,"v":20},{"t":-30,"v":21},{"t":0,"v":22}]',
    );
    const content = { contentFormat: senmlJson, payload };
    const values = valuesIn("/3303/0/5700", senmlJson, payload);
    const samples = samplesOf("/3303/0/5700", content, values);
    expect(samples.map(({ at, payload: text }) => [at, Buffer.from(text, "base64").toString()])).toEqual([
      [1_699_999_940_000, "20"],
      [1_699_999_970_000, "21"],
      [1_700_000_000_000, "22"],
    ]);
    expect(read("/3303/0/5700", senmlJson, payload)).toEqual({ ct: "text/plain", text: "22" });
    // Of an instance it is one document.
    expect(samplesOf("/3303/0", content, values)).toMatchObject([{ ct: "application/senml+json", at: null }]);
  });

  it("leaves objects, instances and multiple resources as they came", () => {
    const sources = encodeContent(tlv, "/3/0/6", [
      { path: "/3/0/6/0", value: { type: "integer", value: "1" } },
      { path: "/3/0/6/1", value: { type: "integer", value: "5" } },
    ]);
    expect(read("/3/0/6", tlv, sources).ct).toBe("application/vnd.oma.lwm2m+tlv");
    const one = encodeContent(tlv, "/3/0/6", [{ path: "/3/0/6/0", value: { type: "integer", value: "1" } }]);
    expect(read("/3/0/6", tlv, one).ct).toBe("application/vnd.oma.lwm2m+tlv");
    expect(read("/3/0", tlv, sources)).toEqual({
      ct: "application/vnd.oma.lwm2m+tlv",
      text: Buffer.from(sources).toString("latin1"),
    });
    expect(read("/3/0", senmlJson, "[]").ct).toBe("application/senml+json");
  });

  it("leaves text and bytes alone, also where they are not what the definition says", () => {
    expect(read("/3/0/9", text, "many")).toEqual({ ct: "text/plain", text: "many" });
    expect(read("/3/0/9", opaque, "\x01")).toEqual({ ct: "application/octet-stream", text: "\x01" });
    expect(read("/3/0/9", text, "")).toEqual({ ct: "text/plain", text: "" });
  });

  it("leaves what it cannot read to the application", () => {
    expect(read("/3/0/9", tlv, "\xff\xff")).toMatchObject({ ct: "application/vnd.oma.lwm2m+tlv" });
    expect(read("/3/0/9", 65_000, "x")).toEqual({ ct: "application/octet-stream", text: "x" });
  });

  it("looks at the bytes where the device does not say what they are", () => {
    expect(read("/3/0/9", null, "87")).toEqual({ ct: "text/plain", text: "87" });
    expect(read("/3/0/9", null, Buffer.of(0, 1, 2))).toMatchObject({ ct: "application/octet-stream" });
  });

  it("never fails and never makes up bytes of its own", () => {
    const formats = fc.constantFrom(null, 0, 40, 42, 60, 99, 110, 112, 1542, 1543, 11542, 11543, 11544, 5);
    const paths = fc.constantFrom("/3", "/3/0", "/3/0/9", "/3/0/6", "/3/0/6/1", "/26241/0/1", "/5/0/0");
    fc.assert(
      fc.property(formats, paths, fc.uint8Array({ maxLength: 64 }), (contentFormat, path, payload) => {
        const plain = asSent({ contentFormat, payload });
        const values = valuesIn(path, contentFormat, payload);
        const turned = forApplication(path, { contentFormat, payload }, values);
        expect(plain.payload).toBe(Buffer.from(payload).toString("base64"));
        if (turned.ct === plain.ct)
          expect(turned.payload === plain.payload || turned.ct === "text/plain").toBe(true);
        else expect(["text/plain", "application/octet-stream"]).toContain(turned.ct);
      }),
      { numRuns: 2000 },
    );
  });
});
