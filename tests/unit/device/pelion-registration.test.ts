import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { FilePelionStore, type PelionDevice, type PelionOptions } from "@/server/device";
import { parseLinks, parseRegister } from "@/server/lwm2m";
import { FakeClock } from "../../support/fake-clock";
import {
  ACCOUNT,
  type Connection,
  DEVICE_ID,
  ENDPOINT,
  factory,
  type Heard,
  MemoryStore,
  optionsOf,
  PelionServer,
  type Running,
  refusal,
  registeredPelion,
  startPelion,
  unreachable,
} from "./pelion-server";

const devices: PelionDevice[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const device of devices.splice(0)) await device.stop();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function registered(
  options: Partial<PelionOptions> = {},
  prepare?: (server: PelionServer) => void,
): Promise<Running> {
  const all = await registeredPelion(options, prepare);
  devices.push(all.device);
  return all;
}

function start(options: Partial<PelionOptions> = {}, prepare?: (server: PelionServer) => void): Running {
  const all = startPelion(options, prepare);
  devices.push(all.device);
  return all;
}

const updates = (connection: Connection) => connection.requests(`/rd/${ACCOUNT}/${DEVICE_ID}`);

/** Answers every request at a path with something else. */
function answering(path: string, code: string) {
  return (connection: Connection, request: Heard) => {
    if (request.path !== path) return false;
    connection.reply(request, code);
    return true;
  };
}

/** A store of a device that has bootstrapped. */
async function bootstrapped(server: PelionServer) {
  const first = startPelion({}, () => {}, server);
  await server.until(() => first.device.phase === "registered");
  await first.device.stop();
  server.connections.length = 0;
  return first.store;
}

describe("a registration", () => {
  test("has the client's query and payload, in blocks of 512", async () => {
    const { server, device } = await registered();
    const blocks = server.last.requests("/rd");
    expect(blocks.map((one) => one.payload.length)).toEqual([512, 512, expect.any(Number)]);
    expect(blocks.map((one) => optionsOf(one, "Block1")[0])).toEqual([
      Buffer.of(0x0d),
      Buffer.of(0x1d),
      Buffer.of(0x25),
    ]);
    expect(new Set(blocks.map((one) => one.token.toString("hex"))).size).toBe(1);
    expect(optionsOf(blocks[0]!, "Size1")).toHaveLength(1);
    expect(optionsOf(blocks[1]!, "Size1")).toHaveLength(0);
    for (const one of blocks) {
      expect(one.query).toEqual([
        `ep=${ENDPOINT}`,
        "et=default",
        "lt=7200",
        "lwm2m=1.0",
        `d=${ACCOUNT}`,
        "b=U",
        `aid=${ACCOUNT}`,
        "mccv=4.13.2",
      ]);
      expect(optionsOf(one, "Content-Format")).toEqual([Buffer.of(40)]);
    }
    expect(parseRegister(blocks[0]!.query)).toMatchObject({ ok: true });

    const text = blocks.map((one) => one.text).join("");
    const links = new Map(parseLinks(text).map((one) => [one.target, one.attributes]));
    const number = (path: string) => Number(links.get(path)?.get("aobs"));
    expect(text).toContain(`</14>,</14/1>,</14/1/2>;rt="Component Version";v="0.0.0",</14/1/0>`);
    expect(text).toContain(
      `</10255/0/4>;rt="Class";v="AAAAAAAAAAAAAAAAAAAAAA==";aobs="${number("/10255/0/4")}"`,
    );
    expect(text).toContain(`</3/0/0>;v="dev_manufacturer";aobs="${number("/3/0/0")}"`);
    expect(text).toContain("</3/0/11>;obs,</3/0/11/0>;obs");
    expect(text).toContain(`</35011>,</35011/0>,</35011/0/27002>;rt="Enroll",`);
    expect(text.endsWith("</1>,</1/0>,</1/0/8>,</1/0/7>;obs,</1/0/6>;obs,</1/0/1>;obs,</1/0/0>;obs")).toBe(
      true,
    );
    // Told of resources, but not of the device object that holds them; and no root.
    expect(["/", "/3", "/3/0", "/1/0/4", "/0"].filter((path) => links.has(path))).toEqual([]);
    expect(number("/3/0/0")).toBeGreaterThan(0);
    expect(number("/3/0/0")).toBeLessThan(1024);
    expect(device.tree.text("14/0/0")).toBe("MAIN");
  });

  test("puts quotes into a value as they are", async () => {
    const { server, clock, device } = await registered();
    device.tree.set("3/0/1", 'model "B", really');
    server.intercept = answering(`/rd/${ACCOUNT}/${DEVICE_ID}`, "4.04");
    device.update();
    await server.turns();
    await clock.advance(0);
    const text = server.last
      .requests("/rd")
      .slice(3)
      .map((one) => one.text)
      .join("");
    expect(text).toContain(`</3/0/1>;v="model "B", really";aobs=`);
  });

  test("gives notifications other numbers with every start of the process", async () => {
    const numbers = async (random: number) => {
      const { server } = await registered({ random: () => random });
      return server.last
        .requests("/rd")
        .map((one) => one.text)
        .join("")
        .match(/aobs="\d+"/g);
    };
    expect(await numbers(0.2)).not.toEqual(await numbers(0.7));
  });

  test("ignores an answer without a location", async () => {
    const { server, clock, device } = start({}, (one) => (one.intercept = answering("/rd", "2.01")));
    await server.until(() => server.lwm2m[0]?.requests("/rd").length === 3);
    await clock.advance(29 * 60_000);
    expect(device.phase).toBe("registering");
    expect(server.lwm2m).toHaveLength(1);
    await clock.advance(2 * 60_000);
    expect(server.lwm2m.length).toBeGreaterThan(1);
  });

  test.each(["4.00", "4.03"])("leads to a new bootstrap after %s, ever later", async (code) => {
    const { server, clock, store, warnings } = start({}, (one) => (one.intercept = answering("/rd", code)));
    const waits = () => warnings.flatMap((one) => /Bootstrapping again in (\d+) s/.exec(one)?.[1] ?? []);
    await server.until(() => waits().length === 1);
    expect(store.items).toMatchObject({
      internalEndpoint: DEVICE_ID,
      lwm2m: { uri: null, privateKey: null },
    });
    for (let round = 1; round < 12; round++) {
      expect(server.bootstraps).toHaveLength(round);
      await clock.advance(Number(waits().at(-1)) * 1000 - 100);
      expect(server.bootstraps).toHaveLength(round);
      await clock.advance(100);
      await server.until(() => waits().length === round + 1);
    }
    // Between 20 and 100 s at first, in the middle of which lies the test's chance; 6 hours in the end.
    const doubled = Array.from({ length: 9 }, (_, n) => String(60 * 2 ** n));
    expect(waits()).toEqual([...doubled, "21600", "21600", "21600"]);
    expect(server.bootstraps[1]!.heard[0]!.query).toContain(`iep=${DEVICE_ID}`);
  });

  test.each(["4.01", "4.04", "4.05", "4.12", "5.00", "5.03"])(
    "is tried again in full after %s",
    async (code) => {
      const { server, clock, device, store } = start({}, (one) => (one.intercept = answering("/rd", code)));
      await server.until(() => device.phase === "waiting");
      expect(store.items?.lwm2m.uri).toBe(server.lwm2mUri);
      await clock.advance(12_900);
      expect(server.lwm2m).toHaveLength(1);
      server.intercept = null;
      await clock.advance(200);
      await server.until(() => device.phase === "registered");
      expect(server.lwm2m).toHaveLength(2);
      expect(server.bootstraps).toHaveLength(1);
      expect(updates(server.last)).toEqual([]);
    },
  );

  test("leads to a new bootstrap when the handshake is refused, and to patience when nobody is there", async () => {
    const refused = start({}, (one) => (one.refuse = ({ port }) => (port === 5684 ? refusal() : null)));
    await refused.server.until(() => refused.device.phase === "waiting");
    await refused.clock.advance(60_000);
    expect(refused.server.bootstraps).toHaveLength(2);

    const alone = start({}, (one) => (one.refuse = ({ port }) => (port === 5684 ? unreachable() : null)));
    await alone.server.until(() => alone.device.phase === "waiting");
    await alone.clock.advance(60_000);
    expect(alone.server.bootstraps).toHaveLength(1);
    alone.server.refuse = null;
    await alone.clock.advance(60_000);
    await alone.server.until(() => alone.device.phase === "registered");
  });

  test("takes the last part of the location for its ID when it has another", async () => {
    const { server, store, device } = await registered({}, (one) => {
      one.intercept = (_, request) => {
        if (request.path === "/rd") one.deviceId = "0192".padEnd(32, "b");
        return false;
      };
    });
    expect(store.items?.internalEndpoint).toBe(server.deviceId);
    expect(device.deviceId).toBe(server.deviceId);
  });
});

describe("an update", () => {
  test("comes at 75 % of the lifetime that the bootstrap wrote, which it tells then", async () => {
    const { server, clock } = await registered();
    await clock.advance(0.75 * 86_400_000 - 1000);
    expect(updates(server.last)).toEqual([]);
    await clock.advance(2000);
    const [update] = updates(server.last);
    expect(update).toMatchObject({ query: ["et=default", "lt=86400"], text: "" });
    expect(optionsOf(update!, "Content-Format")).toEqual([Buffer.of(40)]);
    await clock.advance(0.75 * 86_400_000);
    expect(updates(server.last)[1]?.query).toEqual(["et=default"]);
  });

  test("follows a lifetime in Max-Age, from a minute on", async () => {
    const withMaxAge = (seconds: number) => (one: PelionServer) => {
      one.intercept = (connection, request) => {
        if (request.path !== "/rd") return false;
        const location = ["rd", ACCOUNT, DEVICE_ID].map((text) => ({
          name: "Location-Path" as const,
          value: Buffer.from(text),
        }));
        connection.reply(request, "2.01", {
          options: [...location, { name: "Max-Age", value: Buffer.of(seconds) }],
        });
        return true;
      };
    };
    const { server, clock } = await registered({}, withMaxAge(64));
    await clock.advance(47_000);
    expect(updates(server.last)).toEqual([]);
    await clock.advance(2000);
    expect(updates(server.last)[0]?.query).toEqual(["et=default"]);

    const short = await registered({}, withMaxAge(59));
    await short.clock.advance(3_600_000);
    expect(updates(short.server.last)).toEqual([]);
  });

  test("tells of what is new and what is gone only", async () => {
    const { server, device } = await registered();
    device.tree.add("3303/0", { 5700: { type: "string", value: "21.5", obs: true } });
    device.tree.remove("14/1");
    await server.turns();
    expect(updates(server.last).map((one) => one.text)).toEqual([
      '</3303>,</3303/0>,</3303/0/5700>;obs,</14/1>;d,</14/1/2>;d;rt="Component Version";v="0.0.0"' +
        ',</14/1/0>;d;rt="Component Identity";v="METER"',
    ]);
    device.update();
    await server.turns();
    expect(updates(server.last).at(-1)?.text).toBe("");
  });

  test("that is refused is followed by a full registration on the same connection", async () => {
    const { server, device } = await registered();
    expect((await server.last.ask({ path: "/3200/0/5501", observe: 0 }))?.code).toBe("2.05");
    server.intercept = answering(`/rd/${ACCOUNT}/${DEVICE_ID}`, "4.04");
    device.update();
    await server.until(() => server.last.requests("/rd").length === 6);
    await server.turns();
    expect(server.lwm2m).toHaveLength(1);
    expect(device.phase).toBe("registered");
    // What was asked for before is forgotten; what it tells by itself is not.
    const before = server.last.heard.length;
    device.tree.set("3200/0/5501", "9");
    device.tree.set("10252/0/2", "3");
    await server.turns();
    const told = server.last.heard.slice(before).filter((one) => one.code === "2.05");
    expect(told.map((one) => one.text)).toEqual(["3"]);
  });

  test("comes after a connection that broke off, 13 s later", async () => {
    const { server, clock, device } = await registered();
    server.last.close();
    await server.turns();
    expect(device.phase).toBe("waiting");
    await clock.advance(12_900);
    expect(server.lwm2m).toHaveLength(1);
    await clock.advance(200);
    await server.until(() => device.phase === "registered");
    expect(server.last.requests("/rd")).toEqual([]);
    expect(updates(server.last)).toHaveLength(1);
  });

  test("that is not answered ends the connection, and the next one begins with another", async () => {
    const { server, clock, device } = await registered();
    server.intercept = () => true;
    device.update();
    await clock.advance(57_000);
    expect(device.phase).toBe("waiting");
    server.intercept = null;
    await clock.advance(14_000);
    await server.until(() => device.phase === "registered");
    expect(updates(server.last)).toHaveLength(1);
  });
});

describe("the store", () => {
  test("brings a device back to its server without a bootstrap, with a full registration", async () => {
    const server = new PelionServer(new FakeClock());
    const store = await bootstrapped(server);
    const again = startPelion({ store }, () => {}, server);
    devices.push(again.device);
    await server.until(() => again.device.phase === "registered");
    expect(server.bootstraps).toEqual([]);
    expect(server.last.requests("/rd")).toHaveLength(3);
    expect(updates(server.last)).toEqual([]);
  });

  test("keeps the time that the server's hello told; a time before 2017 wipes everything at the next start", async () => {
    const server = new PelionServer(new FakeClock());
    server.serverTime = 1_790_000_000;
    const store = await bootstrapped(server);
    expect(store.items?.time).toBe(1_790_000_000);
    expect(store.items?.internalEndpoint).toBe(DEVICE_ID);

    store.items!.time = 1_400_000_000;
    const again = startPelion({ store }, () => {}, server);
    devices.push(again.device);
    await server.until(() => again.device.phase === "registered");
    expect(again.warnings[0]).toMatch(/wiped/);
    expect(server.bootstraps[0]!.heard[0]!.query).not.toContain(`iep=${DEVICE_ID}`);
  });

  test("lies in a file for its owner only, and belongs to one developer certificate", async () => {
    const folder = await mkdtemp(join(tmpdir(), "gangway-pelion-"));
    folders.push(folder);
    const server = new PelionServer(new FakeClock());
    const { items } = await bootstrapped(server);
    const warnings: string[] = [];
    const of = (certificate: Uint8Array) =>
      new FilePelionStore(folder, certificate, (one) => warnings.push(one));
    const store = of(server.bundle.certificate);
    expect(await store.load()).toBe(null);
    await store.save(items!);
    expect(await store.load()).toEqual(items);
    await store.save(factory(server));
    expect(await store.load()).toEqual(structuredClone(factory(server)));
    expect((await stat(join(folder, "pelion.json"))).mode & 0o777).toBe(0o600);
    expect(await of(server.root.certificate).load()).toBe(null);
    const text = await readFile(join(folder, "pelion.json"), "utf8");
    await writeFile(join(folder, "pelion.json"), text.slice(5));
    expect(await store.load()).toBe(null);
    expect(warnings).toEqual([
      expect.stringMatching(/another developer/),
      expect.stringMatching(/unreadable/),
    ]);
  });
});

describe("the connection", () => {
  const at = (connection: Connection) =>
    connection.heard.filter((one) => one.code === "0.00" && one.confirmable);

  test("is pinged over TCP after nine quiet minutes, and given up when nobody answers", async () => {
    const { server, clock, device } = await registered({ transport: "tcp" });
    await clock.advance(539_000);
    expect(at(server.last)).toEqual([]);
    await clock.advance(2000);
    const [ping] = at(server.last);
    expect(ping?.bytes).toHaveLength(4);
    server.last.empty(ping!, "reset");
    await clock.advance(541_000);
    expect(at(server.last)).toHaveLength(2);
    expect(server.lwm2m).toHaveLength(1);
    await clock.advance(70_000);
    await server.until(() => device.phase === "registered");
    expect(server.lwm2m).toHaveLength(2);
    expect(updates(server.last)).toHaveLength(1);
  });

  test("is not pinged over UDP, nor during a bootstrap", async () => {
    const { server, clock } = await registered();
    await clock.advance(2 * 3_600_000);
    expect(at(server.last)).toEqual([]);
    const stuck = start({ transport: "tcp" }, (one) => (one.session = async () => {}));
    await stuck.server.until(() => stuck.server.bootstraps.length === 1);
    await stuck.clock.advance(20 * 60_000);
    expect(at(stuck.server.bootstraps[0]!)).toEqual([]);
  });

  test("answers a ping with a reset", async () => {
    const { server } = await registered();
    server.last.send({ confirmable: true, code: "0.00", messageId: 4711 });
    await server.turns();
    expect(server.last.heard.at(-1)).toMatchObject({ reset: true, code: "0.00", messageId: 4711 });
  });

  test("does not act on a message id again for 300 s, not even on another connection to the port", async () => {
    const { server, clock, device } = await registered();
    const ask = (messageId: number, value: string) =>
      server.last.ask({ method: "PUT", path: "/3201/0/5853", payload: value, messageId });
    expect((await ask(7, "one"))?.code).toBe("2.04");
    // On the same connection it gets the old answer, with the old token.
    await ask(7, "two");
    expect(server.last.heard.at(-1)).toMatchObject({ ack: true, messageId: 7, code: "2.04" });
    expect(device.tree.text("3201/0/5853")).toBe("one");

    server.last.close();
    await clock.advance(14_000);
    await server.until(() => device.phase === "registered");
    await ask(7, "three");
    expect(device.tree.text("3201/0/5853")).toBe("one");
    await clock.advance(300_000);
    await ask(7, "four");
    expect(device.tree.text("3201/0/5853")).toBe("four");

    // It remembers four of them.
    for (const messageId of [8, 9, 10, 11]) await ask(messageId, String(messageId));
    await ask(7, "five");
    expect(device.tree.text("3201/0/5853")).toBe("five");
  });

  test("has message ids that go on over connections", async () => {
    const { server, device } = await registered();
    const ids = [server.bootstraps[0]!.heard[0]!.messageId, server.last.heard[0]!.messageId];
    expect((ids[1]! - ids[0]! + 0x10000) & 0xffff).toBe(2);
    expect(device.phase).toBe("registered");
  });

  test("answers what is no message with a reset", async () => {
    const { server } = await registered();
    server.last.peer.send(Buffer.of(0x4f, 1, 0x12, 0x34));
    await server.turns();
    expect(server.last.heard.at(-1)).toMatchObject({ reset: true, messageId: 0x1234 });
  });
});

test("a device that is stopped while it waits, connects or registers ends at once", async () => {
  for (const phase of ["waiting", "registering", "bootstrapping"]) {
    const { server, device } = startPelion({}, (one) => {
      if (phase === "waiting") one.refuse = unreachable;
      if (phase === "registering") one.intercept = (_, request) => request.path === "/rd";
      if (phase === "bootstrapping") one.intercept = () => true;
    });
    await server.until(() => device.phase === phase && (phase !== "registering" || server.lwm2m.length > 0));
    await device.stop();
    expect(device.phase).toBe("stopped");
    await expect(device.setup()).rejects.toThrow("stopped");
  }
});

test("a device deregisters when it is told to", async () => {
  const { server, device, clock } = await registered();
  const stopping = device.stop({ deregister: true });
  await server.turns();
  await clock.advance(3000);
  await stopping;
  expect(server.lwm2m[0]!.heard.some((one) => one.code === "0.04")).toBe(true);
});

test("an empty store is a device out of the factory", () => {
  const server = new PelionServer(new FakeClock());
  expect(new MemoryStore().items).toBe(null);
  expect(factory(server).bootstrap.uri).toBe(`coaps://gangway.example:5784?aid=${ACCOUNT}`);
});
