import { afterEach, beforeEach, expect, it } from "vitest";
import { listAccountChannels, listDeliveries } from "@/server/services/channels/of-account";
import { removeAccountChannel } from "@/server/services/channels/remove";
import { newId } from "@/server/services/ids";
import { type Bench, openBench } from "./support";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(() => bench.close());

async function addChannel(accountId: string, name: string, data: { kind?: string; url?: string } = {}) {
  const ownerId = newId(bench.clock.now());
  const at = new Date(bench.clock.now());
  await bench.db.application.create({ data: { id: ownerId, accountId, name, createdBy: "operator" } });
  await bench.db.notificationChannel.create({
    data: { ownerId, accountId, kind: "LONG_POLLING", activeAt: at, createdAt: at, ...data },
  });
  await bench.clock.advance(1);
  return ownerId;
}

const put = (ownerId: string, size: number) =>
  bench.db.notification.create({
    data: { ownerId, kind: "registrations", body: "{}", size, at: new Date(bench.clock.now()) },
  });

it("lists the channels of the account with what waits in them", async () => {
  const { a, b } = bench;
  const first = await addChannel(a.id, "dashboard", { kind: "CALLBACK", url: "https://app.example.com/" });
  const second = await addChannel(a.id, "poller");
  await addChannel(b.id, "stranger");
  await put(first, 100);
  await put(first, 50);
  const listed = await listAccountChannels(a.developer);
  expect(listed).toMatchObject([
    { ownerId: first, owner: { kind: "application", name: "dashboard" }, url: "https://app.example.com/" },
    { ownerId: second, owner: { name: "poller" }, queue: { items: 0, bytes: 0, oldestAt: null } },
  ]);
  expect(listed[0]?.queue).toEqual({ items: 2, bytes: 150, oldestAt: new Date(bench.clock.now()) });
});

it("shows the tries of a callback, and only to its own account", async () => {
  const { a, b } = bench;
  const ownerId = await addChannel(a.id, "dashboard", { kind: "CALLBACK" });
  for (const [index, status] of [null, 500, 204].entries()) {
    const at = bench.clock.now() + index;
    const error = status === 204 ? "" : "It did not work.";
    await bench.db.callbackDelivery.create({
      data: { id: newId(at), ownerId, at: new Date(at), status, durationMs: 12, items: 3, error },
    });
  }
  expect((await listDeliveries(a.user, { ownerId })).map(({ status }) => status)).toEqual([204, 500, null]);
  await expect(listDeliveries(b.user, { ownerId })).rejects.toMatchObject({ code: "not_found" });
});

it("deletes a channel with its queue, and only for its own account", async () => {
  const { a, b } = bench;
  const ownerId = await addChannel(a.id, "dashboard");
  await put(ownerId, 10);
  await expect(removeAccountChannel(b.user, { ownerId })).rejects.toMatchObject({ code: "not_found" });
  await removeAccountChannel(a.user, { ownerId });
  expect(await listAccountChannels(a.user)).toEqual([]);
  expect(await bench.db.notification.count()).toBe(0);
  expect(await bench.db.auditEntry.count({ where: { accountId: a.id, objectId: ownerId } })).toBe(1);
  expect(bench.bus.requests.map(({ op }) => op)).toEqual(["owner.reload"]);
  await expect(removeAccountChannel(a.user, { ownerId })).rejects.toMatchObject({ code: "not_found" });
});
