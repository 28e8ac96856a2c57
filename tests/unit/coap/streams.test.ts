import { describe, expect, it } from "vitest";
import {
  type CoapFailure,
  type CoapResponse,
  type Message,
  type OutgoingResponse,
  Type,
} from "@/server/coap";
import {
  decodeFrame,
  decodeShim,
  encodeFrame,
  encodeShim,
  FrameReader,
  measureShim,
  measureStream,
} from "@/server/coap/framing";
import { findOption, uintOption } from "@/server/coap/options";
import type { FakePeer } from "@/tests/support/coap-peers";
import { settle } from "@/tests/support/fake-clock";
import { deferred, link, wire } from "./helpers";

const get = { method: "GET", path: ["3", "0"] } as const;
const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const text = (response: { payload: Uint8Array }) => Buffer.from(response.payload).toString();

function frames(peer: FakePeer, shim = false): Message[] {
  const found: Message[] = [];
  const reader = new FrameReader(shim ? measureShim : measureStream, 1_000_000);
  for (const chunk of peer.sent)
    reader.push(chunk, (frame) => {
      found.push((shim ? decodeShim(frame) : decodeFrame(frame)) as Message);
      return true;
    });
  return found;
}

const frame = (message: Partial<Message>) =>
  encodeFrame({ code: 1, token: Buffer.alloc(0), options: [], payload: Buffer.alloc(0), ...message });

describe.each(["tcp", "tls"] as const)("RFC 8323 over %s", (transport) => {
  it("exchanges CSM first and then requests both ways, without repetition", async () => {
    const { clock, client, server, a, b } = link(
      (request) => ({ code: "2.05", payload: request.path.join("/") }),
      {
        transport,
        client: { handler: () => ({ code: "2.05", payload: "device" }) },
      },
    );
    const answer = client.request(a, get);
    await clock.advance(1);
    expect(text(await answer)).toBe("3/0");
    const back = server.request(b, get);
    await clock.advance(1);
    expect(text(await back)).toBe("device");
    expect(frames(a).map((message) => message.code)).toEqual([0xe1, 0x01, 0x45]);
    expect(frames(b).map((message) => message.code)).toEqual([0xe1, 0x45, 0x01]);
    expect(clock.pending).toBe(0);
  });

  it("sends big bodies in one message when the peer takes them, else in blocks", async () => {
    for (const [max, messages] of [
      [65_536, 2],
      [1152, 6],
    ] as const) {
      const { clock, client, a, b } = link((request) => ({ code: "2.04", payload: request.payload }), {
        transport,
        server: { maxPayload: 40_000 },
      });
      a.onmessage!(
        frame({ code: 0xe1, options: [uintOption(2, max), { number: 4, value: Buffer.alloc(0) }] }),
      );
      b.fate = (_, index) => (index === 0 ? [] : [0]);
      const payload = Buffer.alloc(5000, "x");
      const answer = client.request(a, { method: "POST", path: ["x"], payload });
      await clock.advance(10);
      expect((await answer).payload).toHaveLength(5000);
      expect(frames(a).length).toBe(messages);
    }
  });

  it("cuts messages over several TLS records and puts them together", async () => {
    const { clock, client, a } = link(
      (request) => ({ code: "2.04", payload: String(request.payload.length) }),
      {
        transport,
      },
    );
    await clock.advance(1);
    const answer = client.request(a, { method: "POST", path: ["x"], payload: Buffer.alloc(60_000, "x") });
    await clock.advance(1);
    expect(text(await answer)).toBe("60000");
    expect(Math.max(...a.sent.map((chunk) => chunk.length))).toBe(
      transport === "tls" ? 16_384 : a.sent[1]!.length,
    );
  });

  it("understands BERT blocks", async () => {
    const { clock, b } = link((request) => ({ code: "2.04", payload: String(request.payload.length) }), {
      transport,
    });
    await clock.advance(1);
    const put = (num: number, more: boolean, length: number) =>
      b.onmessage!(
        frame({
          code: 3,
          options: [uintOption(27, num * 16 + (more ? 8 : 0) + 7)],
          payload: Buffer.alloc(length, 1),
        }),
      );
    put(0, true, 4096);
    put(4, true, 2048);
    put(6, false, 100);
    expect(frames(b).map((message) => message.code)).toEqual([0xe1, 0x5f, 0x5f, 0x44]);
    expect(text(frames(b)[3]!)).toBe("6244");
  });

  it("answers Ping with Pong, token and custody included", async () => {
    const { b } = link(() => ({ code: "2.05" }), { transport });
    await settle();
    b.onmessage!(hex("00 e1"));
    b.onmessage!(frame({ code: 0xe2, token: hex("aabb"), options: [{ number: 2, value: Buffer.alloc(0) }] }));
    expect(frames(b)[1]).toMatchObject({ code: 0xe3, token: hex("aabb"), options: [{ number: 2 }] });
  });

  it("ends on Release and Abort", async () => {
    for (const code of [0xe4, 0xe5]) {
      const { clock, server, b, errors } = link(() => ({ code: "2.05" }), { transport });
      await clock.advance(1);
      const waiting = server.request(b, get).catch((error: CoapFailure) => error);
      b.other = null;
      b.onmessage!(frame({ code, payload: Buffer.from("enough") }));
      expect(b.closed).toBe(true);
      expect(await waiting).toMatchObject({ kind: "closed" });
      expect(errors.join()).toContain(code === 0xe5 ? "enough" : "");
    }
  });

  it("aborts on what it cannot read", async () => {
    const cases: Uint8Array[] = [
      frame({ code: 0xe1, options: [uintOption(9, 1)] }),
      hex("29 01 000000000000000000 0000"),
      hex("10 01 ff"),
      hex("20 01 b561"),
      hex("f0 7fffffff 01"),
    ];
    for (const bytes of cases) {
      const { clock, b, errors } = link(() => ({ code: "2.05" }), { transport });
      await clock.advance(1);
      b.onmessage!(bytes);
      expect(b.closed).toBe(true);
      expect(frames(b).at(-1)!.code).toBe(0xe5);
      if (bytes !== cases[0]) expect(errors).toHaveLength(1);
    }
  });

  it("ignores empty messages and refuses more requests at a time than the bound", async () => {
    const gate = deferred<OutgoingResponse>();
    const { clock, b } = link(() => gate.promise, { transport, server: { limits: { maxPending: 1 } } });
    await clock.advance(1);
    b.onmessage!(frame({ code: 0 }));
    b.onmessage!(frame({ token: hex("01") }));
    b.onmessage!(frame({ token: hex("02") }));
    expect(frames(b).slice(1)).toMatchObject([{ code: 0xa3, token: hex("02") }]);
  });

  it("takes notifications whatever their number", async () => {
    const { clock, client, a, b } = link(() => ({ code: "2.05", payload: "0", observe: () => {} }), {
      transport,
    });
    const heard: CoapResponse[] = [];
    const starting = client.observe(a, get, (response) => heard.push(response));
    await clock.advance(1);
    const { token } = await starting;
    for (const sequence of [9, 9, 3])
      a.onmessage!(
        frame({
          code: 0x45,
          token: Buffer.from(token, "hex"),
          options: [uintOption(6, sequence)],
          payload: Buffer.from(String(sequence)),
        }),
      );
    await clock.advance(1);
    expect(heard.map(text)).toEqual(["9", "9", "3"]);
    expect(a.closed || b.closed).toBe(false);
  });

  it("closes what does not start with a message", () => {
    const { b, errors } = link(() => ({ code: "2.05" }), { transport });
    b.onmessage!(Buffer.from("GET / HTTP/1.1\r\n"));
    expect(b.closed).toBe(true);
    expect(errors).toEqual(["the connection does not start with a CoAP message"]);
  });
});

describe("Pelion's framings", () => {
  const register = wire({
    code: 2,
    messageId: 0x1234,
    token: hex("01020304"),
    options: [
      { number: 11, value: Buffer.from("rd") },
      { number: 14, value: Buffer.alloc(0) },
    ],
  });

  it("one RFC 7252 message per TLS record: piggybacked whatever it takes, blocks of 512, no CSM", async () => {
    const gate = deferred<OutgoingResponse>();
    const { clock, server, b } = link(() => gate.promise, {
      transport: "tls",
      attach: { framing: "datagram" },
    });
    b.other = null;
    const early = server.request(b, get);
    expect(b.sent).toHaveLength(0);
    b.onmessage!(register);
    await settle();
    // What waited for the framing goes out, then the answer; nothing else meanwhile, not even on repetition.
    expect(b.messages).toMatchObject([{ type: Type.CON, code: 1 }]);
    const { messageId, token } = b.messages[0]!;
    b.onmessage!(wire({ type: Type.ACK, code: 0x45, messageId, token }));
    await early;
    b.onmessage!(register);
    await clock.advance(30_000);
    expect(b.sent).toHaveLength(1);
    gate.resolve({ code: "2.01", locationPath: ["rd", "a", "b"], payload: Buffer.alloc(600) });
    await settle();
    expect(b.messages[1]).toMatchObject({ type: Type.ACK, code: 0x41, messageId: 0x1234 });
    expect(b.messages[1]!.payload).toHaveLength(512);
    expect(Buffer.from(findOption(b.messages[1]!.options, 23)!)).toEqual(hex("0d"));
    // Its keep-alive is an empty confirmable message.
    b.onmessage!(hex("40 00 00 05"));
    expect(b.sent[2]).toEqual(hex("70 00 00 05"));
    b.onmessage!(hex("60 00 00 05 c0"));
    expect(b.closed).toBe(false);
  });

  it("speaks it as the side that connects", async () => {
    const { clock, client, a } = link((request) => ({ code: "2.04", payload: request.path[0]! }), {
      transport: "tls",
      attach: { framing: "datagram" },
    });
    const answer = client.request(a, { method: "POST", path: ["bs"] });
    await clock.advance(1);
    expect(text(await answer)).toBe("bs");
    expect(a.messages[0]).toMatchObject({ type: Type.CON, code: 2 });
  });

  it("messages behind their length over plain TCP, cut anywhere", async () => {
    const { clock, server, b } = link(() => ({ code: "2.04", payload: "ok" }), {
      transport: "tcp",
      attach: { framing: "shim" },
    });
    b.other = null;
    for (const byte of encodeShim({
      type: Type.CON,
      code: 2,
      messageId: 7,
      token: hex("01"),
      options: [],
      payload: Buffer.from("x"),
    }))
      b.onmessage!(Buffer.from([byte]));
    expect(frames(b, true)).toMatchObject([{ type: Type.ACK, code: 0x44, messageId: 7 }]);
    server.request(b, get).catch(() => {});
    b.onmessage!(hex("00000004 40000009"));
    expect(frames(b, true).slice(1)).toMatchObject([
      { type: Type.CON, code: 1 },
      { type: Type.RST, code: 0, messageId: 9 },
    ]);
    b.onmessage!(hex("00ffffff"));
    expect(b.closed).toBe(true);
    await clock.advance(100_000);
    expect(clock.pending).toBe(0);
  });
});
