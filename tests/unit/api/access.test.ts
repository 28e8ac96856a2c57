import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
beforeAll(async () => {
  bench = await openApiBench();
});
afterAll(() => bench.close());

const groups = async () => {
  const { body } = await bench.call(bench.a.admin, "GET", "/v3/policy-groups");
  const ids = new Map<string, string>(
    body.data.map(({ name, id }: { name: string; id: string }) => [name, id]),
  );
  return { administrators: ids.get("Administrators") ?? "", developers: ids.get("Developers") ?? "" };
};

describe("API keys", () => {
  it("are shown whole once, then without their secret", async () => {
    const { developers } = await groups();
    const made = await bench.call(bench.a.admin, "POST", "/v3/api-keys", { name: "CI" });
    expect(made.body).toMatchObject({
      name: "CI",
      status: "ACTIVE",
      groups: [developers],
      owner: bench.a.userId,
    });
    expect(made.body.key).toMatch(/^ak_1[A-Za-z0-9_]{107}$/);
    const found = await bench.call(bench.a.admin, "GET", `/v3/api-keys/${made.body.id}`);
    expect(found.body.key).toBe(made.body.key.slice(0, -32));
    expect(found.body.key).toHaveLength(79);
    const byKey = await bench.call(bench.a.admin, "GET", `/v3/api-keys?key__eq=${found.body.key}`);
    expect(byKey.body).toMatchObject({ total_count: 1, data: [{ id: made.body.id }] });
    const me = await bench.call(made.body.key, "GET", "/v3/api-keys/me");
    expect(me.body.id).toBe(made.body.id);
  });

  it("open nothing while inactive, expired, with their former secret, or deleted", async () => {
    const { id, key } = (await bench.call(bench.a.admin, "POST", "/v3/api-keys", { name: "short-lived" }))
      .body;
    const status = async (with_ = key) => (await bench.call(with_, "GET", "/v3/api-keys/me")).status;
    expect(await status()).toBe(200);
    const off = await bench.call(bench.a.admin, "PUT", `/v3/api-keys/${id}`, { status: "INACTIVE" });
    expect(off.body.status).toBe("INACTIVE");
    expect(await status()).toBe(401);
    await bench.call(bench.a.admin, "PUT", `/v3/api-keys/${id}`, { name: "again", status: "ACTIVE" });
    expect(await status()).toBe(200);
    const reset = await bench.call(bench.a.admin, "POST", `/v3/api-keys/${id}/reset-secret`);
    expect(reset.body).toMatchObject({ id, name: "again" });
    expect(await status()).toBe(401);
    expect(await status(reset.body.key)).toBe(200);
    await bench.db.apiKey.update({ where: { id }, data: { expiresAt: new Date(Date.now() - 1000) } });
    expect(await status(reset.body.key)).toBe(401);
    expect((await bench.call(bench.a.admin, "GET", `/v3/api-keys/${id}`)).body.status).toBe("INACTIVE");
    expect((await bench.call(bench.a.admin, "DELETE", `/v3/api-keys/${id}`)).status).toBe(204);
    expect((await bench.call(bench.a.admin, "GET", `/v3/api-keys/${id}`)).status).toBe(404);
  });

  it("may not be raised by developers", async () => {
    const { administrators, developers } = await groups();
    const { a } = bench;
    const adminId = (await bench.call(a.admin, "GET", "/v3/api-keys/me")).body.id;
    const tries = [
      ["POST", "/v3/api-keys", { name: "x", groups: [administrators] }],
      ["PUT", "/v3/api-keys/me", { groups: [administrators] }],
      ["PUT", `/v3/api-keys/${adminId}`, { name: "x" }],
      ["POST", `/v3/api-keys/${adminId}/reset-secret`, {}],
      ["DELETE", `/v3/api-keys/${adminId}`, undefined],
    ] as const;
    for (const [method, path, body] of tries) {
      const answer = await bench.call(a.developer, method, path, body);
      expect([answer.status, answer.body.type], `${method} ${path}`).toEqual([403, "forbidden"]);
    }
    const made = await bench.call(a.admin, "POST", "/v3/api-keys", { name: "ops", groups: [administrators] });
    expect(made.body.groups).toEqual([administrators]);
    const lowered = await bench.call(a.admin, "PUT", `/v3/api-keys/${made.body.id}`, {
      groups: [developers],
    });
    expect(lowered.body.groups).toEqual([developers]);
    const renamed = await bench.call(a.developer, "PUT", "/v3/api-keys/me", { name: "me" });
    expect(renamed.body.name).toBe("me");
  });

  it("are listed page by page", async () => {
    for (let n = 0; n < 5; n++) await bench.call(bench.b.admin, "POST", "/v3/api-keys", { name: `n${n}` });
    const first = (await bench.call(bench.b.admin, "GET", "/v3/api-keys?limit=4")).body;
    expect(first).toMatchObject({ has_more: true, limit: 4, order: "ASC", total_count: 7 });
    const second = (await bench.call(bench.b.admin, "GET", `/v3/api-keys?limit=4&after=${first.data[3].id}`))
      .body;
    expect(second).toMatchObject({ has_more: false, after: first.data[3].id });
    const names = [...first.data, ...second.data].map(({ name }: { name: string }) => name);
    expect(names).toEqual(["admin", "developer", "n0", "n1", "n2", "n3", "n4"]);
  });

  it("are checked", async () => {
    for (const body of [
      {},
      { name: "" },
      { name: "x".repeat(101) },
      { name: "x", status: "ON" },
      { name: 1 },
      [],
    ])
      expect((await bench.call(bench.a.admin, "POST", "/v3/api-keys", body)).body.type).toBe(
        "validation_error",
      );
    const stranger = await bench.call(bench.a.admin, "POST", "/v3/api-keys", {
      name: "x",
      owner: bench.b.userId,
    });
    expect(stranger.status).toBe(400);
  });
});

describe("accounts, users and groups", () => {
  it("are those of the key", async () => {
    const account = await bench.call(bench.a.developer, "GET", "/v3/accounts/me");
    expect(account.body).toMatchObject({ id: bench.a.id, display_name: "alpha", status: "ACTIVE" });
    expect(account.body.limits).toBeUndefined();
    const full = await bench.call(bench.a.developer, "GET", "/v3/accounts/me?include=limits,policies");
    expect(full.body).toMatchObject({ limits: { "trusted-certificates": "50" }, policies: [] });
    const me = await bench.call(bench.a.developer, "GET", "/v3/users/me");
    expect(me.body).toMatchObject({ id: bench.a.userId, email: "alpha@example.com" });
    expect((await bench.call(bench.a.developer, "GET", `/v3/users/${bench.a.userId}`)).body).toEqual(me.body);
    const { administrators } = await groups();
    const group = await bench.call(bench.a.developer, "GET", `/v3/policy-groups/${administrators}`);
    expect(group.body).toMatchObject({ name: "Administrators", user_count: 1 });
    const named = await bench.call(bench.a.developer, "GET", "/v3/policy-groups?name__eq=Developers");
    expect(named.body).toMatchObject({ total_count: 1, data: [{ name: "Developers" }] });
  });

  it("filters users", async () => {
    const count = async (query: string) =>
      (await bench.call(bench.a.admin, "GET", `/v3/users?${query}`)).body.total_count;
    expect(await count("email__eq=ALPHA@example.com")).toBe(1);
    expect(await count("email__eq=beta@example.com")).toBe(0);
    expect(await count("status__in=ACTIVE,INVITED")).toBe(1);
    expect(await count("status__nin=ACTIVE")).toBe(0);
  });
});
