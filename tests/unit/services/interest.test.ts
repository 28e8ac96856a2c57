import { afterEach, beforeEach, expect, it } from "vitest";
import { getDeviceInterest } from "@/server/services/devices/interest";
import { newId } from "@/server/services/ids";
import { addDevice, type Bench, openBench } from "./support";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(() => bench.close());

async function addOwners(accountId: string) {
  const times = { createdBy: "operator" };
  const application = newId();
  await bench.db.application.create({ data: { id: application, accountId, name: "dashboard", ...times } });
  const key = { accountId, prefix: "ak_1", ...times };
  const own = newId();
  await bench.db.apiKey.create({ data: { id: own, name: "nightly", hash: own, ...key } });
  const access = newId();
  await bench.db.apiKey.create({
    data: { id: access, name: "of the dashboard", hash: access, applicationId: application, ...key },
  });
  return { application, own, access };
}

async function addRequest(accountId: string, deviceId: string, ownerId: string, uri: string) {
  await bench.clock.advance(1);
  const at = bench.clock.now();
  await bench.db.deviceRequest.create({
    data: {
      id: newId(at),
      accountId,
      deviceId,
      ownerId,
      asyncId: `async${at}`,
      actor: "key:nightly",
      method: "GET",
      uri,
      payload: Buffer.alloc(0),
      retriesLeft: 0,
      createdAt: new Date(at),
      expiresAt: new Date(at + 60_000),
    },
  });
}

it("lists the requests that wait for a device, and who they are of", async () => {
  const { a } = bench;
  const { application, own } = await addOwners(a.id);
  const id = await addDevice(bench, a.id);
  await addRequest(a.id, id, own, "/3/0/0");
  await addRequest(a.id, id, application, "/3303/0/5700");
  await addRequest(a.id, id, newId(), "/3/0/1");
  const { requests } = await getDeviceInterest(a.developer, { id });
  expect(requests.map(({ uri, owner }) => [uri, owner?.kind, owner?.name])).toEqual([
    ["/3/0/0", "apiKey", "nightly"],
    ["/3303/0/5700", "application", "dashboard"],
    ["/3/0/1", undefined, undefined],
  ]);
  expect(requests[0]).not.toHaveProperty("payload");
});

it("tells who watches what: as the gateway says, or as is written down when it is away", async () => {
  const { a, b } = bench;
  const { application, own } = await addOwners(a.id);
  const strangers = await addOwners(b.id);
  const id = await addDevice(bench, a.id);
  await bench.db.subscription.create({ data: { ownerId: own, deviceId: id, path: "/3/0/9" } });
  const entry = { position: 0, resourcePaths: '["/3303/*"]' };
  await bench.db.presubscription.create({ data: { ownerId: application, accountId: a.id, ...entry } });
  await bench.db.presubscription.create({ data: { ownerId: strangers.own, accountId: b.id, ...entry } });
  expect((await getDeviceInterest(a.user, { id })).subscribers).toEqual([
    { owner: { id: own, kind: "apiKey", name: "nightly" }, paths: ["/3/0/9"] },
  ]);
  bench.bus.answers["subscription.list"] = { paths: ["/3303/0/5700"] };
  bench.bus.requests.length = 0;
  expect(
    (await getDeviceInterest(a.user, { id })).subscribers.map(({ owner, paths }) => [owner.name, paths]),
  ).toEqual([
    ["dashboard", ["/3303/0/5700"]],
    ["nightly", ["/3303/0/5700"]],
  ]);
  expect(bench.bus.requests.map(({ input }) => input)).toEqual(
    expect.arrayContaining([{ accountId: a.id, ownerId: own, deviceId: id }]),
  );
  expect(bench.bus.requests.length).toBe(2);
});

it("knows nothing of the devices of another account", async () => {
  const { a, b } = bench;
  const id = await addDevice(bench, a.id);
  await expect(getDeviceInterest(b.user, { id })).rejects.toMatchObject({ code: "not_found" });
  await expect(getDeviceInterest(a.device, { id })).rejects.toMatchObject({ code: "forbidden" });
});
