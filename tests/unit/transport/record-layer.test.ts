import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readClientHello } from "@/server/transport/client-hello";
import {
  type CidForm,
  ContentType,
  deriveKeyBlock,
  parseRecords,
  prf,
  RecordChannel,
  type Suite,
  suiteOf,
} from "@/server/transport/record-layer";
import { restoreState, serializeState } from "@/server/transport/session-state";

const SUITES = [0xc02b, 0xc02c, 0xc0ac, 0xc0ad, 0xc0ae, 0xc0af];

function channels(
  id: number,
  { epoch = 1, next = 0, clientCid = "", serverCid = "", form = "rfc9146" as CidForm } = {},
) {
  const suite = suiteOf(id);
  if (!suite) throw new Error("unknown suite");
  const secrets = {
    master: Buffer.alloc(48, 7),
    clientRandom: Buffer.alloc(32, 1),
    serverRandom: Buffer.alloc(32, 2),
  };
  const keys = deriveKeyBlock(suite, secrets).toString("latin1");
  return {
    server: new RecordChannel(suite, keys, true, epoch, next, {
      peerCid: clientCid,
      ourCid: serverCid,
      form,
    }),
    client: new RecordChannel(suite, keys, false, epoch, next, {
      peerCid: serverCid,
      ourCid: clientCid,
      form,
    }),
  };
}

const view = (datagram: Buffer, cidBytes = 0) => {
  const [record] = parseRecords(datagram, cidBytes) ?? [];
  if (!record) throw new Error("not a record");
  return record;
};

describe("prf", () => {
  it("makes what the published test vector says", () => {
    const output = prf(
      "sha256",
      Buffer.from("9bbe436ba940f017b17652849a71db35", "hex"),
      "test label",
      Buffer.from("a0ba9f936cda311827a6f796ffd5198c", "hex"),
      100,
    );
    expect(output.toString("hex")).toBe(
      "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66",
    );
  });
});

describe("records", () => {
  it.each(SUITES)("opens what the other side sealed with suite %i, any length", (id) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom("", "\x01", "abcdefgh"),
        fc.constantFrom("", "12345678"),
        fc.constantFrom<CidForm>("rfc9146", "draft"),
        (message, clientCid, serverCid, form) => {
          const options = { clientCid, serverCid, form, epoch: 3, next: 2 ** 33 };
          const { server, client } = channels(id, options);
          const up = client.seal(ContentType.applicationData, message);
          expect(up[0]).toBe(serverCid === "" ? 23 : 25);
          const got = server.open(up, view(up, serverCid.length));
          expect(got?.type).toBe(ContentType.applicationData);
          expect(Buffer.from(got?.plaintext ?? []).equals(message)).toBe(true);
          const down = server.seal(ContentType.alert, message);
          expect(client.open(down, view(down, clientCid.length))?.type).toBe(ContentType.alert);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("refuses a record in which any bit is changed", () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom("", "12345678"), (where, serverCid) => {
        const { server, client } = channels(0xc0ae, { serverCid });
        const record = client.seal(ContentType.applicationData, Buffer.from("hello"));
        const bit = where % (record.length * 8);
        record[bit >> 3] = (record[bit >> 3] as number) ^ (1 << (bit & 7));
        for (const changed of parseRecords(record, serverCid.length) ?? []) {
          expect(server.open(record, changed)).toBeNull();
        }
      }),
    );
  });

  it("does not take plain records on a session with a connection id, nor the other way round", () => {
    const withCid = channels(0xc02b, { serverCid: "12345678" });
    const plain = channels(0xc02b);
    const record = plain.client.seal(23, Buffer.from("x"));
    expect(withCid.server.open(record, view(record))).toBeNull();
    const other = withCid.client.seal(23, Buffer.from("x"));
    expect(plain.server.open(other, view(other, 8))).toBeNull();
  });

  it("takes no record of the other form of connection ids", () => {
    const rfc = channels(0xc02b, { serverCid: "12345678" });
    const draft = channels(0xc02b, { serverCid: "12345678", form: "draft" });
    for (const [from, to] of [
      [rfc.client, draft.server],
      [draft.client, rfc.server],
    ] as const) {
      const record = from.seal(23, Buffer.from("x"));
      expect(to.open(record, view(record, 8))).toBeNull();
    }
  });

  it("opens what Mbed TLS 2.28 sealed under a connection id of the draft, and seals what that opened", () => {
    // Two records and the keys of a session of its ssl_client2 (ECDHE-ECDSA-AES128-CCM8) with this server.
    const keys = Buffer.from(
      "e925bb24095c7f76db1089ac4f0fe1d22199f35504bffcc7f3865802778afbb45b18049cec65e8c6",
      "hex",
    ).toString("latin1");
    const cids = {
      peerCid: Buffer.from("cafe01", "hex").toString("latin1"),
      ourCid: Buffer.from("562388fab9f55734", "hex").toString("latin1"),
      form: "draft",
    } as const;
    const server = new RecordChannel(suiteOf(0xc0ae) as Suite, keys, true, 1, 1, cids);
    const theirs = Buffer.from(
      "19fefd0001000000000001562388fab9f557340040000100000000000195a39f17d604d4be8106703d16269a2a57151762c00653a01ad7d8a17b9514b4fae64faee57541e5ea0dbcc65738325287285b981bea9df7",
      "hex",
    );
    expect(server.open(theirs, view(theirs, 8))).toEqual({
      type: ContentType.applicationData,
      plaintext: Buffer.from("GET / HTTP/1.0\r\nExtra-header: \r\n\r\n"),
    });
    const ours = server.seal(ContentType.applicationData, Buffer.from("HTTP/1.0 200 OK\r\n\r\nbye\r\n"));
    expect(ours.toString("hex")).toBe(
      "19fefd0001000000000001cafe01002900010000000000010464ff10552ba2d6cb155c84a5e467fc1d720cb4b8b99ac39aae014a6102197b31",
    );
  });

  it("strips the padding of an inner plaintext", () => {
    const { server, client } = channels(0xc02b, { serverCid: "12345678" });
    // Sealing "ab" + type 0 makes an inner plaintext whose real type comes before the padding.
    const record = client.seal(0, Buffer.from([97, 98, 23, 0, 0]));
    expect(server.open(record, view(record, 8))).toEqual({ type: 23, plaintext: Buffer.from("ab") });
    const nothing = client.seal(0, Buffer.alloc(4));
    expect(server.open(nothing, view(nothing, 8))).toBeNull();
  });

  it("has the replay window of RFC 6347: each number once, nothing older than 64", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 300 }), { maxLength: 80 }), (order) => {
        const { server, client } = channels(0xc02b);
        const seen = new Set<number>();
        let top = -1;
        for (const sequence of order) {
          client.next = sequence;
          const record = client.seal(23, Buffer.from("x"));
          const expected = !seen.has(sequence) && sequence > top - 64;
          expect(server.open(record, view(record)) !== null).toBe(expected);
          if (expected) {
            seen.add(sequence);
            top = Math.max(top, sequence);
          }
        }
      }),
    );
  });

  it("takes only newer records after a restart", () => {
    const { server, client } = channels(0xc02b);
    server.readFrom(10);
    for (const [sequence, taken] of [
      [10, false],
      [3, false],
      [11, true],
      [11, false],
      [9, false],
      [75, true],
      [12, true],
      [10, false],
    ] as const) {
      client.next = sequence;
      const record = client.seal(23, Buffer.from("x"));
      expect(server.open(record, view(record)) !== null).toBe(taken);
    }
  });

  it("stops at the end of the sequence numbers", () => {
    const { server } = channels(0xc02b, { next: 2 ** 48 - 1 });
    server.seal(23, Buffer.from("last"));
    expect(() => server.seal(23, Buffer.from("too much"))).toThrow(RangeError);
  });
});

describe("session state", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SUITES),
        fc.integer({ min: 1, max: 65535 }),
        fc.uint8Array({ maxLength: 255 }),
        fc.dictionary(fc.string(), fc.string()),
        fc.constantFrom<CidForm>("rfc9146", "draft"),
        (id, epoch, cid, identity, form) => {
          const { server } = channels(id, {
            epoch,
            next: 99,
            clientCid: Buffer.from(cid).toString("latin1"),
            serverCid: "12345678",
            form,
          });
          const state = serializeState({ channel: server, identity, messageIdBase: 4711 });
          const restored = restoreState(state, 99);
          expect(restored?.channel).toEqual(server);
          expect(restored?.messageIdBase).toBe(4711);
          expect(JSON.stringify(restored?.identity)).toBe(JSON.stringify(identity));
        },
      ),
    );
  });

  it("is not read from anything else", () => {
    const { server } = channels(0xc02b);
    const good = serializeState({ channel: server, identity: { a: "b" }, messageIdBase: 1 });
    for (let length = 0; length < good.length; length++)
      expect(restoreState(good.subarray(0, length), 0)).toBeNull();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        restoreState(bytes, 0);
      }),
    );
  });
});

describe("client hello", () => {
  it("finds random and cookie, and nothing in a cut one", () => {
    const body = Buffer.concat([
      Buffer.from([0xfe, 0xfd]),
      Buffer.alloc(32, 9),
      Buffer.from([2, 1, 1]),
      Buffer.from([3, 5, 6, 7]),
      Buffer.from([0, 2, 0xc0, 0xae, 1, 0]),
    ]);
    const message = Buffer.concat([
      Buffer.from([1, 0, 0, body.length, 0, 0, 0, 0, 0, 0, 0, body.length]),
      body,
    ]);
    const record = Buffer.concat([
      Buffer.from([22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 4, 0, message.length]),
      message,
    ]);
    expect(readClientHello(record, view(record))).toEqual({
      random: "\x09".repeat(32),
      cookie: Buffer.from([5, 6, 7]),
    });
    for (let cut = 0; cut < 12 + 41; cut++) {
      expect(readClientHello(record, { ...view(record), end: 13 + cut })).toBeNull();
    }
  });
});
