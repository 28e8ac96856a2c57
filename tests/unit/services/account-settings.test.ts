import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { getAccountSettings, updateAccountSettings } from "@/server/services/accounts/settings";
import { type Bench, eventTypes, failure, openBench } from "./support";

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());
beforeEach(async () => {
  await bench.db.deviceEvent.deleteMany();
  bench.bus.answers = { "account.reload": {} };
  bench.bus.requests.length = 0;
  bench.bus.published.length = 0;
});

describe("the settings of an account", () => {
  it("are shown to its members, who learn whether they may change them", async () => {
    const settings = { id: bench.b.id, name: "beta", deviceKeys: true, registrationLifetime: null };
    expect(await getAccountSettings(bench.b.user)).toEqual({ ...settings, mayChange: true });
    expect(await getAccountSettings(bench.b.developer)).toEqual({ ...settings, mayChange: false });
    expect(await getAccountSettings(bench.b.key)).toEqual({ ...settings, mayChange: false });
    expect(await failure(getAccountSettings(bench.b.device))).toBe("forbidden");
    expect(await failure(getAccountSettings(bench.system))).toBe("forbidden");
  });

  it("are changed by an administrator, in that account only, and the gateway is told after the commit", async () => {
    bench.bus.before = async () =>
      expect(await getAccountSettings(bench.a.user)).toMatchObject({ name: "Works" });
    await updateAccountSettings(bench.a.user, {
      name: " Works ",
      deviceKeys: false,
      registrationLifetime: 7200,
    });
    bench.bus.before = async () => {};
    expect(await getAccountSettings(bench.a.user)).toMatchObject({
      name: "Works",
      deviceKeys: false,
      registrationLifetime: 7200,
    });
    expect(await getAccountSettings(bench.b.user)).toMatchObject({ name: "beta", deviceKeys: true });
    expect(bench.bus.requests).toEqual([{ op: "account.reload", input: {} }]);
    expect(await bench.db.deviceEvent.findMany()).toMatchObject([
      {
        type: "account.updated",
        accountId: bench.a.id,
        deviceId: null,
        actor: "user:alpha@example.com",
        description:
          "Account settings changed: it is called “Works”, devices of Pelion’s kind get their keys from here and devices register for 2 hours.",
      },
    ]);
    expect(bench.bus.published).toMatchObject([{ kind: "event", event: { type: "account.updated" } }]);
  });

  it("go back to the default, one alone, also while the gateway is down", async () => {
    bench.bus.answers = {};
    await updateAccountSettings(bench.a.operator, { registrationLifetime: null });
    expect(await getAccountSettings(bench.a.user)).toMatchObject({
      deviceKeys: false,
      registrationLifetime: null,
    });
    const row = await bench.db.deviceEvent.findFirstOrThrow();
    expect(row.description).toBe("Account settings changed: devices register for the default time.");
  });

  it("are not changed by others, nor to what is not allowed", async () => {
    const before = await getAccountSettings(bench.a.user);
    for (const ctx of [bench.a.developer, bench.a.key, bench.a.device, bench.system])
      expect(await failure(updateAccountSettings(ctx, { name: "x" }))).toBe("forbidden");
    const bad: Parameters<typeof updateAccountSettings>[1][] = [
      {},
      { name: " " },
      { name: "x".repeat(101) },
      { deviceKeys: "yes" as never },
      { registrationLifetime: 59 },
      { registrationLifetime: 2_592_001 },
      { registrationLifetime: 60.5 },
      { registrationLifetime: Number.NaN },
    ];
    for (const input of bad)
      expect(await failure(updateAccountSettings(bench.a.user, input)), JSON.stringify(input)).toBe(
        "validation_error",
      );
    expect(await getAccountSettings(bench.a.user)).toEqual(before);
    expect(await eventTypes(bench, bench.a.id)).toEqual([]);
    expect(bench.bus.requests).toEqual([]);
  });

  it("can be at the ends of what is allowed", async () => {
    for (const registrationLifetime of [60, 2_592_000]) {
      await updateAccountSettings(bench.a.user, { registrationLifetime });
      expect(await getAccountSettings(bench.a.user)).toMatchObject({ registrationLifetime });
    }
  });
});
