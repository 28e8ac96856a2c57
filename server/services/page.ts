import { z } from "zod";
import { Prisma, rowsOf } from "@/server/db";
import type { Context } from "./context";
import type { Filter } from "./filter";
import { filterOperators } from "./filter";
import { idField } from "./validate";

/** Which part of a list is wanted; ids are in the order in which things were made. */
export const pageInput = z.object({
  filters: z
    .array(
      z.object({
        field: z.string(),
        key: z.string().optional(),
        operator: z.enum(filterOperators),
        value: z.string(),
      }),
    )
    .max(100, "may have at most 100 conditions")
    .default([]),
  /** The id of the last item of the page before. */
  after: idField.optional(),
  limit: z.int().min(1).max(1000).default(50),
  order: z.enum(["ASC", "DESC"]).default("ASC"),
  /** Whether to count all there are. */
  count: z.boolean().default(false),
});

export type PageInput = Omit<z.input<typeof pageInput>, "filters"> & { filters?: Filter[] };

export interface Page<T> {
  rows: T[];
  more: boolean;
  /** Null when it was not asked for. */
  total: number | null;
}

/** Finds the ids of one page of a table, and loads its rows in that order. */
export async function findPage<T extends { id: string }>(
  ctx: Context,
  table: Prisma.Sql,
  where: Prisma.Sql,
  { after: last, limit, order, count }: z.output<typeof pageInput>,
  load: (ids: string[]) => Promise<T[]>,
): Promise<Page<T>> {
  const ascending = order === "ASC";
  // Also without `after`: a condition on the id keeps SQLite on the index that is in the order of the ids.
  const after = ascending ? Prisma.sql`"id" > ${last ?? ""}` : Prisma.sql`"id" < ${last ?? "g"}`;
  const rows = rowsOf(ctx.db);
  const found = await rows(
    { id: "text" },
    Prisma.sql`SELECT "id" FROM ${table} WHERE ${where} AND ${after}
      ORDER BY "id" ${ascending ? Prisma.sql`ASC` : Prisma.sql`DESC`} LIMIT ${limit + 1}`,
  );
  const ids = found.slice(0, limit).map(({ id }) => id);
  const more = found.length > limit;
  const total = async () => {
    // A first page that holds everything has been counted.
    if (!last && !more) return ids.length;
    const [all] = await rows(
      { count: "integer" },
      Prisma.sql`SELECT COUNT(*) FROM ${table} WHERE ${where} AND "id" > ''`,
    );
    return all?.count ?? 0;
  };
  const loaded = new Map((ids.length > 0 ? await load(ids) : []).map((row) => [row.id, row]));
  return {
    rows: ids.flatMap((id) => loaded.get(id) ?? []),
    more,
    total: count ? await total() : null,
  };
}
