import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApiKey } from "@/server/services/api-keys/create";
import { actAs } from "@/server/services/create-context";
import { authenticate } from "@/server/services/users/authenticate";
import { getSessionUser } from "@/server/services/users/get";
import { acceptInvitation, checkInvitation } from "@/server/services/users/invitations";
import { type ApiBench, openApiBench } from "../../support/api-bench";

let bench: ApiBench;
beforeAll(async () => {
  bench = await openApiBench();
});
afterAll(() => bench.close());

// The first account runs the instance.
const admin = (method: string, path: string, body?: unknown) => bench.call(bench.a.admin, method, path, body);
const signIn = (email: string, password: string) => authenticate(bench.system, { email, password });
const tokenOf = (url: string) => new URL(url).searchParams.get("token") ?? "";

describe("users", () => {
  it("are made with a password, changed and deleted", async () => {
    const before = (await admin("GET", "/v3/users")).body.total_count;
    const email = "Bob@Example.com";
    const made = await admin("POST", "/v3/users", {
      email,
      full_name: "Bob",
      password: "correct horse",
      username: "bob.1",
      phone_number: "+358 1",
    });
    expect(made.body).toMatchObject({
      email: "bob@example.com",
      full_name: "Bob",
      username: "bob.1",
      phone_number: "+358 1",
      address: null,
      status: "ACTIVE",
    });
    expect(made.text).not.toContain("correct horse");
    expect((await admin("GET", "/v3/users")).body.total_count).toBe(before + 1);
    const session = await signIn(email, "correct horse");
    expect(session).toMatchObject({ id: made.body.id, role: "developer" });
    for (const body of [{ email }, { email: "c@example.com", username: "bob.1" }])
      expect((await admin("POST", "/v3/users", body)).body.type).toBe("duplicate");
    // An address is somebody's on the whole instance.
    expect((await bench.call(bench.b.admin, "POST", "/v3/users", { email })).status).toBe(409);
    for (const body of [
      {},
      { email: "nobody" },
      { email: "x@y.zz", password: "short" },
      { email: "x@y.zz", username: "é" },
    ])
      expect((await admin("POST", "/v3/users", body)).body.type).toBe("validation_error");
    expect(
      (await bench.call(bench.a.developer, "POST", "/v3/users", { email: "d@example.com" })).status,
    ).toBe(403);

    const path = `/v3/users/${made.body.id}`;
    const changed = await admin("PUT", path, { full_name: "Robert", username: null, address: "Oulu" });
    expect(changed.body).toMatchObject({
      full_name: "Robert",
      username: null,
      address: "Oulu",
      phone_number: "+358 1",
    });
    expect((await admin("PUT", path, changed.body)).body).toMatchObject({ full_name: "Robert" });
    expect((await admin("PUT", path, { email: "alpha@example.com" })).status).toBe(409);
    const token = { id: made.body.id, accountId: bench.a.id };
    expect(await getSessionUser(bench.system, token)).not.toBeNull();
    expect((await admin("PUT", path, { status: "INACTIVE" })).body.status).toBe("INACTIVE");
    expect(await getSessionUser(bench.system, token)).toBeNull();
    expect(await signIn(email, "correct horse")).toBeNull();
    expect((await admin("PUT", path, { status: "ACTIVE" })).body.status).toBe("ACTIVE");
    const { id: keyId } = (await admin("POST", "/v3/api-keys", { name: "Bob’s", owner: made.body.id })).body;
    expect((await admin("DELETE", path)).status).toBe(204);
    expect(await getSessionUser(bench.system, token)).toBeNull();
    expect((await admin("GET", path)).status).toBe(404);
    expect((await admin("GET", `/v3/api-keys/${keyId}`)).body).toMatchObject({
      owner: null,
      status: "ACTIVE",
    });
  });

  it("never lose their last administrator", async () => {
    const own = `/v3/users/${bench.b.userId}`;
    const call = (method: string, path: string, body?: unknown) =>
      bench.call(bench.b.admin, method, path, body);
    const groups = (await call("GET", "/v3/policy-groups")).body.data;
    const of = (name: string) => groups.find((group: { name: string }) => group.name === name).id;
    // An administrator who has not come yet governs nothing.
    const invited = await call("POST", "/v3/users", {
      email: "later@example.com",
      groups: [of("Administrators")],
    });
    expect(invited.body.groups).toEqual([of("Administrators")]);
    for (const [method, body] of [
      ["DELETE", undefined],
      ["PUT", { status: "INACTIVE" }],
      ["PUT", { groups: [of("Developers")] }],
      ["PUT", { groups: [] }],
    ] as const)
      expect((await call(method, own, body)).body.message).toContain("last administrator");
    await acceptInvitation(bench.system, {
      token: tokenOf(invited.body.invitation_url),
      password: "correct horse",
    });
    expect((await call("PUT", own, { groups: [of("Developers")] })).body.groups).toEqual([of("Developers")]);
    expect((await call("PUT", own, { groups: [of("Administrators")] })).status).toBe(200);
  });

  it("are invited by a link that works once", async () => {
    const made = await admin("POST", "/v3/user-invitations", { email: "eve@example.com", valid_for_days: 3 });
    const { id, user_id, url, expiration, created_at } = made.body;
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/invitation\?token=[\w-]{32}$/);
    expect(Date.parse(expiration) - Date.parse(created_at)).toBe(3 * 86_400_000);
    const token = tokenOf(url);
    expect(JSON.stringify(await bench.db.userInvitation.findMany({ omit: { hash: false } }))).not.toContain(
      token,
    );
    const path = `/v3/user-invitations/${id}`;
    expect((await admin("GET", path)).body.url).toBeUndefined();
    expect(
      (await admin("GET", "/v3/user-invitations")).body.data.map((one: { id: string }) => one.id),
    ).toContain(id);
    expect((await admin("GET", `/v3/users/${user_id}`)).body.status).toBe("INVITED");
    // Nobody makes them active but themselves.
    expect((await admin("PUT", `/v3/users/${user_id}`, { status: "ACTIVE" })).status).toBe(400);
    expect(await signIn("eve@example.com", "")).toBeNull();
    expect(await checkInvitation(bench.system, token)).toEqual({
      email: "eve@example.com",
      name: "",
      accountName: "alpha",
    });
    const accept = (password: string) => acceptInvitation(bench.system, { token, password, name: "Eve" });
    await expect(accept("short")).rejects.toMatchObject({ code: "validation_error" });
    const tries = await Promise.allSettled([accept("correct horse"), accept("battery staple")]);
    expect(tries.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(await checkInvitation(bench.system, token)).toBeNull();
    expect((await admin("GET", path)).status).toBe(404);
    expect((await admin("GET", `/v3/users/${user_id}`)).body).toMatchObject({
      status: "ACTIVE",
      full_name: "Eve",
    });
    for (const body of [{}, { email: "eve@example.com" }, { email: "f@example.com", valid_for_days: 101 }])
      expect((await admin("POST", "/v3/user-invitations", body)).status).toBeGreaterThanOrEqual(400);
  });

  it("are gone with an invitation that is taken back, and late with one that ran out", async () => {
    const made = (await admin("POST", "/v3/user-invitations", { email: "gone@example.com" })).body;
    expect((await bench.call(bench.a.developer, "DELETE", `/v3/user-invitations/${made.id}`)).status).toBe(
      403,
    );
    expect((await admin("DELETE", `/v3/user-invitations/${made.id}`)).status).toBe(204);
    expect(await checkInvitation(bench.system, tokenOf(made.url))).toBeNull();
    expect((await admin("GET", `/v3/users/${made.user_id}`)).status).toBe(404);
    const late = (await admin("POST", "/v3/user-invitations", { email: "late@example.com" })).body;
    await bench.db.userInvitation.update({ where: { id: late.id }, data: { expiresAt: new Date() } });
    const accept = acceptInvitation(bench.system, { token: tokenOf(late.url), password: "correct horse" });
    await expect(accept).rejects.toMatchObject({ code: "forbidden" });
  });
});

describe("accounts", () => {
  const details = {
    company: "Acme Oy",
    city: "Oulu",
    custom_fields: { plan: "gold" },
    notification_emails: ["a@b.cc"],
  };

  it("tell what is said of them", async () => {
    const before = (await admin("GET", "/v3/accounts/me")).body;
    expect(before).toMatchObject({ display_name: "alpha", company: "alpha", city: null, device_keys: true });
    const body = { ...details, display_name: "Alpha", registration_lifetime: 600, device_keys: false };
    const changed = await admin("PUT", "/v3/accounts/me", body);
    expect(changed.body).toMatchObject(body);
    expect(bench.asked.at(-1)).toEqual({ op: "account.reload", input: {} });
    const less = await admin("PUT", "/v3/accounts/me", {
      city: null,
      company: "",
      registration_lifetime: null,
    });
    expect(less.body).toMatchObject({
      city: null,
      company: "Alpha",
      registration_lifetime: null,
      device_keys: false,
      custom_fields: { plan: "gold" },
    });
    // What was read may be sent back.
    expect((await admin("PUT", "/v3/accounts/me", less.body)).status).toBe(200);
    expect((await admin("PUT", "/v3/accounts/me", {})).status).toBe(200);
    for (const wrong of [
      { display_name: "" },
      { registration_lifetime: 5 },
      { email: "nobody" },
      { custom_fields: { n: 1 } },
    ])
      expect((await admin("PUT", "/v3/accounts/me", wrong)).status, JSON.stringify(wrong)).toBe(400);
    expect((await bench.call(bench.a.developer, "PUT", "/v3/accounts/me", { city: "x" })).status).toBe(403);
  });

  it("have limits", async () => {
    const { data } = (await admin("GET", "/v3/limitations")).body;
    const named = new Map(data.map((one: { name: string }) => [one.name, one]));
    expect(named.get("trusted-certificates")).toMatchObject({ limit: 50 });
    expect((await admin("GET", `/v3/limitations/${data[0].id}`)).body).toEqual(data[0]);
    expect((await admin("GET", "/v3/accounts/me?include=limits")).body.limits).toMatchObject({
      "access-keys": "2",
    });
  });

  it("are made by administrators of the instance, with an administrator of their own", async () => {
    const body = {
      display_name: "Gamma",
      admin_email: "carol@example.com",
      admin_full_name: "Carol",
      city: "Turku",
    };
    for (const key of [bench.a.developer, bench.b.admin]) {
      expect((await bench.call(key, "POST", "/v3/accounts", body)).status).toBe(403);
      expect((await bench.call(key, "GET", "/v3/accounts")).status).toBe(403);
    }
    const made = await admin("POST", "/v3/accounts", body);
    expect(made.body).toMatchObject({
      display_name: "Gamma",
      city: "Turku",
      status: "ACTIVE",
      admin_email: "carol@example.com",
      admin_full_name: "Carol",
    });
    expect((await admin("POST", "/v3/accounts", { ...body, display_name: "Delta" })).status).toBe(409);
    expect(await bench.db.account.count({ where: { name: "Delta" } })).toBe(0);
    expect((await admin("GET", "/v3/accounts?display_name__eq=Gamma")).body).toMatchObject({
      total_count: 1,
      data: [{ id: made.body.id }],
    });
    await acceptInvitation(bench.system, {
      token: tokenOf(made.body.admin_invitation_url),
      password: "correct horse",
    });
    expect(await signIn("carol@example.com", "correct horse")).toMatchObject({
      accountId: made.body.id,
      role: "administrator",
    });
    const ready = await admin("POST", "/v3/accounts", {
      company: "Epsilon",
      admin_email: "dan@example.com",
      admin_password: "battery staple",
    });
    expect(ready.body.display_name).toBe("Epsilon");
    expect(ready.body.admin_invitation_url).toBeUndefined();
    expect(await signIn("dan@example.com", "battery staple")).not.toBeNull();
  });

  it("are governed from the first one, and from nowhere else", async () => {
    const { a, b } = bench;
    const base = `/v3/accounts/${b.id}`;
    const own = await bench.call(b.admin, "GET", base);
    expect((await admin("GET", base)).body).toEqual(own.body);
    expect((await bench.call(b.admin, "GET", `${base}/users`)).body).toEqual(
      (await bench.call(b.admin, "GET", "/v3/users")).body,
    );
    for (const key of [b.admin, a.developer])
      for (const path of [
        `/v3/accounts/${key === b.admin ? a.id : b.id}`,
        `/v3/accounts/${key === b.admin ? a.id : b.id}/users`,
      ])
        expect((await bench.call(key, "GET", path)).status).toBe(404);
    const user = await admin("POST", `${base}/users`, { email: "made-for-beta@example.com" });
    expect(user.body.account_id).toBe(b.id);
    const key = await admin("POST", `${base}/api-keys`, { name: "made for beta" });
    expect(key.body).toMatchObject({ account_id: b.id, owner: null });
    expect((await bench.call(key.body.key, "GET", "/v3/accounts/me")).body.id).toBe(b.id);
    expect((await admin("GET", `/v3/api-keys/${key.body.id}`)).status).toBe(404);
    const group = (await admin("GET", "/v3/policy-groups")).body.data[0].id;
    expect((await admin("POST", `${base}/api-keys`, { name: "x", groups: [group] })).status).toBe(400);
    expect((await admin("PUT", base, { city: "Espoo" })).body.city).toBe("Espoo");
    const log = (await bench.call(b.admin, "GET", "/v3/audit-log?action__eq=api-key.created")).body.data;
    expect(log[0]).toMatchObject({ actor: "key:admin", object_id: key.body.id, account_id: b.id });
  });

  it("are shut while they are suspended", async () => {
    const { a, b } = bench;
    const base = `/v3/accounts/${b.id}`;
    expect((await bench.call(b.admin, "PUT", base, { status: "SUSPENDED" })).status).toBe(403);
    expect((await admin("PUT", `/v3/accounts/${a.id}`, { status: "SUSPENDED" })).status).toBe(400);
    const { id } = (
      await admin("POST", `${base}/users`, { email: "shut@example.com", password: "correct horse" })
    ).body;
    expect(await signIn("shut@example.com", "correct horse")).not.toBeNull();
    expect((await admin("PUT", base, { status: "SUSPENDED" })).body.status).toBe("SUSPENDED");
    for (const key of [b.admin, b.developer])
      expect((await bench.call(key, "GET", "/v3/accounts/me")).status).toBe(401);
    expect(await signIn("shut@example.com", "correct horse")).toBeNull();
    expect(await getSessionUser(bench.system, { id, accountId: b.id })).toBeNull();
    expect((await admin("GET", `${base}/users`)).status).toBe(200);
    expect((await admin("PUT", base, { status: "ACTIVE" })).body.status).toBe("ACTIVE");
    expect((await bench.call(b.admin, "GET", "/v3/accounts/me")).status).toBe(200);
    expect(await getSessionUser(bench.system, { id, accountId: b.id })).not.toBeNull();
    // Both accounts read what was done.
    for (const key of [a.admin, b.admin]) {
      const log = (await bench.call(key, "GET", `/v3/audit-log?action=account.updated&object_id=${b.id}`))
        .body.data;
      expect(log[0]).toMatchObject({ before: { status: "SUSPENDED" }, after: { status: "ACTIVE" } });
    }
  });
});

describe("the audit log", () => {
  it("tells who changed what from what to what, for which request", async () => {
    const made = await admin("POST", "/v3/devices", { name: "before", custom_attributes: { colour: "red" } });
    const path = `/v3/devices/${made.body.id}`;
    const changed = await admin("PUT", path, { name: "after" });
    await admin("DELETE", path);
    const log = (await admin("GET", `/v3/audit-log?object_id__eq=${made.body.id}`)).body;
    expect(log).toMatchObject({ order: "DESC", has_more: false });
    expect(log.data.map(({ action }: { action: string }) => action)).toEqual([
      "device.deleted",
      "device.updated",
      "device.created",
    ]);
    expect(log.data[1]).toMatchObject({
      account_id: bench.a.id,
      actor: "key:admin",
      object_type: "device",
      before: { name: "before", custom_attributes: { colour: "red" } },
      after: { name: "after", custom_attributes: { colour: "red" } },
      request_id: changed.headers.get("x-request-id"),
    });
    expect(log.data[0].after).toBeNull();
    expect(log.data[2].before).toBeNull();
    expect((await admin("GET", `/v3/audit-log/${log.data[1].id}`)).body).toEqual(log.data[1]);
    const count = async (query: string) =>
      (await admin("GET", `/v3/audit-log?object_id=${made.body.id}&include=total_count&${query}`)).body
        .total_count;
    const [deleted, updated] = log.data;
    expect(await count("")).toBe(3);
    expect(await count("action__in=device.created,device.deleted")).toBe(2);
    expect(await count("actor__neq=key:admin")).toBe(0);
    expect(await count("object_type=device&actor=key:admin")).toBe(3);
    expect(await count(`request_id=${updated.request_id}`)).toBe(1);
    expect(await count(`created_at__gte=${deleted.created_at}`)).toBeGreaterThanOrEqual(1);
    expect(await count("created_at__lte=2020-01-01T00:00:00Z")).toBe(0);
    const oldest = await admin("GET", `/v3/audit-log?object_id=${made.body.id}&order=ASC&limit=2`);
    expect(oldest.body).toMatchObject({ has_more: true, data: [{ action: "device.created" }, {}] });
  });

  it("is read by administrators, and holds no secret", async () => {
    expect((await bench.call(bench.a.developer, "GET", "/v3/audit-log")).status).toBe(403);
    const key = (await admin("POST", "/v3/api-keys", { name: "secret" })).body;
    const reset = (await admin("POST", `/v3/api-keys/${key.id}/reset-secret`)).body;
    const user = { email: "secret@example.com", password: "do not tell this" };
    const { id } = (await admin("POST", "/v3/users", user)).body;
    const certificate = (await admin("POST", "/v3/developer-certificates", { name: "secret" })).body;
    const { text } = await admin("GET", "/v3/audit-log?limit=1000");
    for (const known of [key.id, id, certificate.id]) expect(text).toContain(known);
    for (const secret of [key.key.slice(-32), reset.key.slice(-32), user.password, "PRIVATE KEY", "argon2"])
      expect(text).not.toContain(secret);
  });

  it("names people and the shell, too", async () => {
    await createApiKey(bench.a.ctx, { name: "by a person" });
    await createApiKey(actAs(bench.system, { kind: "operator", accountId: bench.a.id }), {
      name: "by the shell",
    });
    const { data } = (await admin("GET", "/v3/audit-log?action=api-key.created&limit=2")).body;
    expect(data.map(({ actor, actor_id }: Record<string, string>) => [actor, actor_id])).toEqual([
      ["operator", null],
      ["user:alpha@example.com", bench.a.userId],
    ]);
  });
});
