import { z } from "@hono/zod-openapi";

/** zod with the OpenAPI names; schemas of the API are made with this one. */
export { z };

export const id = z
  .string()
  .regex(/^[0-9a-f]{32}$/, "must be 32 hexadecimal characters")
  .openapi({ example: "0169ab3c5e4f00000a1b2c3d4e5f6071" });

/** A time as it goes out: UTC, with milliseconds and `Z`, because SDKs take nothing else for a time. */
export const dateTime = z.iso
  .datetime({ precision: 3 })
  .openapi({ format: "date-time", example: "2026-01-31T12:00:00.000Z" });

export const date = z.iso.date().openapi({ format: "date", example: "2026-01-31" });

/** A text that may be left out, empty or null, which all mean the same. */
export const text = (max: number) => z.string().max(max, `may have at most ${max} characters`).nullish();

export const name = (max: number) =>
  z.string().trim().min(1, "is needed").max(max, `may have at most ${max} characters`);

/** One page of a list. */
export const listOf = <T extends z.ZodType>(title: string, item: T) =>
  z
    .object({
      object: z.literal("list"),
      data: z.array(item),
      has_more: z.boolean(),
      limit: z.int(),
      order: z.enum(["ASC", "DESC"]),
      after: z.string().nullable(),
      total_count: z.int().optional(),
    })
    .openapi(title);
