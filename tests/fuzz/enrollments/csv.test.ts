import fc from "fast-check";
import { expect, it } from "vitest";
import {
  errorsReport,
  fullReport,
  type ListOutcome,
  readIdentities,
} from "@/server/services/enrollments/csv";
import { enrollmentIdentity, fingerprintOf } from "@/server/services/enrollments/identity";

const identity = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => enrollmentIdentity(Buffer.from(bytes).toString("hex")));
const blank = fc.string({ unit: fc.constantFrom(" ", "\t", "\0", "\x1f"), maxLength: 3 });
const end = fc.constantFrom("\n", "\r", "\r\n");
const note = fc.option(
  fc.string({ maxLength: 20 }).map((text) => text.replace(/[\r\n]/g, " ")),
  { nil: null },
);

it("finds the identities of a list, whatever stands around them", () => {
  const line = fc
    .tuple(identity, fc.boolean(), blank, blank, note)
    .map(([text, quoted, before, behind, rest]) => ({
      text,
      line: `${before}${quoted ? `"${text}"` : text}${behind}${rest === null ? "" : `,${rest}`}`,
    }));
  const empty = fc.tuple(blank, note).map(([before, rest]) => ({
    text: null,
    line: `${before}${rest === null ? "" : `,${rest}`}`,
  }));
  fc.assert(
    fc.property(note, fc.array(fc.tuple(fc.oneof(line, empty), end)), (header, lines) => {
      const csv = `${header ?? ""}\r\n${lines.map(([{ line }, stop]) => line + stop).join("")}`;
      const expected = lines.flatMap(([{ text }]) => text ?? []);
      expect(readIdentities(csv)).toEqual(expected.map((text) => ({ text, valid: true })));
    }),
  );
});

it("takes nothing else for an identity", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const entries = readIdentities(`header\n${text}`);
      expect(entries.every(({ valid }) => !valid)).toBe(true);
      expect(entries.length).toBeLessThanOrEqual(text.split(/\r\n|\r|\n/).length);
    }),
  );
  fc.assert(
    fc.property(
      identity,
      blank.filter((text) => text !== ""),
      fc.boolean(),
      (text, space, first) => {
        const inside = first ? space + text : text + space;
        expect(readIdentities(`\n"${inside}"`)).toMatchObject([{ valid: false }]);
      },
    ),
  );
  for (const bad of ['""', '"', '"A-00"', "'A-00'"])
    expect(readIdentities(`h\n${bad}`), bad).toMatchObject([{ valid: false }]);
});

it("does not choke on a long list", () => {
  const text = enrollmentIdentity("0".repeat(64));
  expect(readIdentities(`h\n${`${text}\n`.repeat(100_000)}`)).toHaveLength(100_000);
  expect(readIdentities(`h\n${",".repeat(1_000_000)}${" ".repeat(1_000_000)}`)).toEqual([]);
  expect(readIdentities(`h\n${'"'.repeat(1_000_000)}`)).toHaveLength(1);
});

it("turns a fingerprint into an identity and back", () => {
  fc.assert(
    fc.property(identity, (text) => {
      expect(enrollmentIdentity(fingerprintOf(text))).toBe(text);
      expect(text).toMatch(/^A-[A-Za-z0-9:]{95}$/);
    }),
  );
});

it("writes reports that are CSV", () => {
  const outcome: fc.Arbitrary<ListOutcome> = fc.record({
    identity: fc.string({ unit: "binary" }),
    at: fc.constantFrom(null, new Date(0)),
    error: fc.option(fc.record({ code: fc.integer(), type: fc.string(), message: fc.string() }), {
      nil: null,
    }),
  });
  fc.assert(
    fc.property(outcome, (one) => {
      const values = parse(fullReport.line(one));
      expect(values).toHaveLength(6);
      expect(values[0]).toBe(one.identity);
      expect(values.slice(2, 5)).toEqual(
        one.error ? [String(one.error.code), one.error.type, one.error.message] : ["", "", ""],
      );
      if (one.error) expect(parse(errorsReport.line(one))).toEqual([values[0], ...values.slice(2)]);
      else expect(errorsReport.line(one)).toBe("");
    }),
  );
});

/** One record of RFC 4180 in which everything is quoted. */
function parse(record: string): string[] {
  const values = record.match(/"(?:[^"]|"")*"/g) ?? [];
  expect(`${values.join(",")}\r\n`).toBe(record);
  return values.map((value) => value.slice(1, -1).replaceAll('""', '"'));
}
