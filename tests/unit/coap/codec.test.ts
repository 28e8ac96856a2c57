import { generate, parse } from "coap-packet";
import { describe, expect, it } from "vitest";
import { decodeMessage, encodeMessage, Malformed, type Message, Type } from "@/server/coap";
import { codeByte, codeText, methodCode, methodOf } from "@/server/coap/codes";
import { decodeFrame, detectFraming, encodeFrame, FrameReader, measureStream } from "@/server/coap/framing";
import { blockOption, findOption, readBlock, readUint, szxFor, uintOption } from "@/server/coap/options";
import {
  DEFAULT_PARAMETERS,
  exchangeLifetime,
  maxTransmitSpan,
  maxTransmitWait,
  nonLifetime,
  retransmissionWaits,
} from "@/server/coap/parameters";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

function read(bytes: Uint8Array): Message {
  const message = decodeMessage(bytes);
  if (message instanceof Malformed) throw new Error(message.reason);
  return message;
}

describe("message codec", () => {
  it("reads what coap-packet writes and the reverse", () => {
    const bytes = generate({
      code: "POST",
      confirmable: true,
      messageId: 0x1234,
      token: Buffer.from("abcd"),
      options: [
        { name: "Uri-Path", value: Buffer.from("rd") },
        { name: "Uri-Query", value: Buffer.from(`ep=${"x".repeat(300)}`) },
        { name: "Content-Format", value: Buffer.from([40]) },
        { name: "2053", value: Buffer.alloc(20) },
      ],
      payload: Buffer.from("</3/0>"),
    });
    const message = read(bytes);
    expect(message).toMatchObject({ type: Type.CON, code: 2, messageId: 0x1234 });
    expect(message.options.map((option) => [option.number, option.value.length])).toEqual([
      [11, 2],
      [12, 1],
      [15, 303],
      [2053, 20],
    ]);
    expect(Buffer.from(message.payload).toString()).toBe("</3/0>");
    expect(encodeMessage(message)).toEqual(bytes);
    expect(parse(encodeMessage(message)).options).toHaveLength(4);
  });

  it("accepts the empty acknowledgement of Pelion's client and empty uint options", () => {
    expect(read(hex("60 00 12 34 c0"))).toMatchObject({
      type: Type.ACK,
      code: 0,
      messageId: 0x1234,
      options: [],
    });
    // Max-Age and Content-Format without a byte are 0.
    const message = read(hex("44 02 00 01 01020304 b2 6273 10 20"));
    expect(readUint(findOption(message.options, 12)!, 2)).toBe(0);
    expect(readUint(findOption(message.options, 14)!, 4)).toBe(0);
  });

  it.each([
    ["", "shorter than a header", null],
    ["40", "shorter than a header", null],
    ["00 01 00 01", "unknown version", null],
    ["49 01 00 01 000000000000000000", "token longer than 8 bytes", Type.CON],
    ["44 01 00 01 00", "token cut off", Type.CON],
    ["40 01 00 01 ff", "payload marker without payload", Type.CON],
    ["50 01 00 01 f0", "reserved option header", Type.NON],
    ["40 01 00 01 0f", "reserved option header", Type.CON],
    ["40 01 00 01 b5 6161", "option cut off", Type.CON],
    ["40 01 00 01 d0", "option cut off", Type.CON],
    ["40 01 00 01 e0 00", "option cut off", Type.CON],
    ["40 01 00 01 0e 00", "option cut off", Type.CON],
    ["40 01 00 01 e0 fff0 e0 fff0", "option number above 65535", Type.CON],
  ])("refuses %s", (bytes, reason, type) => {
    expect(decodeMessage(hex(bytes))).toMatchObject({ reason, type });
    expect(decodeMessage(hex(bytes))).toBeInstanceOf(Malformed);
  });

  it("refuses to write what cannot be written", () => {
    const message = { type: Type.CON, code: 1, messageId: 1, options: [], payload: Buffer.alloc(0) };
    expect(() => encodeMessage({ ...message, token: Buffer.alloc(9) })).toThrow(RangeError);
    const options = [{ number: 11, value: Buffer.alloc(70_000) }];
    expect(() => encodeMessage({ ...message, token: Buffer.alloc(0), options })).toThrow(RangeError);
  });

  it("writes options in order, repeated ones as they came", () => {
    const options = [
      uintOption(60, 5),
      { number: 11, value: Buffer.from("b") },
      { number: 11, value: Buffer.from("a") },
    ];
    const message = {
      type: Type.CON,
      code: 1,
      messageId: 1,
      token: Buffer.alloc(0),
      options,
      payload: Buffer.alloc(0),
    };
    const back = read(encodeMessage(message));
    expect(back.options.map((option) => [option.number, Buffer.from(option.value).toString()])).toEqual([
      [11, "b"],
      [11, "a"],
      [60, "\x05"],
    ]);
  });
});

describe("codes, blocks and parameters", () => {
  it("turns codes and methods into words and back", () => {
    expect(codeText(0x45)).toBe("2.05");
    expect(codeByte("4.04")).toBe(0x84);
    expect(codeByte("2.5")).toBeNull();
    expect(methodOf(methodCode("iPATCH"))).toBe("iPATCH");
    expect(methodOf(8)).toBeNull();
  });

  it("reads and writes block options", () => {
    for (const block of [
      { num: 0, more: false, szx: 0 },
      { num: 1, more: true, szx: 5 },
      { num: 0xfffff, more: true, szx: 6 },
    ])
      expect(readBlock(blockOption(27, block).value)).toEqual(block);
    expect(readBlock(Buffer.alloc(4))).toBeNull();
    expect([16, 31, 32, 512, 1000, 1024, 5000, 1].map(szxFor)).toEqual([0, 0, 1, 5, 5, 6, 6, 0]);
  });

  it("has the times of the standard", () => {
    expect(maxTransmitSpan(DEFAULT_PARAMETERS)).toBe(45_000);
    expect(maxTransmitWait(DEFAULT_PARAMETERS)).toBe(93_000);
    expect(exchangeLifetime(DEFAULT_PARAMETERS)).toBe(247_000);
    expect(nonLifetime(DEFAULT_PARAMETERS)).toBe(145_000);
    expect([...retransmissionWaits(DEFAULT_PARAMETERS, () => 0)]).toEqual([2000, 4000, 8000, 16_000, 32_000]);
    expect([...retransmissionWaits(DEFAULT_PARAMETERS, () => 1)].reduce((a, b) => a + b)).toBe(93_000);
  });
});

describe("framing", () => {
  it("tells the framings apart by the first bytes", () => {
    expect(detectFraming(hex("00 e1"), "tcp")).toBe("stream");
    expect(detectFraming(hex("30 e1 23 07 ff"), "tls")).toBe("stream");
    expect(detectFraming(hex("50 e1 23 07 ff"), "tls")).toBe("stream");
    expect(detectFraming(hex("d0 05 e1"), "tls")).toBe("stream");
    expect(detectFraming(hex("d0 05"), "tls")).toBe("more");
    expect(detectFraming(hex("e0 00 00 e1"), "tcp")).toBe("stream");
    expect(detectFraming(hex("f0 00 00 00 00 e1"), "tcp")).toBe("stream");
    expect(detectFraming(hex("30"), "tcp")).toBe("more");
    // Pelion's client: a message in a record, or behind its length.
    expect(detectFraming(hex("44 02 12 34 01020304 b2 6273"), "tls")).toBe("datagram");
    expect(detectFraming(hex("00 00 00 0b 44"), "tcp")).toBe("shim");
    expect(detectFraming(Buffer.from("GET / HTTP/1.1"), "tcp")).toBeNull();
    expect(detectFraming(hex("16 03 01 00"), "tcp")).toBeNull();
  });

  it.each([0, 12, 13, 268, 269, 65_804, 65_805, 70_000])("frames a body of %i bytes", (length) => {
    const payload = Buffer.alloc(Math.max(0, length - 1), 7);
    const frame = encodeFrame({ code: 2, token: hex("0102"), options: [], payload });
    expect(measureStream(frame)).toBe(frame.length);
    const message = decodeFrame(frame) as Message;
    expect(message.code).toBe(2);
    expect(message.payload.length).toBe(payload.length);
  });

  it("says when a frame is too large before it is there", () => {
    const reader = new FrameReader(measureStream, 1000);
    expect(reader.push(hex("f0 00 10 00 00 02"), () => true)).toBe(false);
  });
});
