import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
beforeAll(async () => {
  bench = await openApiBench();
});
afterAll(() => bench.close());

const admin = (method: string, path: string, body?: unknown) => bench.call(bench.a.admin, method, path, body);
const application = async (name: string, more = {}) =>
  (await admin("POST", "/v3/applications", { name, ...more })).body;
const accessKey = async (id: string, more = {}) =>
  (await admin("POST", `/v3/applications/${id}/access-keys`, { name: "key", ...more })).body;
const opens = async (key: string) => (await bench.call(key, "GET", "/v3/devices")).status;

/** Something of every kind that an owner has. */
async function fillOwner(ownerId: string): Promise<void> {
  const { db, a } = bench;
  const channel = { ownerId, accountId: a.id, kind: "LONG_POLLING", activeAt: new Date() };
  await db.notificationChannel.create({ data: channel });
  await db.notification.create({
    data: { ownerId, kind: "notifications", body: "{}", size: 2, at: new Date() },
  });
  await db.presubscription.create({ data: { ownerId, accountId: a.id, position: 0 } });
}
const left = async (ownerId: string) => {
  const { db } = bench;
  const where = { ownerId };
  const counts = await Promise.all([
    db.notificationChannel.count({ where }),
    db.notification.count({ where }),
    db.presubscription.count({ where }),
  ]);
  return counts.reduce((sum, count) => sum + count, 0);
};

describe("applications", () => {
  it("are made, changed and deleted by administrators", async () => {
    const made = await application("Line 1", { description: "Packs boxes" });
    expect(made).toMatchObject({
      object: "application",
      account_id: bench.a.id,
      status: "ACTIVE",
      last_used_at: null,
    });
    const path = `/v3/applications/${made.id}`;
    const changed = await admin("PUT", path, { name: "Line 2", description: null });
    expect(changed.body).toMatchObject({ name: "Line 2", description: "Packs boxes" });
    expect((await admin("PUT", path, {})).body).toEqual(changed.body);
    expect((await admin("GET", "/v3/applications?name__eq=Line 2")).body).toMatchObject({ total_count: 1 });
    expect((await bench.call(bench.a.developer, "GET", path)).body).toEqual(changed.body);
    for (const [method, target, body] of [
      ["POST", "/v3/applications", { name: "mine" }],
      ["PUT", path, { name: "mine" }],
      ["DELETE", path, undefined],
      ["POST", `${path}/access-keys`, { name: "mine" }],
      ["POST", `${path}/groups/add`, []],
    ] as const)
      expect((await bench.call(bench.a.developer, method, target, body)).status, method).toBe(403);
    expect((await admin("POST", "/v3/applications", { name: "Line 2" })).body).toMatchObject({
      type: "duplicate",
      fields: [{ name: "name", message: "is taken" }],
    });
    await application("Line 3");
    expect((await admin("PUT", path, { name: "Line 3" })).status).toBe(409);
    expect((await admin("DELETE", path)).status).toBe(204);
    expect((await admin("GET", path)).status).toBe(404);
  });

  it("have two access keys, each shown once", async () => {
    const { id } = await application("keys");
    const expiration = new Date(Date.now() + 60_000).toISOString();
    const made = await accessKey(id, { expiration, description: "first" });
    expect(made).toMatchObject({
      object: "access-key",
      application_id: id,
      status: "ACTIVE",
      expiration,
      scopes: ["read", "connect", "manage", "credentials"],
    });
    expect(made.key).toMatch(/^ak_2[A-Za-z0-9_]{107}$/);
    expect(Buffer.from(made.key.slice(4, 47), "base64").toString()).toBe(bench.a.id);
    expect(await opens(made.key)).toBe(200);
    const second = await accessKey(id);
    const third = await admin("POST", `/v3/applications/${id}/access-keys`, { name: "third" });
    expect([third.status, third.body.type]).toEqual([403, "account_limit_exceeded"]);
    const listed = (await admin("GET", `/v3/applications/${id}/access-keys`)).body;
    expect(listed.data.map(({ key }: { key: string }) => key)).toEqual([
      made.key.slice(0, -32),
      second.key.slice(0, -32),
    ]);
    const byKey = (await admin("GET", `/v3/access-keys?key__eq=${listed.data[0].key}`)).body;
    expect(byKey).toMatchObject({ total_count: 1, data: [{ id: made.id }] });
    expect((await admin("GET", `/v3/applications/${id}`)).body.last_used_at).not.toBeNull();
    expect((await admin("DELETE", `/v3/applications/${id}/access-keys/${made.id}`)).status).toBe(204);
    expect(await opens(made.key)).toBe(401);
    expect(await opens(second.key)).toBe(200);
  });

  it("know access keys and API keys apart", async () => {
    const one = await application("one");
    const other = await application("other");
    const key = await accessKey(one.id);
    const keys = (await admin("GET", "/v3/api-keys")).text;
    expect(keys).not.toContain(key.id);
    for (const path of [
      `/v3/api-keys/${key.id}`,
      `/v3/applications/${other.id}/access-keys/${key.id}`,
      `/v3/access-keys/${(await admin("GET", "/v3/api-keys/me")).body.id}`,
    ])
      expect((await admin("GET", path)).status, path).toBe(404);
    expect((await admin("DELETE", `/v3/api-keys/${key.id}`)).status).toBe(404);
    expect((await admin("POST", `/v3/api-keys/${key.id}/reset-secret`)).status).toBe(404);
    expect((await bench.call(key.key, "GET", "/v3/api-keys/me")).status).toBe(404);
    expect((await admin("GET", `/v3/access-keys/${key.id}`)).body.application_id).toBe(one.id);
  });

  it("have keys that run out, are switched off, and come back", async () => {
    const { id } = await application("times");
    const key = await accessKey(id);
    const path = `/v3/applications/${id}/access-keys/${key.id}`;
    expect((await admin("PUT", path, { status: "INACTIVE" })).body.status).toBe("INACTIVE");
    expect(await opens(key.key)).toBe(401);
    expect((await admin("PUT", path, { status: "ACTIVE" })).body.status).toBe("ACTIVE");
    expect(await opens(key.key)).toBe(200);
    const past = new Date(Date.now() - 60_000);
    expect((await admin("PUT", path, { expiration: past.toISOString() })).body).toMatchObject({
      type: "validation_error",
      fields: [{ name: "expiration" }],
    });
    await bench.db.apiKey.update({ where: { id: key.id }, data: { expiresAt: past } });
    expect(await opens(key.key)).toBe(401);
    const expired = (await admin("GET", path)).body;
    expect(expired.status).toBe("EXPIRED");
    const status = async (word: string) =>
      (await admin("GET", `/v3/applications/${id}/access-keys?status__eq=${word}`)).body.total_count;
    expect([await status("EXPIRED"), await status("ACTIVE")]).toEqual([1, 0]);
    // What was read may be sent back.
    expect((await admin("PUT", path, expired)).status).toBe(200);
    expect((await admin("PUT", path, { expiration: null })).body).toMatchObject({
      status: "ACTIVE",
      expiration: null,
    });
    expect(await opens(key.key)).toBe(200);
  });

  it("lose everything that was theirs when they are switched off or deleted", async () => {
    const { id } = await application("stopped");
    const { key, id: keyId } = await accessKey(id);
    await fillOwner(id);
    await admin("PUT", `/v3/applications/${id}/access-keys/${keyId}`, { status: "INACTIVE" });
    expect(await left(id)).toBe(3);
    await admin("PUT", `/v3/applications/${id}/access-keys/${keyId}`, { status: "ACTIVE" });
    expect((await admin("PUT", `/v3/applications/${id}`, { status: "INACTIVE" })).body.status).toBe(
      "INACTIVE",
    );
    expect(await left(id)).toBe(0);
    expect(bench.asked.at(-1)).toEqual({
      op: "owner.reload",
      input: { accountId: bench.a.id, ownerId: id },
    });
    expect(await opens(key)).toBe(401);
    await admin("PUT", `/v3/applications/${id}`, { status: "ACTIVE" });
    expect(await opens(key)).toBe(200);
    await fillOwner(id);
    await admin("DELETE", `/v3/applications/${id}`);
    expect(await left(id)).toBe(0);
    expect(await opens(key)).toBe(401);
  });

  it("are like API keys in that", async () => {
    for (const [method, body] of [
      ["PUT", { status: "INACTIVE" }],
      ["DELETE", undefined],
    ] as const) {
      const { id } = (await admin("POST", "/v3/api-keys", { name: method })).body;
      await fillOwner(id);
      await admin("PUT", `/v3/api-keys/${id}`, { name: "still there" });
      expect(await left(id)).toBe(3);
      expect((await admin(method, `/v3/api-keys/${id}`, body)).status).toBeLessThan(300);
      expect(await left(id)).toBe(0);
    }
  });

  it("do what the Kafka connector asks of them", async () => {
    const account = (await admin("GET", "/v3/accounts/me")).body.id;
    const base = `/v3/accounts/${account}`;
    const groups = (await admin("GET", `${base}/policy-groups`)).body.data;
    const group = groups.find(({ name }: { name: string }) => name === "Administrators").id;
    const made = await admin("POST", `${base}/applications`, { name: "kafka", groups: [group] });
    expect([made.status, made.body.groups]).toEqual([201, [group]]);
    const key = await admin("POST", `${base}/applications/${made.body.id}/access-keys`, {
      name: "kafka",
      description: "connector",
      expiration: new Date(Date.now() + 86_400_000).toISOString(),
    });
    expect(key.status).toBe(201);
    expect((await bench.call(key.body.key, "GET", `${base}/applications/${made.body.id}`)).status).toBe(200);
    // It is in Administrators, so its key may do what they may.
    expect((await bench.call(key.body.key, "DELETE", `${base}/applications/${made.body.id}`)).status).toBe(
      204,
    );
    expect(await opens(key.body.key)).toBe(401);
  });
});

describe("policy groups", () => {
  const ids = async () => {
    const { data } = (await admin("GET", "/v3/policy-groups")).body;
    const of = (wanted: string) => data.find(({ name }: { name: string }) => name === wanted).id as string;
    return { administrators: of("Administrators"), developers: of("Developers") };
  };

  it("have members of three kinds, who are in one of the two", async () => {
    const { administrators, developers } = await ids();
    const { id } = await application("member");
    const apiKey = (await admin("POST", "/v3/api-keys", { name: "member" })).body.id;
    const groupsOf = async (path: string) =>
      (await admin("GET", `${path}/groups`)).body.data.map((group: { id: string }) => group.id);
    const app = `/v3/applications/${id}`;
    expect(await groupsOf(app)).toEqual([developers]);
    expect((await admin("POST", `${app}/groups/add`, [administrators])).status).toBe(204);
    expect(await groupsOf(app)).toEqual([administrators]);
    // Nothing happens twice, and an administrator is a developer already.
    expect((await admin("POST", `${app}/groups/add`, { groups: [developers, administrators] })).status).toBe(
      204,
    );
    expect((await admin("POST", `${app}/groups/remove`, [developers])).status).toBe(204);
    expect(await groupsOf(app)).toEqual([administrators]);
    expect((await admin("POST", `${app}/groups/remove`, [administrators])).status).toBe(204);
    expect(await groupsOf(app)).toEqual([developers]);
    expect((await admin("POST", `${app}/groups/remove`, [developers])).status).toBe(400);

    const key = `/v3/api-keys/${apiKey}`;
    expect((await admin("POST", `${key}/groups/add`, [administrators])).body.groups).toEqual([
      administrators,
    ]);
    expect((await admin("DELETE", `${key}/groups`, [administrators])).body.groups).toEqual([developers]);
    const members = await admin("POST", `/v3/policy-groups/${administrators}`, {
      apikeys: [apiKey],
      applications: [id],
    });
    expect(members.body).toMatchObject({ apikey_count: 2, application_count: 1, user_count: 1 });
    const listed = async (kind: string) =>
      (await admin("GET", `/v3/policy-groups/${administrators}/${kind}`)).body.data.map(
        (one: { id: string }) => one.id,
      );
    expect(await listed("applications")).toEqual([id]);
    expect(await listed("users")).toEqual([bench.a.userId]);
    expect(await listed("api-keys")).toContain(apiKey);
    const out = await admin("POST", `/v3/policy-groups/${administrators}/applications/remove`, {
      applications: [id],
      // Of another kind, so not asked for here.
      apikeys: [apiKey],
    });
    expect(out.body).toMatchObject({ apikey_count: 2, application_count: 0 });
    expect(await groupsOf(key)).toEqual([administrators]);
  });

  it("keep the last administrator, and take nobody from elsewhere", async () => {
    const { administrators } = await ids();
    const last = await admin("POST", `/v3/policy-groups/${administrators}/users/remove`, {
      users: [bench.a.userId],
    });
    expect([last.status, last.body.message]).toEqual([400, expect.stringContaining("last administrator")]);
    const foreign = await admin("POST", `/v3/policy-groups/${administrators}/users/add`, {
      users: [bench.b.userId],
    });
    expect(foreign.status).toBe(404);
    const other = (await bench.call(bench.b.admin, "GET", "/v3/policy-groups")).body.data[0].id;
    expect((await admin("POST", `/v3/users/${bench.a.userId}/groups/add`, [other])).status).toBe(400);
    const raised = await bench.call(bench.a.developer, "POST", "/v3/api-keys/me/groups/add", [
      administrators,
    ]);
    expect(raised.status).toBe(403);
  });
});

describe("scopes", () => {
  it("are what a key may do, and all it may hand on", async () => {
    const made = await admin("POST", "/v3/api-keys", {
      name: "credentials only",
      groups: [(await admin("GET", "/v3/policy-groups?name__eq=Administrators")).body.data[0].id],
      scopes: ["credentials", "read", "credentials"],
    });
    expect(made.body.scopes).toEqual(["read", "credentials"]);
    const limited = (method: string, path: string, body?: unknown) =>
      bench.call(made.body.key, method, path, body);
    expect((await limited("GET", "/v3/devices")).status).toBe(200);
    const refused = await limited("POST", "/v3/devices", {});
    expect([refused.status, refused.body.message]).toEqual([403, "This key lacks the scope “manage”."]);

    const own = await limited("POST", "/v3/api-keys", { name: "child" });
    expect(own.body.scopes).toEqual(["read", "credentials"]);
    const wholeId = (await admin("POST", "/v3/api-keys", { name: "whole" })).body.id;
    const { id } = await application("scoped");
    for (const [method, path, body] of [
      ["POST", "/v3/api-keys", { name: "more", scopes: ["manage"] }],
      ["PUT", "/v3/api-keys/me", { scopes: ["read", "manage"] }],
      ["PUT", `/v3/api-keys/${wholeId}`, { name: "mine" }],
      ["POST", `/v3/api-keys/${wholeId}/reset-secret`, {}],
      ["DELETE", `/v3/api-keys/${wholeId}`, undefined],
      ["POST", `/v3/applications/${id}/access-keys`, { name: "more", scopes: ["connect"] }],
      // A person may do everything in the portal.
      ["POST", "/v3/users", { email: "more@example.com" }],
      ["POST", "/v3/user-invitations", { email: "more@example.com" }],
      ["PUT", `/v3/users/${bench.a.userId}`, { full_name: "Mine" }],
      ["DELETE", `/v3/users/${bench.a.userId}`, undefined],
    ] as const)
      expect((await limited(method, path, body)).status, `${method} ${path}`).toBe(403);
    const whole = await application("whole");
    await admin("POST", `/v3/applications/${whole.id}/access-keys`, { name: "whole" });
    const { id: administrators } = (await admin("GET", "/v3/policy-groups?name__eq=Administrators")).body
      .data[0];
    for (const [method, path, body] of [
      // Its key would become one of an administrator with every scope.
      ["POST", `/v3/applications/${whole.id}/groups/add`, [administrators]],
      ["PUT", `/v3/applications/${whole.id}`, { name: "whole", status: "INACTIVE" }],
      ["DELETE", `/v3/applications/${whole.id}`, undefined],
    ] as const)
      expect((await limited(method, path, body)).status, `${method} ${path}`).toBe(403);
    expect(
      (await limited("POST", `/v3/applications/${id}/access-keys`, { name: "same" })).body.scopes,
    ).toEqual(["read", "credentials"]);
    const narrower = await limited("PUT", "/v3/api-keys/me", { scopes: ["credentials"] });
    expect(narrower.body.scopes).toEqual(["credentials"]);
    expect((await limited("GET", "/v3/devices")).status).toBe(403);
    for (const scopes of [[], ["all"], "read"])
      expect((await admin("POST", "/v3/api-keys", { name: "x", scopes })).status).toBe(400);
  });
});
