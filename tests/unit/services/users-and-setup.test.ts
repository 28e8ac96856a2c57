import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ServiceError } from "@/server/services/errors";
import { getSetting, putSetting } from "@/server/services/instance/settings";
import {
  checkSetupToken,
  createFirstAdministrator,
  ensureAdministrator,
  issueSetupToken,
} from "@/server/services/instance/setup";
import { authenticate } from "@/server/services/users/authenticate";
import { createUser } from "@/server/services/users/create";
import { getUser } from "@/server/services/users/get";
import { type Bench, eventTypes, failure, openBench } from "./support";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(() => bench.close());

const admin = { email: "Ada@Example.com", password: "correct horse", name: "Ada", accountName: "Acme" };

describe("set-up", () => {
  it("goes by a token that works once", async () => {
    const token = (await issueSetupToken(bench.system)) ?? "";
    expect(Buffer.from(token, "base64url")).toHaveLength(16);
    const kept = await getSetting(bench.system, "setup-token");
    expect(kept).toMatch(/^[0-9a-f]{64}$/);
    expect(kept).not.toContain(token);
    expect(await checkSetupToken(bench.system, token)).toBe(true);
    expect(await failure(createFirstAdministrator(bench.system, { ...admin, token: "wrong" }))).toBe(
      "forbidden",
    );

    const { userId, accountId } = await createFirstAdministrator(bench.system, { ...admin, token });
    expect(await bench.db.user.findUnique({ where: { id: userId } })).toMatchObject({
      email: "ada@example.com",
      role: "administrator",
      accountId,
    });
    expect(await bench.db.account.findUnique({ where: { id: accountId } })).toMatchObject({ name: "Acme" });
    expect(await eventTypes(bench, accountId)).toEqual(["user.created"]);
    expect(await checkSetupToken(bench.system, token)).toBe(false);
    expect(await failure(createFirstAdministrator(bench.system, { ...admin, token }))).toBe("forbidden");
    expect(await issueSetupToken(bench.system)).toBeNull();
    expect(await getSetting(bench.system, "setup-token")).toBeNull();
  });

  it("replaces an earlier token", async () => {
    const first = (await issueSetupToken(bench.system)) ?? "";
    const second = (await issueSetupToken(bench.system)) ?? "";
    expect(second).not.toBe(first);
    expect(await checkSetupToken(bench.system, first)).toBe(false);
    expect(await checkSetupToken(bench.system, second)).toBe(true);
  });

  it("makes one administrator when several try at once", async () => {
    const token = await issueSetupToken(bench.system);
    const tries = await Promise.allSettled(
      [0, 1, 2, 3].map((n) =>
        createFirstAdministrator(bench.system, {
          ...admin,
          email: `a${n}@example.com`,
          token: n % 2 ? token : null,
        }),
      ),
    );
    expect(tries.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const one of tries) {
      if (one.status === "rejected") expect(one.reason).toBeInstanceOf(ServiceError);
    }
    expect(await bench.db.user.count()).toBe(1);
    expect(await bench.db.account.count()).toBe(3);
  });

  it("needs a token from everyone but the service", async () => {
    expect(await failure(createFirstAdministrator(bench.a.user, { ...admin, token: null }))).toBe(
      "forbidden",
    );
    expect(await failure(issueSetupToken(bench.a.user))).toBe("forbidden");
    expect(await failure(ensureAdministrator(bench.a.user, admin))).toBe("forbidden");
  });

  it("says what is wrong with an address or password", async () => {
    const token = await issueSetupToken(bench.system);
    const short = createFirstAdministrator(bench.system, { ...admin, password: "too short", token });
    await expect(short).rejects.toMatchObject({
      code: "validation_error",
      fields: [{ name: "password", message: "must have at least 10 characters" }],
    });
    const address = createFirstAdministrator(bench.system, { ...admin, email: "ada", token });
    await expect(address).rejects.toMatchObject({ code: "validation_error", fields: [{ name: "email" }] });
    expect(await bench.db.user.count()).toBe(0);
  });

  it("makes the administrator of the environment once", async () => {
    expect(await ensureAdministrator(bench.system, admin)).toBe(true);
    expect(await ensureAdministrator(bench.system, { ...admin, email: "other@example.com" })).toBe(false);
    expect(await bench.db.user.count()).toBe(1);
  });
});

describe("settings", () => {
  it("belong to the service", async () => {
    await putSetting(bench.system, "k", "1");
    await putSetting(bench.system, "k", "2");
    expect(await getSetting(bench.system, "k")).toBe("2");
    await putSetting(bench.system, "k", null);
    expect(await getSetting(bench.system, "k")).toBeNull();
    expect(await failure(getSetting(bench.a.user, "k"))).toBe("forbidden");
    expect(await failure(putSetting(bench.a.operator, "k", "x"))).toBe("forbidden");
  });
});

describe("users", () => {
  const user = { email: "Bob@Example.com", password: "a long password", name: "Bob" };

  it("are made by administrators of the account", async () => {
    const { id } = await createUser(bench.a.user, user);
    expect(await getUser(bench.a.key, { id })).toMatchObject({ email: "bob@example.com", role: "developer" });
    expect(await failure(getUser(bench.b.user, { id }))).toBe("not_found");
    expect(await failure(getUser(bench.a.device, { id }))).toBe("forbidden");
    expect(await failure(getUser(bench.a.user, { id: "no" }))).toBe("validation_error");
    expect(await failure(createUser(bench.a.developer, { ...user, email: "c@example.com" }))).toBe(
      "forbidden",
    );
    expect(await failure(createUser(bench.a.key, { ...user, email: "c@example.com" }))).toBe("forbidden");
    expect(await failure(createUser(bench.b.user, user))).toBe("conflict");
    expect(await failure(createUser(bench.a.user, { ...user, email: "" }))).toBe("validation_error");
  });

  it("sign in with address and password, whatever the case of the address", async () => {
    const { id } = await createUser(bench.a.user, { ...user, role: "administrator" });
    const row = await bench.db.user.findUniqueOrThrow({ where: { id }, omit: { passwordHash: false } });
    expect(row.passwordHash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(await authenticate(bench.system, { email: "BOB@example.com ", password: user.password })).toEqual({
      id,
      accountId: bench.a.id,
      email: "bob@example.com",
      name: "Bob",
      role: "administrator",
    });
    expect(await eventTypes(bench, bench.a.id)).toEqual(["user.created", "user.signed-in"]);
    const { lastLoginAt } = await bench.db.user.findUniqueOrThrow({ where: { id } });
    expect(lastLoginAt?.getTime()).toBe(bench.clock.now());
    expect(JSON.stringify(await bench.db.user.findUnique({ where: { id } }))).not.toContain("argon2");
  });

  it("do not get in with anything else", async () => {
    const { id } = await createUser(bench.a.user, user);
    expect(await authenticate(bench.system, { email: user.email, password: "wrong password" })).toBeNull();
    expect(
      await authenticate(bench.system, { email: "nobody@example.com", password: user.password }),
    ).toBeNull();
    await bench.db.user.update({ where: { id }, data: { status: "INACTIVE" } });
    expect(await authenticate(bench.system, { email: user.email, password: user.password })).toBeNull();
    expect(await failure(authenticate(bench.system, { email: "x".repeat(300), password: "" }))).toBe(
      "validation_error",
    );
  });

  it("have to wait after ten wrong passwords, however many come at once", async () => {
    await createUser(bench.a.user, user);
    const attempt = (password: string) => authenticate(bench.system, { email: user.email, password });
    const wrong = await Promise.all(Array.from({ length: 15 }, () => failure(attempt("wrong"))));
    expect(wrong.filter((code) => code === "limit_exceeded")).toHaveLength(5);
    expect(await failure(attempt(user.password))).toBe("limit_exceeded");
    await bench.clock.advance(15 * 60_000);
    expect(await attempt(user.password)).not.toBeNull();
  });
});
