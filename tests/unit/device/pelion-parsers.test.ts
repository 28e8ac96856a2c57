import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parsePelionUri } from "@/server/device/pelion/connect";
import { readChain } from "@/server/device/pelion/est";
import { readRenewal } from "@/server/device/pelion/renewal";
import { type Running, registeredPelion } from "./pelion-server";

let all: Running;
beforeAll(async () => {
  all = await registeredPelion();
});
afterAll(() => all.device.stop());

const bytes = (max: number) => fc.uint8Array({ maxLength: max });

test("no chain and no renewal makes their readers throw", () => {
  fc.assert(
    fc.property(bytes(80), fc.nat(4), (payload, count) => {
      expect(readChain(Uint8Array.of(1, count, ...payload))).toBe(null);
      const name = readRenewal(payload);
      expect(name === null || name.length > 0).toBe(true);
    }),
  );
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Za-z.]{1,40}$/), (name) => {
      expect(readRenewal(Buffer.from(`\0\x01\0${String.fromCharCode(name.length + 1)}${name}\0`))).toBe(name);
    }),
  );
});

test("addresses are split at the last colon", () => {
  expect(parsePelionUri("coaps://[2001:db8::1]:5684?aid=1&x=2")).toEqual({
    ...{ host: "2001:db8::1", port: 5684 },
    query: ["aid=1", "x=2"],
  });
  for (const text of ["coap://a:1", "coaps://a", "coaps://a:0", "coaps://a:70000", "coaps://:1"])
    expect(parsePelionUri(text)).toBe(null);
  // A colon in the query spoils the address.
  expect(parsePelionUri("coaps://a:1?b:2")).toMatchObject({ host: "a:1?b", port: 2 });
  fc.assert(fc.property(fc.string(), (text) => void parsePelionUri(text)));
});

test("whatever the server sends, the device goes on", async () => {
  const connection = all.server.last;
  const request = fc.tuple(
    fc.constantFrom(0x40, 0x44, 0x50, 0x60, 0x70),
    fc.integer({ min: 0, max: 0xff }),
    bytes(60),
  );
  await fc.assert(
    fc.asyncProperty(request, async ([head, code, rest]) => {
      connection.peer.send(Buffer.of(head, code, ...rest));
      await all.clock.advance(0);
      expect(all.device.crashed).toBe(null);
    }),
    { numRuns: 300 },
  );
  expect((await connection.ask({ path: "/3/0/0" }))?.text).toBe("dev_manufacturer");
});
