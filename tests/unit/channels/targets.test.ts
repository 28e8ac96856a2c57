import { isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CallbackTargets, isPublicAddress } from "@/server/services/channels/targets";

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => [...array]);
const v4 = (octets: readonly number[]) => octets.join(".");
const v6 = (octets: readonly number[]) =>
  Array.from({ length: 8 }, (_, at) =>
    (((octets[2 * at] ?? 0) << 8) | (octets[2 * at + 1] ?? 0)).toString(16),
  ).join(":");

/** The same rules, written down another way: by the bits of an address. */
function isPublicV4([a = 0, b = 0, c = 0]: readonly number[]): boolean {
  if (a === 0 || a === 10 || a === 127 || a >= 224) return false;
  if (a === 100) return b < 64 || b > 127;
  if (a === 169) return b !== 254;
  if (a === 172) return b < 16 || b > 31;
  if (a === 192 && b === 0) return c !== 0 && c !== 2;
  if (a === 192 && b === 88) return c !== 99;
  if (a === 192) return b !== 168;
  if (a === 198) return b !== 18 && b !== 19 && !(b === 51 && c === 100);
  return !(a === 203 && b === 0 && c === 113);
}
function isPublicV6(octets: readonly number[]): boolean {
  const [a = 0, b = 0, c = 0, d = 0] = octets;
  const embeds = (prefix: readonly number[]) => prefix.every((octet, at) => octets[at] === octet);
  if (
    embeds([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255]) ||
    embeds([0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0])
  )
    return isPublicV4(octets.slice(12));
  if (a >> 5 !== 1) return false;
  if (a === 0x20 && b === 0x01) return c > 1 && !(c === 0x0d && d === 0xb8);
  if (a === 0x20 && b === 0x02) return false;
  return !(a === 0x3f && b === 0xff && c >> 4 === 0);
}

/** Addresses of any kind, and many near the edges of ranges. */
const anyV4 = fc.oneof(
  bytes(4),
  fc
    .tuple(
      fc.constantFrom(
        [9, 255],
        [10, 0],
        [11, 0],
        [100, 63],
        [100, 64],
        [100, 127],
        [100, 128],
        [126, 255],
        [127, 0],
        [128, 0],
        [169, 253],
        [169, 254],
        [172, 15],
        [172, 16],
        [172, 31],
        [172, 32],
        [192, 0],
        [192, 88],
        [192, 168],
        [198, 17],
        [198, 18],
        [198, 51],
        [203, 0],
        [223, 255],
        [224, 0],
        [255, 255],
        [0, 0],
      ),
      fc.constantFrom(0, 1, 2, 3, 98, 99, 100, 113, 255),
      fc.nat(255),
    )
    .map(([[a = 0, b = 0], c, d]) => [a, b, c, d]),
);
const anyV6 = fc.oneof(
  bytes(16),
  fc
    .tuple(
      fc.constantFrom(
        [0x20, 0x01, 0x00],
        [0x20, 0x01, 0x01],
        [0x20, 0x01, 0x02],
        [0x20, 0x01, 0x0d],
        [0x20, 0x02, 0x00],
        [0x20, 0x03, 0],
        [0x3f, 0xff, 0x0f],
        [0x3f, 0xff, 0x10],
        [0x40, 0, 0],
        [0x1f, 0xff, 0xff],
        [0xfc, 0, 0],
        [0xfd, 0, 0],
        [0xfe, 0x80, 0],
        [0xff, 2, 0],
      ),
      bytes(13),
    )
    .map(([head, tail]) => [...head, ...tail]),
  anyV4.map((octets) => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...octets]),
  anyV4.map((octets) => [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, ...octets]),
  anyV4.map((octets) => [...Array(12).fill(0), ...octets] as number[]),
);

describe("addresses", () => {
  it("of IPv4 are public or not, by their bits", () => {
    fc.assert(
      fc.property(anyV4, (octets) => {
        expect(isPublicAddress(v4(octets))).toBe(isPublicV4(octets));
      }),
      { numRuns: 3000 },
    );
  });

  it("of IPv6 are public or not, by their bits, however they are written", () => {
    fc.assert(
      fc.property(anyV6, (octets) => {
        const long = v6(octets);
        const short = new URL(`http://[${long}]`).hostname.slice(1, -1);
        const dotted = `${long.split(":").slice(0, 6).join(":")}:${v4(octets.slice(12))}`;
        for (const text of [long, short, long.toUpperCase(), dotted])
          expect([text, isPublicAddress(text)]).toEqual([text, isPublicV6(octets)]);
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "2001:4860::1%eth0",
    "fc00::1",
    "fd12::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:a00:1",
    "::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "example.com",
    "",
    "1.2.3",
  ])("like %s are not public", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it.each([
    "1.1.1.1",
    "93.184.216.34",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
  ])("like %s are public", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it("are never made public by text that is none", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (isIP(text) === 0) expect(isPublicAddress(text)).toBe(false);
      }),
    );
  });
});

describe("targets", () => {
  const lookup = (targets: CallbackTargets, hostname: string, all: boolean) =>
    new Promise<unknown>((resolve) => {
      targets.lookup(hostname, { all }, (error, address) => resolve(error ?? address));
    });

  it("that the operator allows may be private", () => {
    const targets = new CallbackTargets(["hooks.internal", "10.1.0.0/16", "192.168.1.7", "fd00::/8"]);
    const allows = (name: string, address: string) => targets.allows(name, address);
    expect(allows("a.example", "10.1.255.1")).toBe(true);
    expect(allows("a.example", "::ffff:10.1.255.1")).toBe(true);
    expect(allows("a.example", "10.2.0.1")).toBe(false);
    expect(allows("a.example", "192.168.1.7")).toBe(true);
    expect(allows("a.example", "192.168.1.8")).toBe(false);
    expect(allows("a.example", "fd12::1")).toBe(true);
    expect(allows("a.example", "fc12::1")).toBe(false);
    expect(allows("Hooks.Internal.", "127.0.0.1")).toBe(true);
    expect(allows("sub.hooks.internal", "127.0.0.1")).toBe(false);
    expect(allows("a.example", "8.8.8.8")).toBe(true);
  });

  it("are looked up for the connection, and refused when the name leads into the private", async () => {
    const strict = new CallbackTargets([]);
    expect(await lookup(strict, "localhost", true)).toMatchObject({
      message: expect.stringContaining("localhost is not on the public"),
    });
    expect(await lookup(strict, "localhost", false)).toBeInstanceOf(Error);
    const lenient = new CallbackTargets(["localhost"]);
    expect(await lookup(lenient, "localhost", true)).toEqual(
      expect.arrayContaining([expect.objectContaining({ address: expect.any(String) })]),
    );
    expect(await lookup(lenient, "localhost", false)).toMatch(/^(127\.0\.0\.1|::1)$/);
    expect(await lookup(strict, "no.such.host.invalid", true)).toMatchObject({
      code: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/),
    });
  });

  it("that are addresses are judged as URL reads them", () => {
    const strict = new CallbackTargets([]);
    for (const host of [
      "127.1",
      "0x7f.0.0.1",
      "2130706433",
      "0177.0.0.1",
      "[::ffff:7f00:1]",
      "[::1]",
      "169.254.169.254",
      "１２７.0.0.1",
    ])
      expect(() => strict.checkLiteral(new URL(`http://${host}/`).hostname)).toThrow(
        "not on the public internet",
      );
    strict.checkLiteral(new URL("http://8.8.8.8/").hostname);
    strict.checkLiteral("example.com");
  });
});
