import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApiKey } from "@/server/services/api-keys/create";
import { type AuditState, auditChange } from "@/server/services/audit/record";
import { searchAuditLog } from "@/server/services/audit/search";
import type { Context } from "@/server/services/context";
import { transaction } from "@/server/services/transaction";
import { type Bench, failure, openBench } from "./support";

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

const record = (ctx: Context, after: AuditState | null, more = {}) =>
  transaction(ctx, (tx) =>
    auditChange(ctx, tx, {
      action: "thing.updated",
      objectType: "thing",
      objectId: "1",
      before: null,
      after,
      ...more,
    }),
  );
const last = async (ctx: Context) => (await searchAuditLog(ctx, { order: "DESC", limit: 1 })).rows[0];

describe("an entry of the audit log", () => {
  it("names the actor and the request, and keeps dates as text", async () => {
    const ctx = { ...bench.a.user, requestId: "f".repeat(32) };
    await record(ctx, { at: new Date(0), list: [1, null], nested: { deep: true } });
    expect(await last(bench.a.user)).toMatchObject({
      actor: "user:alpha@example.com",
      actorId: (ctx.actor as { id: string }).id,
      requestId: "f".repeat(32),
      before: null,
      after: { at: "1970-01-01T00:00:00.000Z", list: [1, null], nested: { deep: true } },
    });
  });

  it("is not there when the change is not", async () => {
    const before = await bench.db.auditEntry.count();
    const run = transaction(bench.a.user, async (tx) => {
      await auditChange(bench.a.user, tx, {
        action: "thing.updated",
        objectType: "thing",
        objectId: "1",
        before: null,
        after: null,
      });
      throw new Error("no");
    });
    await expect(run).rejects.toThrow("no");
    expect(await bench.db.auditEntry.count()).toBe(before);
  });

  it("belongs to an account: the actor's, or the one that is named", async () => {
    await record(bench.b.key, { n: 1 });
    expect(await last(bench.b.user)).toMatchObject({ actor: "key:a key", accountId: bench.b.id });
    await record(bench.system, { n: 2 }, { accountId: bench.b.id });
    expect(await last(bench.b.user)).toMatchObject({ actor: "system", actorId: null, after: { n: 2 } });
    expect(await failure(record(bench.system, {}))).toBe("forbidden");
    expect(await failure(searchAuditLog(bench.b.developer))).toBe("forbidden");
    expect(await failure(searchAuditLog(bench.b.device))).toBe("forbidden");
  });

  it("hides what looks like a secret, wherever it stands", async () => {
    const { key } = await createApiKey(bench.a.user, { name: "k" });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("password", "clientSecret", "private_key", "hash", "passwordHash", "Authorization"),
        fc.string({ minLength: 12, unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz") }),
        fc.boolean(),
        async (name, secret, deep) => {
          const fields = { [name]: secret, text: `see ${key}`, name: "shown" };
          await record(bench.a.user, deep ? { in: [fields] } : fields);
          const text = JSON.stringify(await last(bench.a.user));
          expect(text).not.toContain(secret);
          expect(text).not.toContain(key);
          expect(text).toContain("shown");
        },
      ),
      { numRuns: 20 },
    );
  });

  it("does not keep endless texts", async () => {
    await record(bench.a.user, { text: "x".repeat(100_000) });
    const entry = await last(bench.a.user);
    expect(String(entry?.after?.text)).toHaveLength(4001);
  });
});
