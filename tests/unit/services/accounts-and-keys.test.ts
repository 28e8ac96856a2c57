import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defaultAccount } from "@/server/services/accounts/default";
import { getAccount } from "@/server/services/accounts/get";
import { listAccounts } from "@/server/services/accounts/list";
import { authenticateApiKey } from "@/server/services/api-keys/authenticate";
import { createApiKey } from "@/server/services/api-keys/create";
import { listApiKeys } from "@/server/services/api-keys/list";
import { removeApiKey } from "@/server/services/api-keys/remove";
import { newId } from "@/server/services/ids";
import { type Bench, eventTypes, failure, openBench } from "./support";

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

describe("accounts", () => {
  it("shows members their own account", async () => {
    expect(await getAccount(bench.a.user)).toMatchObject({ id: bench.a.id, name: "alpha" });
    expect(await getAccount(bench.b.key)).toMatchObject({ id: bench.b.id, name: "beta" });
    expect(await failure(getAccount(bench.a.device))).toBe("forbidden");
    expect(await failure(getAccount(bench.system))).toBe("forbidden");
  });

  it("shows all of them to the service only, the first as default", async () => {
    expect((await listAccounts(bench.system)).map(({ name }) => name)).toEqual(["alpha", "beta"]);
    expect((await defaultAccount(bench.system))?.name).toBe("alpha");
    expect(await failure(listAccounts(bench.a.user))).toBe("forbidden");
    expect(await failure(defaultAccount(bench.a.key))).toBe("forbidden");
  });
});

describe("API keys", () => {
  it("are made in Pelion's form and kept as a hash", async () => {
    const { id, key } = await createApiKey(bench.a.user, { name: " CI " });
    expect(key).toMatch(/^ak_1[A-Za-z0-9_]{107}$/);
    expect(Buffer.from(key.slice(4, 47), "base64").toString()).toBe(bench.a.id);
    expect(key.slice(47, 79)).toBe(id);
    const row = await bench.db.apiKey.findUniqueOrThrow({ where: { id }, omit: { hash: false } });
    expect(JSON.stringify(row)).not.toContain(key.slice(-32));
    expect(row).toMatchObject({ name: "CI", prefix: key.slice(0, 79), createdBy: "user:alpha@example.com" });
    expect(await eventTypes(bench, bench.a.id)).toContain("key.created");
    expect(bench.bus.published.at(-1)).toMatchObject({ kind: "event", event: { type: "key.created" } });
    expect(JSON.stringify(bench.bus.published)).not.toContain(key.slice(-32));
  });

  it("open the account they belong to, and no other", async () => {
    const { key, id } = await createApiKey(bench.b.user, { name: "beta key" });
    expect(await authenticateApiKey(bench.system, { key })).toEqual({
      kind: "apiKey",
      id,
      accountId: bench.b.id,
      name: "beta key",
      role: "developer",
      applicationId: null,
      scopes: ["read", "connect", "manage", "credentials"],
    });
    const wrong = key.slice(0, -1) + (key.endsWith("A") ? "B" : "A");
    expect(await authenticateApiKey(bench.system, { key: wrong })).toBeNull();
    for (const bad of ["", "ak_1", "bearer", `${key} `, "x".repeat(111)]) {
      expect(await authenticateApiKey(bench.system, { key: bad })).toBeNull();
    }
    expect(await failure(authenticateApiKey(bench.system, { key: "x".repeat(600) }))).toBe(
      "validation_error",
    );
  });

  it("note their use once a minute", async () => {
    const { key, id } = await createApiKey(bench.a.user, { name: "used" });
    const used = async () =>
      (await bench.db.apiKey.findUniqueOrThrow({ where: { id } })).lastUsedAt?.getTime();
    const first = bench.clock.now();
    await authenticateApiKey(bench.system, { key });
    await bench.clock.advance(30_000);
    await authenticateApiKey(bench.system, { key });
    expect(await used()).toBe(first);
    await bench.clock.advance(31_000);
    await authenticateApiKey(bench.system, { key });
    expect(await used()).toBe(bench.clock.now());
  });

  it("open nothing once expired or inactive", async () => {
    const expiresAt = new Date(bench.clock.now() + 1000);
    const { key, id } = await createApiKey(bench.a.user, { name: "short", expiresAt });
    expect(await authenticateApiKey(bench.system, { key })).not.toBeNull();
    await bench.clock.advance(1000);
    expect(await authenticateApiKey(bench.system, { key })).toBeNull();
    expect((await listApiKeys(bench.a.user)).find((one) => one.id === id)?.status).toBe("EXPIRED");
    const other = await createApiKey(bench.a.user, { name: "off" });
    await bench.db.apiKey.update({ where: { id: other.id }, data: { status: "INACTIVE" } });
    expect(await authenticateApiKey(bench.system, { key: other.key })).toBeNull();
  });

  it("are listed without their secrets, per account", async () => {
    const rows = await listApiKeys(bench.b.developer);
    expect(rows.map(({ name }) => name)).toEqual(["beta key"]);
    expect(Object.keys(rows[0] ?? {})).not.toContain("hash");
    expect(await failure(listApiKeys(bench.a.device))).toBe("forbidden");
  });

  it("are removed by their own account only", async () => {
    const { key, id } = await createApiKey(bench.a.user, { name: "gone" });
    expect(await failure(removeApiKey(bench.b.user, { id }))).toBe("not_found");
    expect(await authenticateApiKey(bench.system, { key })).not.toBeNull();
    expect(await failure(removeApiKey(bench.a.device, { id }))).toBe("forbidden");
    expect(await failure(removeApiKey(bench.a.user, { id: "x" }))).toBe("validation_error");
    await removeApiKey(bench.a.user, { id });
    expect(await authenticateApiKey(bench.system, { key })).toBeNull();
    expect(await failure(removeApiKey(bench.a.user, { id }))).toBe("not_found");
    expect(await failure(removeApiKey(bench.a.user, { id: newId() }))).toBe("not_found");
  });

  it("refuse what is no name, a past expiry, devices and the hundred and first", async () => {
    expect(await failure(createApiKey(bench.a.user, { name: "  " }))).toBe("validation_error");
    expect(await failure(createApiKey(bench.a.user, { name: "x".repeat(101) }))).toBe("validation_error");
    const expiresAt = new Date(bench.clock.now());
    expect(await failure(createApiKey(bench.a.user, { name: "x", expiresAt }))).toBe("validation_error");
    expect(await failure(createApiKey(bench.a.device, { name: "x" }))).toBe("forbidden");
    const left = 100 - (await bench.db.apiKey.count({ where: { accountId: bench.b.id } }));
    for (let n = 0; n < left; n++) await createApiKey(bench.b.user, { name: `key ${n}` });
    expect(await failure(createApiKey(bench.b.user, { name: "one more" }))).toBe("limit_exceeded");
    expect(await bench.db.apiKey.count({ where: { accountId: bench.b.id } })).toBe(100);
  });
});
