import { mkdtempSync, rmSync, statSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type BusEvent,
  type BusHandlers,
  type BusServer,
  busPath,
  connectBus,
  type LocalBusClient,
  serveBus,
} from "@/server/bus";
import { LineReader } from "@/server/bus/lines";
import { systemClock } from "@/server/clock";
import { createLogger } from "@/server/log";
import { ServiceError } from "@/server/services/errors";
import { unasked } from "@/tests/support/bus-handlers";
import { FakeClock } from "@/tests/support/fake-clock";

const log = createLogger("test", "silent");
const A = "a".repeat(32);
const D = "d".repeat(32);
const scope = { accountId: A, deviceId: D };
const changed: BusEvent = { kind: "device", accountId: A, deviceId: D, change: "updated" };

const knock: BusEvent = {
  kind: "event",
  accountId: null,
  deviceId: null,
  event: {
    id: D,
    type: "handshake.failed",
    category: "connection",
    outcome: "FAIL",
    description: "",
    data: {},
    stateChange: false,
    actor: "device",
    at: 0,
  },
};

const handlers: BusHandlers = {
  ...unasked,
  ping: () => ({ pid: 1, startedAt: 2, registrations: 3, peers: 4, listeners: [], storageTrouble: null }),
  "trust.reload": () => ({ trusted: 0 }),
  "device.read": async ({ path }) => {
    if (path === "/9")
      throw new ServiceError("not_found", "Device not found.", [{ name: "path", message: "is gone" }]);
    if (path === "/8") throw new Error("a secret of the house");
    if (path === "/7") return { wrong: true } as never;
    if (path === "/6") return new Promise(() => {});
    return { code: "2.05", ok: true, message: "", values: [] };
  },
  "device.write": () => ({ code: "2.04", ok: true, message: "", values: [] }),
};

describe("the bus", () => {
  let folder: string;
  let path: string;
  const closers: (() => unknown)[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "gangway-bus-"));
    path = join(folder, "bus.sock");
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    rmSync(folder, { recursive: true, force: true });
  });

  const serve = async (): Promise<BusServer> => {
    const server = await serveBus({ path, handlers, log });
    closers.push(() => server.close());
    return server;
  };
  const client = (clock = systemClock): LocalBusClient => {
    const bus = connectBus({ path, clock, log });
    closers.push(() => bus.close());
    return bus;
  };

  it("carries requests and answers, from the first moment on", async () => {
    await serve();
    const bus = client();
    expect(await bus.request("ping", {})).toMatchObject({ pid: 1, peers: 4 });
    const many = await Promise.all(
      Array.from({ length: 200 }, () => bus.request("device.read", { ...scope, path: "/3/0/0" })),
    );
    expect(many.every(({ ok }) => ok)).toBe(true);
  });

  it("carries what went wrong, and nothing of what nobody may see", async () => {
    await serve();
    const bus = client();
    await expect(bus.request("device.read", { ...scope, path: "/9" })).rejects.toMatchObject({
      code: "not_found",
      message: "Device not found.",
      fields: [{ name: "path", message: "is gone" }],
    });
    await expect(bus.request("device.read", { ...scope, path: "/8" })).rejects.toMatchObject({
      code: "internal_error",
      message: expect.not.stringContaining("secret"),
    });
    await expect(bus.request("device.read", { ...scope, path: "/7" })).rejects.toMatchObject({
      code: "internal_error",
    });
    await expect(bus.request("device.read", { ...scope, path: "3/0" })).rejects.toMatchObject({
      code: "validation_error",
    });
  });

  it("says in words that the gateway is down, or went down, or does not answer", async () => {
    await expect(client().request("ping", {})).rejects.toMatchObject({
      code: "unavailable",
      message: "The gateway is not running.",
    });
    const server = await serve();
    const clock = new FakeClock();
    const bus = client(clock);
    await bus.request("ping", {});
    const never = bus.request("device.read", { ...scope, path: "/6" });
    const caught = expect(never).rejects.toMatchObject({ message: "The gateway did not answer in time." });
    await until(() => clock.pending > 0);
    await clock.advance(150_000);
    await caught;
    const cut = bus.request("device.read", { ...scope, path: "/6" });
    const lost = expect(cut).rejects.toMatchObject({ message: "The gateway went down before it answered." });
    await server.close();
    await lost;
  });

  it("tells events to everyone but the one who sent them", async () => {
    const server = await serve();
    const [one, two] = [client(), client()];
    const heard: string[] = [];
    server.subscribe(() => heard.push("server"));
    one.subscribe(() => heard.push("one"));
    two.subscribe(() => heard.push("two"));
    await Promise.all([one.request("ping", {}), two.request("ping", {})]);
    one.publish(changed);
    await until(() => heard.length === 2);
    expect(heard.sort()).toEqual(["server", "two"]);
    heard.length = 0;
    server.publish(changed);
    await until(() => heard.length === 2);
    expect(heard.sort()).toEqual(["one", "two"]);
  });

  it("sends only events of accounts that are watched, also after the gateway came back", async () => {
    const first = await serve();
    const clock = new FakeClock();
    const bus = client(clock);
    const heard: (string | null)[] = [];
    bus.subscribe(({ accountId }) => heard.push(accountId));
    await bus.request("ping", {});
    const publish = async (server: BusServer, ...accounts: (string | null)[]) => {
      for (const accountId of accounts) server.publish({ ...knock, accountId });
      // What was sent before an answer is here before it.
      await bus.request("ping", {});
      return heard.splice(0);
    };
    const B = "b".repeat(32);
    expect(first.watched(A)).toBe(true);
    expect(await publish(first, A, B, null)).toEqual([A, B, null]);
    bus.watch([A]);
    await bus.request("ping", {});
    expect([A, B, null].map((account) => first.watched(account))).toEqual([true, false, true]);
    expect(await publish(first, A, B, null)).toEqual([A, null]);
    bus.watch([]);
    await bus.request("ping", {});
    expect([A, B, null].map((account) => first.watched(account))).toEqual([false, false, false]);
    expect(await publish(first, A, B, null)).toEqual([]);

    bus.watch([B]);
    await first.close();
    await until(() => !bus.connected && clock.pending > 0);
    const second = await serve();
    await clock.advance(100);
    await bus.request("ping", {});
    expect(await publish(second, A, B)).toEqual([B]);
    bus.watch(null);
    await bus.request("ping", {});
    expect(await publish(second, A, B)).toEqual([A, B]);
  });

  it("goes on when a listener fails", async () => {
    const server = await serve();
    const bus = client();
    let heard = 0;
    bus.subscribe(() => {
      throw new Error("not my day");
    });
    bus.subscribe(() => heard++);
    await bus.request("ping", {});
    server.publish(changed);
    await until(() => heard === 1);
  });

  it("comes back by itself and hands over what was published meanwhile", async () => {
    const first = await serve();
    const clock = new FakeClock();
    const bus = client(clock);
    let back = 0;
    bus.onreconnect = () => back++;
    await bus.request("ping", {});
    await first.close();
    await until(() => !bus.connected);
    bus.publish(changed);
    const second = await serve();
    const heard: BusEvent[] = [];
    second.subscribe((event) => heard.push(event));
    await until(() => clock.pending > 0);
    await clock.advance(100);
    await until(() => heard.length === 1);
    expect(heard).toEqual([changed]);
    expect(back).toBe(1);
    expect(await bus.request("ping", {})).toMatchObject({ pid: 1 });
  });

  it("finds a gateway that has just come without waiting for the next try", async () => {
    const first = await serve();
    const clock = new FakeClock();
    const bus = client(clock);
    await bus.request("ping", {});
    await first.close();
    await until(() => clock.pending > 0);
    await expect(bus.request("ping", {})).rejects.toMatchObject({ code: "unavailable" });
    await serve();
    expect(await bus.request("ping", {})).toMatchObject({ pid: 1 });
    bus.close();
    await expect(bus.request("ping", {})).rejects.toMatchObject({ code: "unavailable" });
  });

  it("keeps what is asked of a gateway that starts", async () => {
    let begin: (handlers: BusHandlers) => void = () => {};
    const server = await serveBus({ path, handlers: new Promise((resolve) => (begin = resolve)), log });
    closers.push(() => server.close());
    const bus = client();
    let answered = false;
    const answer = bus.request("ping", {}).finally(() => {
      answered = true;
    });
    await until(() => server.clients === 1);
    expect(answered).toBe(false);
    begin(handlers);
    expect(await answer).toMatchObject({ pid: 1 });
  });

  it("answers the gateway's own verbs without a socket", async () => {
    const server = await serve();
    expect(await server.request("ping", {})).toMatchObject({ pid: 1 });
    await expect(server.request("device.read", { ...scope, path: "x" })).rejects.toMatchObject({
      code: "validation_error",
    });
  });

  it("does not take the place of a gateway that lives, but of one that was killed", async () => {
    await serve();
    await expect(serveBus({ path, handlers, log })).rejects.toThrow("Another gateway is already running");
    if (process.platform !== "win32") expect(statSync(path).mode & 0o777).toBe(0o600);

    const dead = join(folder, "dead.sock");
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(dead, resolve));
    // Keeps the file as a killed process would: libuv unlinks it at close.
    const { linkSync, renameSync } = await import("node:fs");
    linkSync(dead, `${dead}.kept`);
    await new Promise<void>((resolve) => listener.close(() => resolve()));
    renameSync(`${dead}.kept`, dead);
    const server = await serveBus({ path: dead, handlers, log });
    await server.close();
  });

  it("drops a process that speaks another version, or something else altogether", async () => {
    await serve();
    for (const line of [
      '{"t":"hello","protocol":999}\n',
      "GET / HTTP/1.1\r\n\r\n",
      '{"t":"req","n":1,"op":"ping","input":{}}\n',
    ]) {
      const socket = connect(path);
      socket.on("error", () => {});
      socket.write(line);
      await new Promise<void>((resolve) => socket.on("close", () => resolve()).resume());
    }
    expect(await client().request("ping", {})).toMatchObject({ pid: 1 });
  });

  it("drops a process that does not read, and goes on with the others", async () => {
    const server = await serve();
    const stuck = connect(path);
    stuck.on("error", () => {});
    stuck.write('{"t":"hello","protocol":1}\n');
    stuck.pause();
    await until(() => server.clients === 1);
    const big: BusEvent = {
      kind: "values",
      accountId: A,
      deviceId: D,
      source: "read",
      values: [{ path: "/3/0/0", value: { type: "string", value: "x".repeat(1024 * 1024) }, at: 0 }],
    };
    for (let n = 0; n < 40 && server.clients > 0; n++) {
      server.publish(big);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => server.clients === 0);
    stuck.destroy();
    expect(await client().request("ping", {})).toMatchObject({ pid: 1 });
  });

  it("does not give up on a server that is of another version", async () => {
    const strange: Server = createServer((socket) => {
      socket.on("error", () => {}).resume();
      socket.write('{"t":"hello","protocol":999}\n');
    });
    await new Promise<void>((resolve) => strange.listen(path, resolve));
    await expect(client().request("ping", {})).rejects.toMatchObject({ code: "unavailable" });
    await new Promise<void>((resolve) => strange.close(() => resolve()));
  });
});

it("closes although somebody is connected who never said a word", async () => {
  const folder = mkdtempSync(join(tmpdir(), "gangway-bus-"));
  const server = await serveBus({ path: join(folder, "s"), handlers, log });
  const mute = connect({ path: join(folder, "s"), allowHalfOpen: true }).on("error", () => {});
  await new Promise((resolve) => mute.once("data", resolve));
  await server.close();
  mute.destroy();
  rmSync(folder, { recursive: true });
});

describe("a gateway that hangs", () => {
  it("does not hold up a request for ever", async () => {
    const folder = mkdtempSync(join(tmpdir(), "gangway-bus-"));
    const silent = createServer((socket) => socket.on("error", () => {}).resume());
    await new Promise<void>((resolve) => silent.listen(join(folder, "s"), resolve));
    const clock = new FakeClock();
    const bus = connectBus({ path: join(folder, "s"), clock, log });
    const refused = expect(bus.request("ping", {})).rejects.toMatchObject({ code: "unavailable" });
    await clock.advance(5000);
    await refused;
    bus.close();
    await new Promise<void>((resolve) => silent.close(() => resolve()));
    rmSync(folder, { recursive: true });
  });
});

describe("busPath", () => {
  it("lies in the data folder, or somewhere shorter", () => {
    expect(busPath({ dataDir: "/srv/gangway" }, "linux")).toBe("/srv/gangway/bus.sock");
    const long = busPath({ dataDir: `/srv/${"x".repeat(120)}` }, "linux");
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(100);
    expect(long).not.toBe(busPath({ dataDir: `/srv/${"y".repeat(120)}` }, "linux"));
    expect(busPath({ dataDir: "C:\\data" }, "win32")).toMatch(/^\\\\\.\\pipe\\gangway-[0-9a-f]{16}$/);
  });
});

describe("LineReader", () => {
  it("gives the same lines however the bytes are cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string().map((text) => text.replaceAll("\n", ""))),
        fc.array(fc.integer({ min: 1, max: 20 })),
        (texts, cuts) => {
          const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(""));
          const lines: string[] = [];
          const reader = new LineReader((line) => lines.push(line));
          for (let at = 0, n = 0; at < bytes.length; n++) {
            const size = cuts[n % Math.max(1, cuts.length)] ?? 7;
            reader.push(bytes.subarray(at, at + size));
            at += size;
          }
          expect(lines).toEqual(
            texts.filter((text) => text !== "").map((text) => Buffer.from(text).toString()),
          );
        },
      ),
    );
  });

  it("refuses a line that does not end", () => {
    const reader = new LineReader(() => {}, 100);
    reader.push(Buffer.alloc(100, "x"));
    expect(() => reader.push(Buffer.from("x"))).toThrow(RangeError);
  });
});

async function until(done: () => boolean): Promise<void> {
  const end = Date.now() + 5000;
  while (!done()) {
    if (Date.now() > end) throw new Error("it did not happen");
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
