import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Batch } from "@/server/api/notification/message";
import type { QueuedRow } from "@/server/services/channels/queue";
import { type Serialization, serialization } from "@/server/services/channels/types";
import { type NotificationKind, notificationKinds } from "@/server/services/notifications/types";
import { deregistration, registration, value } from "../../support/channels";

const look = (given: Partial<Serialization> = {}) => serialization.parse(given);

/** A row whose entry carries its number, so that it can be found again. */
function row(seq: number, kind: NotificationKind, device: string): QueuedRow {
  const body =
    kind === "async-responses"
      ? { id: String(seq), status: 200, payload: "" }
      : kind === "notifications"
        ? { ...value(device, seq), timestamp: seq }
        : kind === "registrations" || kind === "reg-updates"
          ? { ...registration(device), timestamp: seq }
          : { ...deregistration(device), timestamp: seq };
  return { seq, kind, body: JSON.stringify(body) };
}

/** Cuts rows into batches as the delivery does. */
function cut(rows: readonly QueuedRow[], how: Serialization): Batch[] {
  const batches = [new Batch(how)];
  for (const one of rows) {
    if (batches.at(-1)?.add(one)) continue;
    const next = new Batch(how);
    expect(next.add(one)).toBe(true);
    batches.push(next);
  }
  return batches;
}

interface Seen {
  seq: number;
  kind: string;
  device: string | null;
}
const entriesOf = (message: string): Seen[] =>
  Object.entries(
    JSON.parse(message) as Record<string, { ep?: string; id?: string; timestamp?: number }[]>,
  ).flatMap(([kind, entries]) =>
    entries.map(({ ep, id, timestamp }) => ({ seq: Number(id ?? timestamp), kind, device: ep ?? null })),
  );

describe("batches", () => {
  const rows = fc
    .array(fc.tuple(fc.constantFrom(...notificationKinds), fc.integer({ min: 0, max: 3 })), {
      maxLength: 400,
    })
    .map((list) => list.map(([kind, device], at) => row(at + 1, kind, String(device).repeat(32))));
  const full = look({ includeTimestamp: true, deregistrationsAsObject: true, maxChunkSize: 100 });

  it("lose nothing, double nothing and keep the order of each device and of each kind", () => {
    fc.assert(
      fc.property(rows, fc.boolean(), (rows, single) => {
        const batches = rows.length > 0 ? cut(rows, full) : [];
        const messages = batches.flatMap((batch) => (single ? batch.messages() : [batch.message()]));
        const seen = messages.flatMap(entriesOf);
        expect(seen.map(({ seq }) => seq).sort((a, b) => a - b)).toEqual(rows.map(({ seq }) => seq));
        const inOrder = (list: Seen[]) =>
          list.every(({ seq }, at) => at === 0 || seq > (list[at - 1]?.seq ?? 0));
        for (const device of new Set(seen.map(({ device }) => device)))
          if (device !== null) expect(inOrder(seen.filter((one) => one.device === device))).toBe(true);
        for (const kind of notificationKinds)
          expect(inOrder(seen.filter((one) => one.kind === kind))).toBe(true);
        for (const message of messages) {
          // However an application goes through the kinds of a message, no device's entries change places.
          const kinds = new Map<string, Set<string>>();
          for (const { device, kind } of entriesOf(message))
            if (device !== null) kinds.set(device, (kinds.get(device) ?? new Set()).add(kind));
          for (const of of kinds.values()) expect(of.size).toBe(1);
          if (single) expect(Object.keys(JSON.parse(message))).toHaveLength(1);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("say where they begin and end, and are no longer than asked for", () => {
    fc.assert(
      fc.property(rows, (rows) => {
        let next = 1;
        for (const batch of rows.length > 0 ? cut(rows, full) : []) {
          expect(batch.first).toBe(next);
          expect(batch.size).toBe(batch.last - batch.first + 1);
          expect(batch.size).toBeLessThanOrEqual(100);
          next = batch.last + 1;
        }
        expect(next).toBe(rows.length + 1);
      }),
    );
  });

  it("are cut before they get too long, but take one entry of any length", () => {
    const long = (seq: number): QueuedRow => ({
      seq,
      kind: "notifications",
      body: JSON.stringify({ ...value("0".repeat(32), seq), payload: "A".repeat(3 << 20) }),
    });
    const batches = cut([long(1), long(2), row(3, "notifications", "0".repeat(32))], look());
    expect(batches.map(({ size }) => size)).toEqual([1, 2]);
  });
});

describe("entries", () => {
  const device = "0".repeat(32);
  const one = (kind: NotificationKind, given: Partial<Serialization> = {}) => {
    const batch = new Batch(look(given));
    batch.add(row(7, kind, device));
    return JSON.parse(batch.message())[kind][0];
  };

  it.each(["registrations", "reg-updates"] as const)("of %s always have the endpoint name", (kind) => {
    expect(one(kind)).toEqual({
      ep: device,
      "original-ep": `name of ${device}`,
      ept: "test",
      q: false,
      resources: [{ path: "/3303/0/5700", obs: true }],
    });
    expect(one(kind, { includeUid: true, includeTimestamp: true })).toMatchObject({
      uid: expect.any(String),
      timestamp: 7,
    });
  });

  it.each(["de-registrations", "registrations-expired"] as const)(
    "of %s are texts, or objects when asked for",
    (kind) => {
      expect(one(kind, { includeUid: true })).toBe(device);
      expect(one(kind, { deregistrationsAsObject: true })).toEqual({ ep: device });
      expect(
        one(kind, {
          deregistrationsAsObject: true,
          includeOriginalEp: true,
          includeTimestamp: true,
          includeUid: true,
        }),
      ).toEqual({ ep: device, "original-ep": `name of ${device}`, timestamp: 7, uid: expect.any(String) });
    },
  );

  it("of notifications have what was asked for", () => {
    const bare = { ep: device, path: "/3303/0/5700", ct: "text/plain", payload: "Nw==", "max-age": 0 };
    expect(one("notifications")).toEqual(bare);
    expect(one("notifications", { includeOriginalEp: true })).toEqual({
      ...bare,
      "original-ep": `name of ${device}`,
    });
    expect(one("notifications", { includeTimestamp: true })).toEqual({ ...bare, timestamp: 7 });
    expect(one("notifications", { includeUid: true })).toEqual({ ...bare, uid: expect.any(String) });
  });

  it("of async responses are as they are", () => {
    expect(one("async-responses", { includeUid: true })).toEqual({ id: "7", status: 200, payload: "" });
  });
});
