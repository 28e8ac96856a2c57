import fc from "fast-check";
import { expect, test } from "vitest";
import type { IncomingRequest, Method } from "@/server/coap/types";
import { BootstrapSession } from "@/server/device/bootstrap-session";
import { Management } from "@/server/device/management";
import { addStandardObjects } from "@/server/device/objects";
import { ResourceTree } from "@/server/device/tree";
import { parseServerUri } from "@/server/device/uri";
import { FakeClock } from "../../support/fake-clock";
import { incoming } from "../../unit/device/fake-server";

const request: fc.Arbitrary<IncomingRequest> = fc
  .record({
    method: fc.constantFrom<Method>("GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH"),
    path: fc.oneof(
      fc.constantFrom(
        ["bs"],
        [],
        ["0"],
        ["0", "1"],
        ["1", "0", "1"],
        ["3", "0"],
        ["3", "0", "11", "0"],
        ["3303", "0", "5700"],
      ),
      fc.array(
        fc.oneof(fc.constantFrom("0", "1", "3", "4", "5", "3303", "65535"), fc.string({ maxLength: 4 })),
        { maxLength: 5 },
      ),
    ),
    query: fc.array(
      fc.oneof(
        fc.constantFrom("pmin=1", "pmax", "pmax=0", "lt=1", "gt=0", "st=-1"),
        fc.string({ maxLength: 8 }),
      ),
      {
        maxLength: 3,
      },
    ),
    contentFormat: fc.constantFrom(null, 0, 40, 42, 60, 110, 112, 11542, 11543, 11544),
    accept: fc.constantFrom(null, 0, 40, 42, 110, 112, 11542, 11543),
    payload: fc.oneof(fc.constant(new Uint8Array()), fc.uint8Array({ maxLength: 60 })),
    observe: fc.constantFrom(null, 0, 1),
  })
  .map(incoming);

test("whatever a server asks, the device answers with a code", () => {
  const clock = new FakeClock();
  fc.assert(
    fc.property(fc.array(request, { maxLength: 12 }), (requests) => {
      const tree = new ResourceTree();
      const actions = { update() {}, bootstrap() {}, reboot() {}, factoryReset() {} };
      const facts = {
        serialNumber: "1",
        softwareVersion: "1",
        shortServerId: 1,
        binding: "U",
        lifetime: 300,
      };
      const objects = addStandardObjects(tree, facts, actions, { clock, random: Math.random });
      const management = new Management(tree, "1.1", clock, objects.defaultPmin);
      for (const one of requests) {
        const response = management.handle(one);
        expect(response.code).toMatch(/^[245]\.\d\d$/);
        response.sent?.();
        objects.tick();
      }
    }),
    { numRuns: 500 },
  );
});

test("whatever a bootstrap server sends, it gets a code and nothing inconsistent is taken", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(request, { maxLength: 12 }), async (requests) => {
      let taken = 0;
      const session = new BootstrapSession(
        {
          lwm2mVersion: "1.1",
          bootstrapUri: "coaps://x:1",
          bootstrapInstance: 1,
          account: null,
          otherInstances: ["/3/0"],
        },
        async () => void taken++,
        () => {},
      );
      for (const one of requests) expect((await session.handle(one)).code).toMatch(/^[245]\.\d\d$/);
      expect(taken).toBe(0);
    }),
    { numRuns: 500 },
  );
});

test("any text is an address or none", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.webUrl(),
        fc.string(),
        fc.string().map((text) => `coaps://${text}`),
      ),
      (text) => {
        const uri = parseServerUri(text);
        if (uri) expect(uri.port).toBeGreaterThan(0);
      },
    ),
  );
});
