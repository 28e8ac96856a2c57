import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { OperationResult } from "@/server/bus/messages";
import {
  factoryItems,
  type PelionConnect,
  PelionDevice,
  type PelionOptions,
  pelionConnect,
  runDevices,
} from "@/server/device";
import { parseLinks } from "@/server/lwm2m";
import { type Bundle, fingerprint, parseCertificate, readBundle } from "@/server/pki";
import { createDeveloperCertificate } from "@/server/services/certificates/create-developer";
import { takeBundle } from "@/server/services/certificates/take-bundle";
import { actAs } from "@/server/services/create-context";
import { newId } from "@/server/services/ids";
import { serviceUris } from "@/server/services/instance/uris";
import { startTestGateway, type TestGateway } from "../../support/test-gateway";
import { MemoryStore } from "../../unit/device/pelion-server";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Waits until something is there; the network keeps its own time. */
async function eventually<T>(
  probe: () => T | null | undefined | false | Promise<T | null | undefined | false>,
) {
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    const found = await probe();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("It did not happen within 30 s.");
}

interface Stage {
  gateway: TestGateway;
  zip: Uint8Array;
  bundle: Bundle;
  certificateId: string;
}

/** A gateway with one developer certificate. */
async function stage(): Promise<Stage> {
  const gateway = await startTestGateway();
  closers.push(() => gateway.close());
  const operator = actAs(gateway.context, { kind: "operator", accountId: gateway.accountId });
  const { id } = await createDeveloperCertificate(operator, { name: "Test devices" });
  const uris = serviceUris({
    publicHost: "127.0.0.1",
    bootstrapPort: gateway.port("bootstrap", "coaps"),
    lwm2mPort: gateway.port("lwm2m", "coaps"),
  });
  const { zip } = await takeBundle(operator, { id, uris });
  await eventually(() => gateway.bus.connected);
  await gateway.bus.request("trust.reload", {});
  return { gateway, zip, bundle: readBundle(zip), certificateId: id };
}

interface Client {
  device: PelionDevice;
  store: MemoryStore;
  log: string[];
  /** Seconds of ServerHello.random, and where it connected to. */
  connections: { port: number; serverTime: number | null }[];
}

function start(
  { gateway, bundle }: Stage,
  transport: "udp" | "tcp",
  options: Partial<PelionOptions> = {},
  store = new MemoryStore(),
): Client {
  const log: string[] = [];
  const connections: Client["connections"] = [];
  const dial = options.connect ?? pelionConnect(gateway.clock);
  const connect: PelionConnect = async (target) => {
    const connection = await dial(target);
    connections.push({ port: target.port, serverTime: connection.serverTime });
    return connection;
  };
  const device = new PelionDevice({
    ...{ bundle, transport, store },
    clock: gateway.clock,
    tickMs: 1e12,
    log: { info: (message) => log.push(message), warn: (message) => log.push(message) },
    ...options,
    connect,
  });
  closers.push(() => device.stop());
  device.setup().catch(() => {});
  return { device, store, log, connections };
}

async function onboarded(from: Stage, transport: "udp" | "tcp", options?: Partial<PelionOptions>) {
  const client = start(from, transport, options);
  await isRegistered(client);
  return client;
}

const isRegistered = ({ device }: Client) => eventually(() => device.phase === "registered");

/** Asks the gateway for something on a device, as the portal does. */
function portal({ gateway }: Stage, { device }: Client) {
  const target = () => ({ accountId: gateway.accountId, deviceId: device.deviceId ?? "" });
  return {
    read: (path: string) => gateway.bus.request("device.read", { ...target(), path }),
    write: (path: string, value: string) =>
      gateway.bus.request("device.write", { ...target(), path, value: { type: "string", value } }),
    execute: (path: string, args = "") => gateway.bus.request("device.execute", { ...target(), path, args }),
    observe: (path: string) => gateway.bus.request("device.observe", { ...target(), path }),
    renew: () => gateway.bus.request("device.renew", target()),
    rebootstrap: () => gateway.bus.request("device.rebootstrap", target()),
  };
}

const texts = ({ values }: OperationResult) => values.map(({ value }) => String(value.value));

/** The latest value of a resource in the directory. */
async function stored({ gateway }: Stage, { device }: Client, path: string): Promise<string | null> {
  gateway.clock.jump(1000);
  const row = await gateway.db.resourceValue.findFirst({
    where: { deviceId: device.deviceId ?? "", path },
  });
  return row && String(JSON.parse(row.value).value);
}

const registrations = (log: string[]) => log.filter((one) => one.startsWith("Registered")).length;
const bootstraps = (log: string[]) => log.filter((one) => one.startsWith("Bootstrapping at")).length;

/** Messages of a bootstrap in order, as the device saw them. */
const commands = (log: string[]) => log.filter((one) => one.startsWith("Bootstrap: "));

describe.each(["udp", "tcp"] as const)("a device of Pelion's kind over %s", (transport) => {
  test("onboards with a key of its own, in developer mode with an ID of its own", async () => {
    const from = await stage();
    const client = await onboarded(from, transport);
    const { device, store, connections } = client;
    expect(device.deviceId).toMatch(/^[0-9a-f]{32}$/);
    const items = store.items!;
    const { subject, publicKey } = parseCertificate(items.lwm2m.chain[0]!);
    expect(subject).toMatchObject({
      l: device.deviceId,
      ou: from.gateway.accountId,
      cn: from.bundle.endpointName,
    });
    expect(Buffer.from(publicKey).length).toBeGreaterThan(80);
    expect(items.lwm2m.uri).toMatch(new RegExp(`^coaps://.*\\?aid=${from.gateway.accountId}$`));
    expect(items.internalEndpoint).toBe(device.deviceId);
    // The time of day, which the device has from nowhere else.
    for (const { serverTime } of connections)
      expect(Math.abs((serverTime ?? 0) - Date.now() / 1000)).toBeLessThan(60);

    const row = await from.gateway.db.device.findFirst({ where: { id: device.deviceId! } });
    expect(row).toMatchObject({ state: "registered", deviceKey: fingerprint(items.lwm2m.chain[0]!) });
    const registration = await from.gateway.db.registration.findFirst({
      where: { deviceId: device.deviceId! },
    });
    expect(registration?.id).toBe(`${from.gateway.accountId}/${device.deviceId}`);

    const other = await onboarded(from, transport);
    expect(other.device.deviceId).not.toBe(device.deviceId);
    expect(await from.gateway.db.device.count()).toBe(2);
  });

  test("shows its first values and reports by itself from the first second on", async () => {
    const from = await stage();
    const client = await onboarded(from, transport);
    await eventually(async () => (await stored(from, client, "/3/0/0")) === "dev_manufacturer");
    expect(await stored(from, client, "/14/0/0")).toBe("MAIN");
    expect(await stored(from, client, "/10252/0/3")).toBe("-1");
    client.device.tree.set("10252/0/2", "3");
    await eventually(async () => (await stored(from, client, "/10252/0/2")) === "3");
    client.device.tree.set("3/0/0", 'With "quotes"');
    await eventually(async () => (await stored(from, client, "/3/0/0")) === 'With "quotes"');
  });

  test("is read, written, observed and executed; nothing that it does not survive is asked", async () => {
    const from = await stage();
    const client = await onboarded(from, transport);
    const { device } = client;
    const ask = portal(from, client);
    expect(texts(await ask.read("/3/0/1"))).toEqual(["dev_model_num"]);
    expect(await ask.write("/3201/0/5853", "100:200")).toMatchObject({ ok: true, code: "2.04" });
    expect(texts(await ask.read("/3201/0/5853"))).toEqual(["100:200"]);
    expect(await ask.write("/3/0/0", "no")).toMatchObject({ ok: false, code: "4.05" });
    expect(texts(await ask.read("/5000/0/2"))).toEqual(["x".repeat(2049)]);
    expect(await ask.write("/5000/0/2", "y".repeat(1500))).toMatchObject({ ok: true });
    expect(device.tree.text("5000/0/2")).toBe("y".repeat(1500));
    expect(await ask.execute("/3201/0/5850")).toMatchObject({ ok: true, code: "2.04" });
    expect(await ask.execute("/3201/0/5850", "0='x'")).toMatchObject({ ok: true, code: "2.04" });

    expect(await ask.observe("/3200/0/5501")).toMatchObject({ ok: true });
    for (const value of ["41", "42"]) {
      device.tree.set("3200/0/5501", value);
      await eventually(async () => (await stored(from, client, "/3200/0/5501")) === value);
    }
    // Automatic ones are not asked for, which it would refuse.
    expect(await ask.observe("/10252/0/2")).toMatchObject({ ok: true, code: null });
    expect(await ask.observe("/3201/0/5853")).toMatchObject({ ok: false, code: "4.05" });

    const registration = await from.gateway.db.registration.findFirst({
      where: { deviceId: device.deviceId! },
    });
    const paths = parseLinks(registration?.objectLinks ?? "").map((one) => one.target);
    for (const path of ["/", "/3", "/3/0", ...paths]) {
      if (path !== "/") await ask.read(path);
      await ask.observe(path === "/" ? "/3/0/11/0" : path);
    }
    expect(device.crashed).toBe(null);
    expect(device.phase).toBe("registered");
  });

  test("tells of instances that come and go", async () => {
    const from = await stage();
    const client = await onboarded(from, transport);
    const links = async () => {
      const row = await from.gateway.db.registration.findFirst({
        where: { deviceId: client.device.deviceId! },
      });
      return parseLinks(row?.objectLinks ?? "").map((one) => one.target);
    };
    client.device.tree.add("3303/0", { 5700: { type: "string", value: "21.5", obs: true } });
    client.device.tree.remove("14/1");
    await eventually(async () => {
      const now = await links();
      return now.includes("/3303/0/5700") && !now.includes("/14/1/0") && now.includes("/14/0/0");
    });
  });

  test("comes back after its own restart without a bootstrap", async () => {
    const from = await stage();
    const client = await onboarded(from, transport);
    const id = client.device.deviceId;
    await client.device.stop();
    const again = start(from, transport, {}, client.store);
    await isRegistered(again);
    expect(again.device.deviceId).toBe(id);
    expect(bootstraps(again.log)).toBe(0);
    expect(texts(await portal(from, again).read("/3/0/0"))).toEqual(["dev_manufacturer"]);
  });

  test("goes on after a restart of the gateway, with the observations it had", async () => {
    const from = await stage();
    const client = await onboarded(from, transport);
    const ask = portal(from, client);
    await ask.observe("/3200/0/5501");
    await from.gateway.restart();
    if (transport === "tcp") {
      await eventually(() => client.device.phase === "waiting");
      from.gateway.clock.jump(15_000);
    }
    await eventually(async () => (await ask.read("/3/0/0")).ok);
    await isRegistered(client);
    expect([bootstraps(client.log), registrations(client.log)]).toEqual([1, 1]);
    for (const [path, value] of [
      ["/3200/0/5501", "77"],
      ["/10252/0/2", "6"],
    ] as const) {
      // Asked for anew, or taken up again, in the background.
      await eventually(async () => {
        client.device.tree.set(path.slice(1), "0");
        client.device.tree.set(path.slice(1), value);
        return (await stored(from, client, path)) === value;
      });
    }
  });

  test("is rebooted: the newest of its connections counts, and over UDP it keeps its session", async () => {
    const from = await stage();
    const client = await onboarded(from, transport);
    const ask = portal(from, client);
    const handshakes = client.connections.length;
    const address = async () => (await from.gateway.db.registration.findFirst())?.address;
    const before = await address();
    await ask.observe("/3200/0/5501");
    expect(await ask.execute("/3/0/4")).toMatchObject({ ok: true, code: "2.04" });
    await eventually(() => registrations(client.log) === 2);
    await isRegistered(client);
    expect(client.connections.length - handshakes).toBe(transport === "udp" ? 0 : 1);
    expect(await address()).not.toBe(before);
    await eventually(async () => {
      client.device.tree.set("3200/0/5501", "1");
      client.device.tree.set("3200/0/5501", "42");
      return (await stored(from, client, "/3200/0/5501")) === "42";
    });
    expect(texts(await ask.read("/3/0/0"))).toEqual(["dev_manufacturer"]);
    expect(bootstraps(client.log)).toBe(1);
    // The token of its notifications is another one now.
    client.device.tree.set("10252/0/2", "5");
    await eventually(async () => (await stored(from, client, "/10252/0/2")) === "5");
  });

  test("is set back to factory state, and bootstraps at the next start", async () => {
    const from = await stage();
    const client = await onboarded(from, transport);
    const ask = portal(from, client);
    expect(await ask.execute("/3/0/5")).toMatchObject({ ok: true });
    expect(texts(await ask.read("/3/0/0"))).toEqual(["dev_manufacturer"]);
    expect(await ask.execute("/3/0/4")).toMatchObject({ ok: true });
    await eventually(() => bootstraps(client.log) === 2 && registrations(client.log) === 2);
    await isRegistered(client);
    expect(client.device.deviceId).toMatch(/^[0-9a-f]{32}$/);
  });

  test("renews its certificate, and uses it from the next handshake on", async () => {
    const from = await stage();
    const client = await onboarded(from, transport);
    const before = client.store.items!.lwm2m;
    expect(await portal(from, client).renew()).toMatchObject({ ok: true, code: "2.04" });
    const after = client.store.items!.lwm2m;
    expect(after.chain).not.toEqual(before.chain);
    expect(after.privateKey).not.toEqual(before.privateKey);
    // Over a reboot it would keep its session.
    await client.device.stop();
    await isRegistered(start(from, transport, {}, client.store));
    const row = await from.gateway.db.device.findFirst({ where: { id: client.device.deviceId! } });
    expect(row?.deviceKey).toBe(fingerprint(after.chain[0]!));
    expect(bootstraps(client.log)).toBe(1);
  });

  test("is bootstrapped again from the portal, and keeps its ID", async () => {
    const from = await stage();
    const client = await onboarded(from, transport);
    const id = client.device.deviceId;
    await portal(from, client).rebootstrap();
    await eventually(() => client.device.phase === "waiting");
    from.gateway.clock.jump(101_000);
    await eventually(() => bootstraps(client.log) === 2 && client.device.phase === "registered");
    expect(client.device.deviceId).toBe(id);
    expect(await from.gateway.db.device.count()).toBe(1);
    expect(texts(await portal(from, client).read("/3/0/0"))).toEqual(["dev_manufacturer"]);
  });

  test("gets its key from the server where the account wants that, and its lifetime", async () => {
    const from = await stage();
    await from.gateway.db.account.update({
      where: { id: from.gateway.accountId },
      data: { deviceKeys: false, registrationLifetime: 120 },
    });
    await from.gateway.bus.request("account.reload", {});
    const client = await onboarded(from, transport);
    expect(client.store.items?.lwm2m.chain).toHaveLength(1);
    const row = () =>
      from.gateway.db.registration.findFirst({ where: { deviceId: client.device.deviceId! } });
    expect(await row()).toMatchObject({ lifetime: 120 });
    const { updatedAt } = (await row())!;
    from.gateway.clock.jump(91_000);
    await eventually(async () => (await row())!.updatedAt > updatedAt);
    await eventually(() => client.log.some((one) => one.startsWith("Updated")));
  });

  test("is freed from the key of an enrolment that broke off, with one ID in the end", async () => {
    const from = await stage();
    const dial = pelionConnect(from.gateway.clock);
    let cut = true;
    const client = start(from, transport, {
      connect: async (target) => {
        const connection = await dial(target);
        const { peer } = connection;
        const send = peer.send.bind(peer);
        peer.send = (message) => {
          // A POST with a payload is the request for a certificate.
          if (cut && message[1] === 2 && message.length > 250) {
            cut = false;
            peer.close();
          } else send(message);
        };
        return connection;
      },
    });
    const isDone = () => client.device.phase === "registered";
    const waits = () => client.log.filter((one) => one.includes("Trying again in")).length;
    for (let round = 1; !isDone(); round++) {
      await eventually(() => waits() === round || isDone());
      if (round === 1) expect(client.store.items?.lwm2m.privateKey).not.toBe(null);
      if (!isDone()) from.gateway.clock.jump(60_000);
    }
    await isRegistered(client);
    expect(bootstraps(client.log)).toBeLessThanOrEqual(3);
    expect(await from.gateway.db.device.count()).toBe(1);
  });

  test("is freed from a key that it brings along", async () => {
    const from = await stage();
    const items = factoryItems(from.bundle, transport);
    items.lwm2m.privateKey = from.bundle.privateKey;
    const client = start(from, transport, {}, new MemoryStore(items));
    await eventually(() => client.device.phase === "waiting");
    expect(commands(client.log).at(-1)).toBe("Bootstrap: PUT /0");
    from.gateway.clock.jump(15_000);
    await isRegistered(client);
    expect(bootstraps(client.log)).toBe(2);
    expect(await from.gateway.db.device.count()).toBe(1);
  });

  test("is freed with the others behind its address that bring one along", async () => {
    const from = await stage();
    const items = factoryItems(from.bundle, transport);
    items.lwm2m.privateKey = from.bundle.privateKey;
    const clients = Array.from({ length: 5 }, () =>
      start(from, transport, { random: () => 0.5 }, new MemoryStore(structuredClone(items))),
    );
    await eventually(() => clients.every(({ device }) => device.phase === "waiting"));
    from.gateway.clock.jump(15_000);
    for (const client of clients) await isRegistered(client);
    expect(new Set(clients.map(({ device }) => device.deviceId)).size).toBe(5);
    expect(clients.map(({ log }) => bootstraps(log))).toEqual([2, 2, 2, 2, 2]);
  });

  test("is refused when its certificate carries a hundred others, and hears why", async () => {
    const from = await stage();
    const { accountId, db } = from.gateway;
    await db.device.createMany({
      data: Array.from({ length: 100 }, () => {
        const id = newId();
        const endpointName = from.bundle.endpointName;
        return {
          id,
          accountId,
          endpointName,
          identity: `id:${id}`,
          state: "bootstrapped",
          caId: from.certificateId,
        };
      }),
    });
    await from.gateway.restart();
    const client = start(from, transport);
    await eventually(() => client.device.phase === "waiting");
    expect(client.log.join("\n")).toMatch(
      /answered 4\.03 \(The developer certificate already carries 100 devices/,
    );
    await eventually(async () =>
      (await from.gateway.events(null)).some(({ type }) => type === "bootstrap.refused"),
    );
    expect(await db.device.count()).toBe(100);
  });

  test("runs from the command's entry point, with a state that lasts", async () => {
    const from = await stage();
    const stateDir = await mkdtemp(join(tmpdir(), "gangway-pelion-"));
    closers.push(() => rm(stateDir, { recursive: true, force: true }));
    const lines: string[] = [];
    const run = async () => {
      const running = await runDevices({
        ...{ bundle: from.zip, profile: "pelion", count: 2, transport, stateDir, clock: from.gateway.clock },
        log: { info: (line) => lines.push(line), warn: (line) => lines.push(line) },
      } as const);
      await running.registered;
      const ids = running.devices.map(({ deviceId }) => deviceId);
      await running.stop();
      return ids;
    };
    const ids = await run();
    expect(new Set(ids).size).toBe(2);
    expect(await run()).toEqual(ids);
    expect(lines.filter((line) => line.includes("Bootstrapping at"))).toHaveLength(2);
    expect(JSON.parse(await readFile(join(stateDir, "device-1", "pelion.json"), "utf8"))).toMatchObject({
      internalEndpoint: ids[0],
    });
    expect(await from.gateway.db.device.count()).toBe(2);
  });
});
