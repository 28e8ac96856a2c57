import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { filterNames, parseFilters } from "@/server/api/filter";
import { createDevice } from "@/server/services/devices/create";
import { deviceFilters, searchDevices } from "@/server/services/devices/search";
import { ServiceError } from "@/server/services/errors";
import { compileFilters, type Filter } from "@/server/services/filter";
import { readFilter } from "@/server/services/filter-text";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
beforeAll(async () => {
  bench = await openApiBench();
});
afterAll(() => bench.close());

const name = fc.constantFrom(...filterNames(deviceFilters));
const value = fc.string({ unit: "grapheme", maxLength: 40 });
const attribute = fc.stringMatching(/^[A-Za-z][^&=]{0,20}$/).filter((text) => !text.includes("__"));

it("reads back what was written, in both syntaxes", () => {
  const conditions = fc.array(
    fc.oneof(
      fc.tuple(name, value),
      fc.tuple(
        attribute.map((key) => `custom_attributes__${key}`),
        value,
      ),
    ),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(conditions, (written) => {
      const direct = parseFilters(new URLSearchParams(written), deviceFilters);
      const text = written
        .map(([field, asked]) => `${encodeURIComponent(field)}=${encodeURIComponent(asked)}`)
        .join("&");
      const saved = readFilter(text, deviceFilters);
      expect(direct).toEqual(saved);
      expect(saved.map((filter) => filter.value)).toEqual(written.map(([, asked]) => asked));
    }),
  );
});

it("refuses in words whatever it cannot read", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (text) => {
      try {
        for (const filter of readFilter(text, deviceFilters))
          expect(Object.hasOwn(deviceFilters, filter.field)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(ServiceError);
        expect((error as ServiceError).code).toBe("validation_error");
      }
    }),
  );
});

it("puts every value into a parameter, never into the statement", () => {
  const texts = filterNames(deviceFilters).filter((field) => {
    const [of = ""] = field.split("__");
    return deviceFilters[of as keyof typeof deviceFilters].kind === "text";
  });
  fc.assert(
    fc.property(fc.constantFrom(...texts), value, (field, asked) => {
      const [filter] = parseFilters(new URLSearchParams([[field, asked]]), deviceFilters);
      const marked = { ...(filter as Filter), value: `§${asked.replaceAll(",", "")}§` };
      const { sql, values } = compileFilters(deviceFilters, [marked]);
      expect(sql).not.toContain("§");
      expect(values.some((bound) => String(bound).includes("§"))).toBe(true);
    }),
  );
});

it("never makes a statement that the database does not take", async () => {
  const filters = fc.array(
    fc.record({
      field: fc.oneof(fc.constantFrom(...Object.keys(deviceFilters)), fc.string({ maxLength: 10 })),
      key: fc.option(fc.string({ unit: "grapheme", maxLength: 10 }), { nil: undefined }),
      operator: fc.constantFrom("eq", "neq", "in", "nin", "lte", "gte", "like"),
      value: fc.oneof(
        value,
        fc.constantFrom("true", "1", "2026-01-31T12:00:00Z", "a,b", "%", "'", '"', "\0"),
      ),
    }),
    { maxLength: 4 },
  );
  await fc.assert(
    fc.asyncProperty(filters, async (asked) => {
      try {
        expect((await searchDevices(bench.a.ctx, { filters: asked as Filter[] })).rows).toEqual([]);
      } catch (error) {
        expect(error).toBeInstanceOf(ServiceError);
        expect((error as ServiceError).code).toBe("validation_error");
      }
    }),
    { numRuns: 300 },
  );
});

it("finds a device by each of its attributes and by nothing else", async () => {
  const { id } = await createDevice(bench.b.ctx, { endpointName: "with-attributes" });
  // Quotes and backslashes are what JSON writes differently.
  const text = fc.string({
    unit: fc.constantFrom("a", "b", '"', "\\", ":", ",", "{", "é", "\n", "_"),
    maxLength: 6,
  });
  const key = text.map((rest) => `a${rest}`);
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(key, text, { maxKeys: 4 }),
      key,
      text,
      async (attributes, other, asked) => {
        await bench.db.device.update({
          where: { id },
          data: { customAttributes: JSON.stringify(attributes) },
        });
        const finds = async (name: string, value: string) => {
          const filter = { field: "custom_attributes", key: name, operator: "eq" as const, value };
          return (await searchDevices(bench.b.ctx, { filters: [filter] })).rows.length === 1;
        };
        for (const [name, value] of Object.entries(attributes)) {
          expect(await finds(name, value)).toBe(true);
          expect(await finds(name, asked)).toBe(value === asked);
          expect(await finds(other, value)).toBe(attributes[other] === value);
        }
      },
    ),
    { numRuns: 200 },
  );
});
