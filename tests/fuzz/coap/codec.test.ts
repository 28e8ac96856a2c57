import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CoapEndpoint, decodeMessage, encodeMessage, Malformed, type Message, Type } from "@/server/coap";
import {
  decodeFrame,
  decodeShim,
  encodeFrame,
  encodeShim,
  FrameReader,
  measureShim,
  measureStream,
} from "@/server/coap/framing";
import { FakePeer } from "@/tests/support/coap-peers";
import { FakeClock } from "@/tests/support/fake-clock";

const bytes = (max: number) => fc.uint8Array({ maxLength: max });

const messages: fc.Arbitrary<Message> = fc.record({
  type: fc.constantFrom(Type.CON, Type.NON, Type.ACK, Type.RST),
  code: fc.integer({ min: 1, max: 255 }),
  messageId: fc.integer({ min: 0, max: 0xffff }),
  token: bytes(8),
  options: fc
    .array(fc.record({ number: fc.integer({ min: 0, max: 0xffff }), value: bytes(300) }), { maxLength: 8 })
    .map((options) => options.toSorted((a, b) => a.number - b.number)),
  payload: bytes(400),
});

const plain = (message: Message | Malformed) => {
  if (message instanceof Malformed) throw new Error(message.reason);
  return {
    ...message,
    token: [...message.token],
    options: message.options.map((option) => ({ number: option.number, value: [...option.value] })),
    payload: [...message.payload],
  };
};

describe("codec", () => {
  it("reads back what it writes", () => {
    fc.assert(
      fc.property(messages, (message) => {
        expect(plain(decodeMessage(encodeMessage(message)))).toEqual(plain(message));
        expect(plain(decodeShim(encodeShim(message)))).toEqual(plain(message));
        const framed = plain(decodeFrame(encodeFrame(message)));
        expect(framed).toEqual({ ...plain(message), type: Type.CON, messageId: 0 });
      }),
    );
  });

  it("never throws on any bytes", () => {
    fc.assert(
      fc.property(bytes(80), (input) => {
        decodeMessage(input);
        const length = measureStream(input);
        if (length !== null && length <= input.length) decodeFrame(input.subarray(0, length));
      }),
      { numRuns: 2000 },
    );
  });

  it("finds the same frames however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(messages, { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat({ max: 4000 }), { maxLength: 20 }),
        fc.boolean(),
        (list, cuts, shim) => {
          const stream = Buffer.concat(
            list.map((message) => (shim ? encodeShim(message) : encodeFrame(message))),
          );
          const reader = new FrameReader(shim ? measureShim : measureStream, 1_000_000);
          const found: Message[] = [];
          const borders = [
            ...new Set([0, ...cuts.map((cut) => cut % stream.length), stream.length]),
          ].toSorted((a, b) => a - b);
          for (let at = 1; at < borders.length; at++) {
            const chunk = Buffer.from(stream.subarray(borders[at - 1], borders[at]));
            reader.push(chunk, (frame) => {
              found.push((shim ? decodeShim(frame) : decodeFrame(frame)) as Message);
              return true;
            });
          }
          expect(found.map((message) => plain(message).payload)).toEqual(
            list.map((message) => [...message.payload]),
          );
          expect(found.map((message) => message.code)).toEqual(list.map((message) => message.code));
        },
      ),
    );
  });
});

describe("endpoint", () => {
  it.each(["udp", "dtls", "tcp", "tls"] as const)(
    "takes any bytes over %s without throwing",
    async (transport) => {
      const mutated = fc
        .tuple(messages, fc.nat(), fc.nat({ max: 255 }), fc.boolean())
        .map(([message, at, value, framed]) => {
          const wire = framed ? encodeFrame(message) : encodeMessage(message);
          wire[at % wire.length] = value;
          return new Uint8Array(wire);
        });
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.oneof(bytes(60), mutated), { maxLength: 12 }),
          fc.constantFrom("00e1", "4402123401020304", "0000000444021234", ""),
          async (inputs, start) => {
            const clock = new FakeClock();
            const endpoint = new CoapEndpoint({
              clock,
              handler: async (request) => ({ code: "2.05", payload: request.payload, observe: () => {} }),
            });
            const peer = new FakePeer(transport, clock);
            endpoint.attach(peer);
            const waiting = endpoint.request(peer, { method: "GET", path: ["3"] }).catch(() => null);
            for (const input of [Buffer.from(start, "hex"), ...inputs])
              if (!peer.closed) peer.onmessage!(input);
            peer.close();
            await waiting;
            expect(clock.pending).toBeLessThan(20);
          },
        ),
        { numRuns: 200 },
      );
    },
  );
});
