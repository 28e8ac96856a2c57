import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Movable, MovedPeers } from "@/server/transport/moved-peers";
import {
  parseRecords,
  RecordChannel,
  type RecordView,
  type Suite,
  suiteOf,
} from "@/server/transport/record-layer";
import { FakeClock } from "@/tests/support/fake-clock";

const SUITE = suiteOf(0xc0ae) as Suite;
const NO_CIDS = { peerCid: "", ourCid: "", form: "rfc9146" } as const;
const HOME = "192.0.2.1";

interface Session extends Movable {
  name: number;
  address: string;
  channel: RecordChannel;
  /** The device's end. */
  device: RecordChannel;
}

/** A session with keys of its own in which this many records were read. */
function session(name: number, read = 0, address = HOME, epoch = 1): Session {
  const keys = String.fromCharCode(1 + (name & 0x7f), 1 + (name >> 7)).padEnd(40, "k");
  const channel = new RecordChannel(SUITE, keys, true, epoch, 0, NO_CIDS);
  if (read > 0) channel.readFrom(read - 1);
  return { name, address, channel, device: new RecordChannel(SUITE, keys, false, epoch, read, NO_CIDS) };
}

function record(from: Session, text = "x"): [Buffer, RecordView] {
  const datagram = from.device.seal(23, Buffer.from(text));
  return [datagram, (parseRecords(datagram, 0) as [RecordView])[0]];
}

/** A record as anybody can make it. */
function forged(sequence: number, bytes = 40): [Buffer, RecordView] {
  const datagram = Buffer.alloc(13 + bytes, 0x5a);
  datagram.set([23, 0xfe, 0xfd, 0, 1]);
  datagram.writeUIntBE(sequence, 5, 6);
  datagram.writeUInt16BE(bytes, 11);
  return [datagram, (parseRecords(datagram, 0) as [RecordView])[0]];
}

afterEach(() => void vi.restoreAllMocks());

/** How often keys were tried. */
function countTries() {
  const opens = vi.spyOn(RecordChannel.prototype, "open");
  const checks = vi.spyOn(RecordChannel.prototype, "madeByPeer");
  return () => opens.mock.calls.length + checks.mock.calls.length;
}

describe("peers that moved", () => {
  it("are those that were added at an address and not removed", () => {
    const sessions = Array.from({ length: 5 }, (_, name) => session(name));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(4), fc.boolean()), { maxLength: 30 }), (steps) => {
        const moved = new MovedPeers<Session>(new FakeClock());
        const there = new Set<Session>();
        for (const [index, add] of steps) {
          const one = sessions[index] as Session;
          if (add) {
            moved.add(one);
            there.add(one);
          } else {
            moved.remove(one);
            there.delete(one);
          }
        }
        for (const one of sessions) {
          const found = moved.open(...record(one, `from ${one.name}`), HOME, null);
          expect(found?.session.name).toBe(there.has(one) ? one.name : undefined);
          if (found) expect(String(found.opened.plaintext)).toBe(`from ${one.name}`);
        }
      }),
      { numRuns: 50 },
    );
  });

  it("are not looked for at other addresses, nor behind another epoch, a repeated number or an older one", () => {
    const moved = new MovedPeers<Session>(new FakeClock());
    const one = session(1, 10);
    moved.add(one);
    moved.add(session(2, 0, HOME, 2));
    const fresh = record(one);
    const tries = countTries();
    expect(moved.open(...fresh, "192.0.2.2", null)).toBeNull();
    expect(tries()).toBe(0);
    expect(moved.open(...fresh, HOME, null)?.session).toBe(one);
    expect(tries()).toBe(1);
    expect(moved.open(...fresh, HOME, null)).toBeNull();
    expect(moved.open(...forged(3), HOME, null)).toBeNull();
    expect(tries()).toBe(1);
  });

  it("are tried in the order of their numbers: a device goes on where it stopped", () => {
    const moved = new MovedPeers<Session>(new FakeClock());
    const sessions = Array.from({ length: 1000 }, (_, name) => session(name, name * 10));
    for (const one of sessions) moved.add(one);
    const tries = countTries();
    for (const one of [sessions[3], sessions[500], sessions[999]] as Session[])
      expect(moved.open(...record(one), HOME, null)?.session).toBe(one);
    expect(tries()).toBeLessThanOrEqual(6);
  });

  it("are not searched for a record that the session at that very port has read before", () => {
    const moved = new MovedPeers<Session>(new FakeClock());
    const here = session(0, 10);
    for (const one of [here, ...Array.from({ length: 20 }, (_, name) => session(name + 1))]) moved.add(one);
    const repeated = record(here);
    here.channel.open(...repeated);
    const tries = countTries();
    expect(moved.open(...repeated, HOME, here)).toBeNull();
    expect(tries()).toBe(1);
    // Its router may have given the port to another device, though.
    const other = session(30, 5);
    moved.add(other);
    expect(moved.open(...record(other), HOME, here)?.session).toBe(other);
  });

  it("cost a bounded number of tries for a record, for an address and for all, and more a second later", async () => {
    const clock = new FakeClock();
    const moved = new MovedPeers<Session>(clock);
    const addresses = Array.from({ length: 20 }, (_, host) => `192.0.2.${host}`);
    for (const address of addresses)
      for (let name = 0; name < 50; name++) moved.add(session(name, 0, address));
    const tries = countTries();
    moved.open(...forged(1), addresses[0] as string, null);
    expect(tries()).toBe(32);
    for (let n = 0; n < 100; n++) moved.open(...forged(n), addresses[0] as string, null);
    const forOne = tries();
    expect(forOne).toBeGreaterThan(256);
    expect(forOne).toBeLessThanOrEqual(512);
    // The others are not held up by that.
    const known = session(99, 3, addresses[1]);
    moved.add(known);
    expect(moved.open(...record(known), addresses[1] as string, null)?.session).toBe(known);
    for (const address of addresses) for (let n = 0; n < 100; n++) moved.open(...forged(n), address, null);
    expect(tries()).toBeLessThanOrEqual(2048);
    const before = tries();
    moved.open(...forged(1), addresses[0] as string, null);
    expect(tries()).toBe(before);
    await clock.advance(1000);
    moved.open(...forged(1), addresses[0] as string, null);
    expect(tries()).toBe(before + 32);
  });

  it("cost the more the longer a record is", () => {
    const moved = new MovedPeers<Session>(new FakeClock());
    for (let name = 0; name < 50; name++) moved.add(session(name));
    const tries = countTries();
    for (let n = 0; n < 100; n++) moved.open(...forged(n, 16_000), HOME, null);
    expect(tries()).toBeLessThanOrEqual(40);
  });
});
