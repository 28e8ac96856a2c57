import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import {
  type DeviceOptions,
  FileState,
  ReferenceDevice,
  referenceProfile,
  runDevices,
} from "@/server/device";
import { encodeObjectInstance } from "@/server/lwm2m";
import { developerBundle } from "@/server/pki";
import { FakeClock, settle } from "../../support/fake-clock";
import {
  BOOTSTRAP_URI,
  FakeServers,
  LWM2M_URI,
  MemoryState,
  refusal,
  SERVER,
  silentLog,
  unreachable,
} from "./fake-server";

const running: ReferenceDevice[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const device of running.splice(0)) await device.stop({ deregister: false });
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

function start(
  options: Partial<DeviceOptions> = {},
  clock = new FakeClock(),
  servers = new FakeServers(clock),
) {
  const state = new MemoryState();
  const warnings: string[] = [];
  const device = new ReferenceDevice({
    bundle: servers.bundle,
    transport: "udp",
    state,
    connect: servers.connect,
    clock,
    log: { info() {}, warn: (message) => warnings.push(message) },
    profile: referenceProfile("1.2.3"),
    version: "1.2.3",
    random: () => 0.5,
    ...options,
  });
  running.push(device);
  const done = device.setup();
  done.catch(() => {});
  return { device, servers, clock, state: (options.state as MemoryState) ?? state, done, warnings };
}

async function registered(options: Partial<DeviceOptions> = {}) {
  const all = start(options);
  await all.done;
  await settle();
  return all;
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "gangway-device-"));
  folders.push(path);
  return path;
}

describe("the way to a registration", () => {
  test("bootstraps, takes its ID from the certificate, registers under its name", async () => {
    const { device, servers, state } = await registered();
    expect(servers.seen.map((one) => `${one.method} ${one.path}`)).toEqual(["POST /bs", "POST /rd"]);
    expect(servers.seen[0]).toMatchObject({
      uri: BOOTSTRAP_URI,
      query: ["ep=dev-endpoint", "mccv=gangway-1.2.3"],
    });
    expect(servers.commands).toEqual(["PUT /0 2.04", "PUT /1 2.04", "POST /bs 2.04"]);
    expect(servers.seen[1]).toMatchObject({
      uri: LWM2M_URI,
      query: ["ep=dev-endpoint", "lt=300", "lwm2m=1.1", "b=U", "aid=0190", "mccv=gangway-1.2.3"],
    });
    expect(servers.seen[1]?.payload).toMatch(
      /^<\/>;rt="oma\.lwm2m";ct="0 42 110 112 11542",<\/1\/0>,.*<\/3303>;ver=1\.1/,
    );
    expect(device.deviceId).toBe(servers.deviceId);
    expect(device.phase).toBe("registered");
    expect(state.state.account?.uri).toBe(LWM2M_URI);
    expect(servers.links).toBe(1);
  });

  test("stays on its transport where the account says only coaps", async () => {
    const clock = new FakeClock();
    const servers = new FakeServers(clock);
    const dialled: string[] = [];
    servers.onconnect = (uri, transport) => dialled.push(`${transport} ${uri}`);
    await start({ transport: "tcp" }, clock, servers).done;
    expect(dialled).toEqual([`tcp ${BOOTSTRAP_URI.replace("coaps", "coaps+tcp")}`, `tcp ${LWM2M_URI}`]);
    expect(servers.seen[1]?.query).toContain("b=T");
  });

  test("stored credentials save the bootstrap", async () => {
    const first = await registered();
    await first.device.stop();
    expect(first.servers.seen.at(-1)?.method).toBe("DELETE");
    const seen = first.servers.seen.length;
    const second = start({ state: first.state }, first.clock, first.servers);
    await second.done;
    expect(second.servers.seen.slice(seen).map((one) => one.path)).toEqual(["/rd"]);
  });

  test("a bootstrap server that refuses is asked again with doubling waits", async () => {
    const clock = new FakeClock();
    const servers = new FakeServers(clock);
    servers.answer = ({ path }) =>
      path === "/bs" ? { code: "4.03", payload: Buffer.from("no") } : { code: "2.01" };
    const { warnings } = start({}, clock, servers);
    await clock.advance(0);
    expect(servers.count("POST", "/bs")).toBe(1);
    await clock.advance(12_999);
    expect(servers.count("POST", "/bs")).toBe(1);
    await clock.advance(1);
    expect(servers.count("POST", "/bs")).toBe(2);
    await clock.advance(25_999);
    expect(servers.count("POST", "/bs")).toBe(2);
    await clock.advance(1);
    expect(servers.count("POST", "/bs")).toBe(3);
    expect(warnings[0]).toBe("The bootstrap server answered 4.03 (no). Trying again in 13 s.");
  });

  test("a bootstrap server that falls silent is given up after 247 s", async () => {
    const clock = new FakeClock();
    const servers = new FakeServers(clock);
    servers.session = async () => {};
    const { warnings } = start({}, clock, servers);
    await clock.advance(246_000);
    expect(warnings).toEqual([]);
    await clock.advance(1000);
    expect(warnings).toEqual(["The bootstrap server fell silent. Trying again in 13 s."]);
    expect(servers.links).toBe(0);
  });

  test("nobody there: tries again until there is", async () => {
    const clock = new FakeClock();
    const servers = new FakeServers(clock);
    servers.onconnect = () => {
      throw unreachable();
    };
    const { device, warnings } = start({}, clock, servers);
    await clock.advance(20_000);
    expect(device.phase).toBe("waiting");
    expect(warnings[0]).toMatch(/No connection to .*connection refused/);
    servers.onconnect = null;
    await clock.advance(60_000);
    expect(device.phase).toBe("registered");
  });

  test("stopping on the way ends it", async () => {
    const clock = new FakeClock();
    const servers = new FakeServers(clock);
    servers.session = async () => {};
    const { device, done } = start({}, clock, servers);
    await clock.advance(10);
    await device.stop();
    await expect(done).rejects.toThrow(/stopped/);
    expect(servers.links).toBe(0);
    expect(clock.pending).toBe(0);
  });
});

describe("the registration", () => {
  test("is updated at 75 % of its lifetime, without a payload when nothing changed", async () => {
    const { servers, clock, device } = await registered({ lifetime: 100 });
    await clock.advance(74_999);
    expect(servers.seen).toHaveLength(2);
    await clock.advance(1);
    expect(servers.seen).toHaveLength(3);
    expect(servers.seen[2]).toMatchObject({ method: "POST", query: [], payload: "" });
    expect(servers.seen[2]?.path).toMatch(/^\/rd\/.*\/r1$/);
    await clock.advance(75_000);
    expect(servers.seen).toHaveLength(4);
    await device.stop();
    expect(servers.seen.at(-1)).toMatchObject({ method: "DELETE", path: servers.seen[2]?.path });
    expect(clock.pending).toBe(0);
  });

  test("tells only what came and what went", async () => {
    const { servers, device } = await registered();
    device.tree.add(3303, 1, "1.1", { 5700: {} });
    device.tree.remove(3303, 0);
    await settle();
    const update = servers.seen[2];
    expect(update?.payload.split(",").slice(0, 3)).toEqual(["</3303/1>", "</3303/1/5700>", "</3303/0>;d"]);
    expect(update?.payload).not.toContain("</3/0");
    device.update();
    await settle();
    expect(servers.seen[3]?.payload).toBe("");
  });

  test("a lifetime written by the server goes out with an update", async () => {
    const { servers, clock } = await registered();
    const written = await servers.send({
      method: "PUT",
      path: ["1", "0", "1"],
      contentFormat: 0,
      payload: Buffer.from("60"),
    });
    expect(written.code).toBe("2.04");
    await settle();
    expect(servers.seen[2]?.query).toEqual(["lt=60"]);
    await clock.advance(45_000);
    expect(servers.seen).toHaveLength(4);
    expect(servers.seen[3]?.query).toEqual([]);
  });

  test("UPD-20 an update that the server does not know becomes a registration", async () => {
    const { servers, device } = await registered();
    servers.answer = ({ path }) => ({ code: path === "/rd" ? "2.01" : "4.04" });
    device.update();
    await settle();
    expect(servers.seen.slice(2).map((one) => one.path.replace(/r\d$/, "r"))).toEqual([
      expect.stringMatching(/^\/rd\/.*r$/),
      "/rd",
    ]);
    expect(device.phase).toBe("registered");
  });

  test.each(["4.00", "4.03"] as const)("refused with %s: bootstraps again, with its ID", async (code) => {
    const { servers, device, state } = await registered();
    let refused = 0;
    servers.answer = ({ method, path }) => {
      if (path === "/rd" && refused++ === 0) return { code };
      if (path.startsWith("/rd/") && method === "POST") return { code: "4.04" };
      return path === "/rd" ? { code: "2.01" } : { code: "2.04" };
    };
    device.update();
    await settle();
    await settle();
    expect(servers.seen.slice(3).map((one) => one.path)).toEqual(["/rd", "/bs", "/rd"]);
    expect(servers.seen[4]?.query).toEqual([
      "ep=dev-endpoint",
      `iep=${servers.deviceId}`,
      "mccv=gangway-1.2.3",
    ]);
    expect(device.deviceId).toBe(servers.deviceId);
    expect(state.saves).toBe(2);
  });

  test("a server that always refuses is not asked at full speed", async () => {
    const clock = new FakeClock();
    const servers = new FakeServers(clock);
    servers.answer = ({ path }) => (path === "/rd" ? { code: "4.03" } : { code: "2.04" });
    start({}, clock, servers);
    await clock.advance(60_000);
    expect(servers.count("POST", "/rd")).toBeLessThanOrEqual(4);
    expect(servers.count("POST", "/bs")).toBeLessThanOrEqual(4);
  });

  test("a refused certificate leads to a bootstrap, a server that is away does not", async () => {
    const { servers, clock, device } = await registered();
    let failure: () => Error = unreachable;
    servers.onconnect = (uri) => {
      if (uri === LWM2M_URI) throw failure();
    };
    servers.events?.onclose("the server went away");
    await clock.advance(40_000);
    expect(servers.count("POST", "/bs")).toBe(1);
    failure = () => {
      servers.onconnect = null;
      return refusal();
    };
    await clock.advance(60_000);
    expect(servers.count("POST", "/bs")).toBe(2);
    expect(device.phase).toBe("registered");
  });

  test("a lost connection is made again and the registration lives on by an update", async () => {
    const { servers, device } = await registered();
    servers.events?.onclose("reset");
    await settle();
    expect(servers.seen[2]?.path).toMatch(/^\/rd\/./);
    expect(device.phase).toBe("registered");
  });

  test("an alert after the handshake counts as a refusal", async () => {
    const { servers, clock } = await registered();
    const events = servers.events;
    servers.answer = ({ path }) => {
      if (path.startsWith("/rd/")) {
        events?.onclose("the peer sent the alert certificate_revoked");
        throw new Error("closed");
      }
      return path === "/rd" ? { code: "2.01" } : { code: "2.04" };
    };
    await clock.advance(225_000);
    expect(servers.count("POST", "/bs")).toBe(2);
  });

  test("an expired certificate is noticed by itself and replaced, the ID stays", async () => {
    const clock = new FakeClock();
    const servers = new FakeServers(clock);
    servers.validMs = 3_600_000;
    const { device, done } = start({ lifetime: 86_400 }, clock, servers);
    await done;
    await clock.advance(3_590_000);
    expect(servers.count("POST", "/bs")).toBe(1);
    await clock.advance(11_000);
    expect(servers.count("POST", "/bs")).toBe(2);
    expect(servers.seen.filter((one) => one.path === "/bs")[1]?.query).toContain(`iep=${servers.deviceId}`);
    expect(device.phase).toBe("registered");
  });

  test("more than 10 updates within 10 s are held for 60 s", async () => {
    const { servers, clock, device, warnings } = await registered();
    for (let index = 0; index < 12; index++) {
      device.update();
      await clock.advance(100);
    }
    expect(servers.seen).toHaveLength(11);
    expect(warnings).toEqual(["Updating is on hold for 60 s: too many within a short time."]);
    await clock.advance(58_000);
    expect(servers.seen).toHaveLength(11);
    await clock.advance(2_000);
    expect(servers.seen).toHaveLength(12);
    device.update();
    await clock.advance(100);
    expect(servers.seen).toHaveLength(13);
  });
});

describe("what a server may trigger", () => {
  const execute = (servers: FakeServers, ...path: string[]) => servers.send({ method: "POST", path });

  test("/1/0/8 updates", async () => {
    const { servers } = await registered();
    expect((await execute(servers, "1", "0", "8")).code).toBe("2.04");
    await settle();
    expect(servers.seen).toHaveLength(3);
  });

  test("/1/0/9 bootstraps again with the same ID", async () => {
    const { servers, device } = await registered();
    expect((await execute(servers, "1", "0", "9")).code).toBe("2.04");
    await settle();
    await settle();
    expect(servers.seen.slice(2).map((one) => one.path)).toEqual(["/bs", "/rd"]);
    expect(servers.seen[2]?.query).toContain(`iep=${servers.deviceId}`);
    expect(device.phase).toBe("registered");
  });

  test("/3/0/4 reboots: a new registration from the stored state", async () => {
    const { servers } = await registered();
    expect((await execute(servers, "3", "0", "4")).code).toBe("2.04");
    await settle();
    expect(servers.seen.slice(2).map((one) => one.path)).toEqual(["/rd"]);
    expect(servers.links).toBe(1);
  });

  test("/3/0/5 forgets everything and begins as new", async () => {
    const { servers, state } = await registered();
    expect((await execute(servers, "3", "0", "5")).code).toBe("2.04");
    await settle();
    await settle();
    expect(servers.seen.slice(2).map((one) => one.path)).toEqual(["/bs", "/rd"]);
    expect(servers.seen[2]?.query.join()).not.toContain("iep=");
    expect(state.saves).toBe(3);
  });
});

describe("the state of a device", () => {
  test("is a file for its owner only, replaced as a whole", async () => {
    const path = await folder();
    const store = new FileState(path, Buffer.from("certificate"), () => {});
    expect(await store.load()).toEqual({ deviceId: null, account: null });
    const bytes = Uint8Array.of(0x30, 1, 2);
    const state = {
      deviceId: "id",
      account: {
        uri: LWM2M_URI,
        shortServerId: 1,
        lifetime: 60,
        credentials: { certificate: bytes, privateKey: bytes, serverCa: bytes },
      },
    };
    await store.save(state);
    expect(await store.load()).toEqual(state);
    expect(await readdir(path)).toEqual(["state.json"]);
    if (process.platform !== "win32") expect((await stat(join(path, "state.json"))).mode & 0o777).toBe(0o600);
    const other = new FileState(path, Buffer.from("another"), () => {});
    expect(await other.load()).toEqual({ deviceId: null, account: null });
  });

  test("damage is said and survived", async () => {
    const path = await folder();
    const warnings: string[] = [];
    const store = new FileState(path, Buffer.from("certificate"), (message) => warnings.push(message));
    for (const text of ["", "{", '{"version":2}', "null"]) {
      await writeFile(join(path, "state.json"), text);
      expect(await store.load()).toEqual({ deviceId: null, account: null });
    }
    expect(warnings).toHaveLength(4);
    expect(warnings[0]).toMatch(/unreadable/);
  });

  test("a session cut off in the middle changes nothing", async () => {
    const { servers, device, state, clock } = await registered();
    const before = state.state;
    servers.session = async (send) => {
      await send({ method: "DELETE", path: [] });
      await send({
        method: "PUT",
        path: ["0"],
        contentFormat: 11542,
        payload: encodeObjectInstance(0, 0, servers.security()),
      });
      servers.events?.onclose("power cut");
    };
    device.rebootstrap();
    await clock.advance(100);
    expect(state.state).toBe(before);
    expect(device.phase).toBe("waiting");
    servers.session = null;
    await clock.advance(20_000);
    expect(device.phase).toBe("registered");
    expect(state.state).not.toBe(before);
  });

  test("an inconsistent account is refused at Finish and nothing is kept", async () => {
    const { servers, device, state, clock } = await registered();
    const before = state.state;
    servers.session = async (send) => {
      await send({
        method: "PUT",
        path: ["0"],
        contentFormat: 11542,
        payload: encodeObjectInstance(0, 0, servers.security({ 10: { type: "integer", value: "7" } })),
      });
      await send({
        method: "PUT",
        path: ["1"],
        contentFormat: 11542,
        payload: encodeObjectInstance(1, 0, SERVER),
      });
      const finish = await send({ method: "POST", path: ["bs"] });
      expect(finish).toMatchObject({
        code: "4.06",
        payload: "There is no server with the short id 7 in /1.",
      });
    };
    device.rebootstrap();
    await clock.advance(100);
    expect(state.state).toBe(before);
  });
});

describe("many devices", () => {
  test("each has its own folder and registers; all end with the signal", async () => {
    const clock = new FakeClock();
    const servers = new FakeServers(clock);
    const stateDir = await folder();
    const abort = new AbortController();
    const run = await runDevices({
      bundle: developerBundle(servers.bundle),
      count: 3,
      stateDir,
      log: silentLog,
      signal: abort.signal,
      clock,
      connect: servers.connect,
    });
    await clock.advance(100);
    // The state goes to a real disk, which no fake clock hurries.
    while (run.devices.some((one) => one.phase !== "registered")) await clock.advance(10);
    await run.registered;
    expect((await readdir(stateDir)).sort()).toEqual(["device-1", "device-2", "device-3"]);
    const kept = JSON.parse(await readFile(join(stateDir, "device-3", "state.json"), "utf8"));
    expect(kept.deviceId).toBe(servers.deviceId);
    abort.abort();
    await clock.advance(10);
    await run.stopped;
    expect(servers.count("DELETE", "/rd")).toBe(3);
    expect(servers.links).toBe(0);
    expect(clock.pending).toBe(0);
  });

  test("a bundle that is none is refused", async () => {
    await expect(
      runDevices({ bundle: Uint8Array.of(1, 2), stateDir: "x", log: silentLog }),
    ).rejects.toThrow();
    await expect(
      runDevices({ bundle: Uint8Array.of(1, 2), count: 0, stateDir: "x", log: silentLog }),
    ).rejects.toThrow(RangeError);
  });
});
