import type { z } from "zod";
import { Prisma } from "@/server/db";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { compileFilters, type FilterFields, MEMBERSHIP } from "../filter";
import { findPage, type Page, type PageInput, pageInput } from "../page";
import { idInput, validate } from "../validate";
import { type ApiKeyView, apiKeySelect, apiKeyView } from "./list";

/** What API keys can be filtered by; a key is asked for without its secret part. */
export const apiKeyFilters = {
  key: { sql: Prisma.sql`"prefix"`, kind: "text", operators: ["eq"] },
  name: { sql: Prisma.sql`"name"`, kind: "text", operators: MEMBERSHIP },
  role: { sql: Prisma.sql`"role"`, kind: "text", operators: MEMBERSHIP },
  owner: { sql: Prisma.sql`"ownerId"`, kind: "text", operators: MEMBERSHIP },
  status: { sql: Prisma.sql`"status"`, kind: "text", operators: MEMBERSHIP },
} as const satisfies FilterFields;

/** A page of the account's API keys. */
export async function searchApiKeys(ctx: Context, input: PageInput = {}): Promise<Page<ApiKeyView>> {
  const accountId = memberAccount(ctx.actor);
  const page = validate(pageInput, input);
  return findPage(
    ctx,
    Prisma.sql`"ApiKey"`,
    Prisma.sql`"accountId" = ${accountId} AND "applicationId" IS NULL${compileFilters(apiKeyFilters, page.filters)}`,
    page,
    async (ids) => {
      const rows = await ctx.db.apiKey.findMany({
        where: { accountId, applicationId: null, id: { in: ids } },
        select: apiKeySelect,
      });
      return rows.map((row) => apiKeyView(row, ctx.clock.now()));
    },
  );
}

export const findApiKeyInput = idInput;

/** An API key of the account, without its secret. */
export async function findApiKey(ctx: Context, input: z.input<typeof findApiKeyInput>): Promise<ApiKeyView> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(findApiKeyInput, input);
  const row = await ctx.db.apiKey.findFirst({
    where: { id, accountId, applicationId: null },
    select: apiKeySelect,
  });
  if (!row) throw notFound("API key");
  return apiKeyView(row, ctx.clock.now());
}
