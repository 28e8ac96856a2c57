import type { Filter } from "@/server/services/filter";
import type { Page, PageInput } from "@/server/services/page";
import { z } from "./zod";

const MIN = 2;
const MAX = 1000;
const DEFAULT = 50;

/** The query of every list. Limits out of range become the nearest one, as SDKs expect it. */
export const pageQuery = z.object({
  limit: z
    .string()
    .regex(/^-?\d{1,12}$/, "must be a whole number")
    .transform((text) => Math.min(MAX, Math.max(MIN, Number(text))))
    .optional()
    .openapi({ type: "integer", minimum: MIN, maximum: MAX, default: DEFAULT }),
  after: z
    .union([z.literal(""), z.string().regex(/^[0-9a-f]{32}$/, "must be the id of an item")])
    .optional()
    .openapi({ type: "string", description: "The id of the last item of the page before." }),
  order: z
    .string()
    .transform((text) => text.toUpperCase())
    .pipe(z.enum(["ASC", "DESC"], "must be ASC or DESC"))
    .optional()
    .openapi({ type: "string", enum: ["ASC", "DESC"], default: "ASC" }),
  include: z
    .string()
    .optional()
    .openapi({ description: "Comma-separated; `total_count` counts all there are." }),
});

export type PageQuery = z.output<typeof pageQuery>;

/** What a verb needs of a list's query. `counted`: lists that always tell their total. */
export function pageOf(query: PageQuery, filters: Filter[], counted = false): PageInput {
  return {
    filters,
    limit: query.limit ?? DEFAULT,
    order: query.order ?? "ASC",
    count: counted || (query.include?.split(",").some((word) => word.trim() === "total_count") ?? false),
    ...(query.after && { after: query.after }),
  };
}

/** The envelope of a page. */
export function list<T, V>(query: PageQuery, page: Page<T>, serialize: (row: T) => V) {
  return {
    object: "list" as const,
    data: page.rows.map((row) => serialize(row)),
    has_more: page.more,
    limit: query.limit ?? DEFAULT,
    order: query.order ?? ("ASC" as const),
    after: query.after || null,
    ...(page.total !== null && { total_count: page.total }),
  };
}
