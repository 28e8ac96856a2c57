import { X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { busPath, serveBus } from "@/server/bus";
import { main } from "@/server/cli/main";
import { systemClock } from "@/server/clock";
import { loadConfig } from "@/server/config";
import { openDatabase } from "@/server/db";
import { createLogger } from "@/server/log";
import { readBundle } from "@/server/pki";
import { newId } from "@/server/services/ids";
import { unasked } from "@/tests/support/bus-handlers";

let folder: string;
let env: Record<string, string>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "gangway-cli-"));
  env = { GANGWAY_DATA: join(folder, "data"), GANGWAY_PUBLIC_HOST: "gw.example.com" };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

let interrupt = new AbortController();

async function run(line: string | string[], input = "", heard: (text: string) => void = () => {}) {
  let [out, err] = ["", ""];
  const code = await main(typeof line === "string" ? line.split(" ") : line, {
    out: (text) => {
      out += text;
      heard(out);
    },
    err: (text) => {
      err += text;
      heard(err);
    },
    input: async () => input,
    interrupted: () => interrupt.signal,
    cwd: folder,
    env,
  });
  return { code, out, err };
}

const createAdmin = () => run("users create-admin ada@example.com --password-stdin", "a long password\n");

describe("reading the command line", () => {
  it("helps", async () => {
    for (const line of ["help", "--help", "-h"]) expect(await run(line)).toMatchObject({ code: 0, err: "" });
    const { out } = await main0();
    for (const words of ["keys create NAME", "certs create NAME", "devices list", "ca show", "migrate"])
      expect(out).toContain(words);
    expect((await run("help keys")).out).toContain("keys remove ID|NAME");
    expect((await run("certs create --help")).out).toContain("--out FILE.zip");
    expect(await run("help nothing")).toMatchObject({ code: 2 });
    expect(existsSync(join(folder, "data"))).toBe(false);
  });

  it("says what is wrong with it, and touches nothing", async () => {
    const wrong: [string | string[], RegExp][] = [
      ["frobnicate", /There is no command “frobnicate”/],
      ["keys", /“keys” needs one of: create, list, remove/],
      ["keys make", /“keys” needs one of/],
      ["keys create", /NAME is missing/],
      ["keys create a b", /“b” is one too many/],
      ["keys create a --colour", /--colour/],
      ["certs create a", /--out FILE\.zip is needed/],
      ["devices list --state gone", /--state must be one of unenrolled/],
    ];
    for (const [line, message] of wrong) {
      const { code, out, err } = await run(line);
      expect({ line, code, out }).toEqual({ line, code: 2, out: "" });
      expect(err).toMatch(message);
    }
    expect(existsSync(join(folder, "data"))).toBe(false);
  });

  it("says so when the environment is wrong", async () => {
    env.PORT = "many";
    const { code, err } = await run("migrate");
    expect(code).toBe(1);
    expect(err).toMatch(/PORT/);
    expect(err).not.toMatch(/ {4}at /);
  });
});

const main0 = () => run([]);

describe("accounts", () => {
  it("are needed for keys, and it says how to get one", async () => {
    const { code, out, err } = await run("keys create ci");
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/There is no account yet.*users create-admin EMAIL/);
  });

  it("come with the first administrator; the password is made when none is given", async () => {
    const made = await run("users create-admin ada@example.com");
    expect(made).toMatchObject({ code: 0, err: "" });
    expect(made.out).toMatch(/^[A-Za-z0-9_-]{20}\n$/);
    expect(await run("users create-admin bob@example.com --password-stdin", "short")).toMatchObject({
      code: 1,
      err: expect.stringContaining("at least 10 characters"),
    });
    expect(await run("users create-admin ADA@example.com")).toMatchObject({ code: 1, out: "" });
    expect(await run("users create-admin bob@example.com --name Bob")).toMatchObject({ code: 0 });
    const db = await openDatabase(loadConfig(env));
    expect(await db.user.findMany({ select: { email: true, role: true, name: true } })).toEqual([
      { email: "ada@example.com", role: "administrator", name: "" },
      { email: "bob@example.com", role: "administrator", name: "Bob" },
    ]);
    expect(await db.account.count()).toBe(1);
    await db.$disconnect();
  });

  it("are made with an administrator each, and listed", async () => {
    expect(await run("accounts list")).toMatchObject({ code: 0, out: "", err: "There are no accounts.\n" });
    expect(await run("accounts create Acme")).toMatchObject({ code: 2, out: "" });
    expect((await run("accounts create Acme --admin ada@example.com")).out).toMatch(/^[A-Za-z0-9_-]{20}\n$/);
    expect(
      await run("accounts create Second --admin bob@example.com --password-stdin", "correct horse"),
    ).toEqual({ code: 0, out: "", err: "Account made.\n" });
    expect(await run("accounts create Third --admin BOB@example.com")).toMatchObject({ code: 1, out: "" });
    expect(JSON.parse((await run("accounts list --json")).out)).toMatchObject([
      { name: "Acme", status: "ACTIVE" },
      { name: "Second", status: "ACTIVE" },
    ]);
    expect((await run("accounts list")).out).toMatch(
      /^ID +NAME +STATUS +CREATED\n[0-9a-f]{32} +Acme +ACTIVE /,
    );
    expect((await run("users create-admin eve@example.com --account second")).code).toBe(0);
    expect(await run("users create-admin eve@example.com --account third")).toMatchObject({ code: 1 });
    const db = await openDatabase(loadConfig(env));
    const users = await db.user.findMany({
      select: { email: true, role: true, account: { select: { name: true } } },
    });
    expect(users).toEqual([
      { email: "ada@example.com", role: "administrator", account: { name: "Acme" } },
      { email: "bob@example.com", role: "administrator", account: { name: "Second" } },
      { email: "eve@example.com", role: "administrator", account: { name: "Second" } },
    ]);
    await db.$disconnect();
  });

  it("are chosen by ID or name", async () => {
    await createAdmin();
    const db = await openDatabase(loadConfig(env));
    const id = newId();
    await db.account.create({ data: { id, name: "Second" } });
    await db.$disconnect();
    expect((await run("keys create one --account second")).code).toBe(0);
    expect((await run("keys create two --account second --administrator")).out).toMatch(/^ak_1/);
    expect((await run(["keys", "list", "--json", "--account", id])).out).toContain('"one"');
    expect((await run("keys list --json")).out).toBe("[]\n");
    expect(await run("keys list --account nobody")).toMatchObject({
      code: 1,
      err: "There is no account with the name or ID “nobody”.\n",
    });
  });
});

describe("keys", () => {
  it("are printed with nothing else, listed and removed", async () => {
    await createAdmin();
    const made = await run("keys create ci");
    expect(made).toMatchObject({ code: 0, err: "" });
    expect(made.out).toMatch(/^ak_1[A-Za-z0-9_]{107}\n$/);
    const listed = await run("keys list");
    expect(listed.out).toMatch(/^ID +NAME +STATUS +LAST USED +CREATED\n[0-9a-f]{32} +ci +ACTIVE +– /);
    expect(listed.out).not.toContain(made.out.trim().slice(-32));
    expect((await run("keys create reader --scopes connect,read")).code).toBe(0);
    expect(JSON.parse((await run("keys list --json")).out)[0].scopes).toEqual(["read", "connect"]);
    expect(await run("keys create none --scopes read,all")).toMatchObject({ code: 2, out: "" });
    expect(await run("keys remove reader")).toMatchObject({ code: 0 });
    expect(await run("keys remove nothing")).toMatchObject({
      code: 1,
      err: "There is no API key “nothing”.\n",
    });
    expect(await run("keys remove ci")).toMatchObject({ code: 0 });
    expect(await run("keys list")).toMatchObject({ code: 0, out: "", err: "There are no API keys.\n" });
  });
});

describe("certificates", () => {
  it("are made with their bundle in a file of the owner, once", async () => {
    await createAdmin();
    const { code, out, err } = await run("certs create lab --out lab.zip");
    expect({ code, out }).toEqual({ code: 0, out: "" });
    expect(err).toContain("lab.zip");
    const file = join(folder, "lab.zip");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const bundle = readBundle(readFileSync(file));
    expect(bundle.bootstrapUri.udp).toBe("coaps://gw.example.com:5784");
    const { out: pem } = await run("ca show");
    expect(new X509Certificate(pem).raw.equals(bundle.serverCa)).toBe(true);
    expect(JSON.parse((await run("certs list --json")).out)).toMatchObject([
      { name: "lab", endpointName: bundle.endpointName, downloadable: false },
    ]);
    expect((await run("certs list")).out).toContain("0/100");
    expect(await run("certs remove lab")).toMatchObject({ code: 0 });
    expect((await run("certs list --json")).out).toBe("[]\n");
  });

  it("are not made when the file cannot be, nor the file when they cannot", async () => {
    await createAdmin();
    writeFileSync(join(folder, "there.zip"), "mine");
    expect(await run("certs create a --out there.zip")).toMatchObject({
      code: 1,
      err: "there.zip is there already: choose another name.\n",
    });
    expect(readFileSync(join(folder, "there.zip"), "utf8")).toBe("mine");
    expect(await run("certs create a --out no/such/folder.zip")).toMatchObject({ code: 1 });
    expect((await run("certs list --json")).out).toBe("[]\n");
    expect((await run("certs create a --out a.zip")).code).toBe(0);
    expect(await run("certs create a --out b.zip")).toMatchObject({ code: 1 });
    expect(existsSync(join(folder, "b.zip"))).toBe(false);
  });

  it("are told to a running gateway", async () => {
    await createAdmin();
    const asked: string[] = [];
    const config = loadConfig(env);
    const answer =
      <T>(name: string, output: T) =>
      () => {
        asked.push(name);
        return output;
      };
    const never = () => {
      throw new Error("not asked here");
    };
    const gateway = await serveBus({
      path: busPath(config),
      log: createLogger("test", "silent"),
      clock: systemClock,
      handlers: {
        ...unasked,
        ping: answer("ping", {
          pid: 1,
          startedAt: 0,
          storageTrouble: null,
          registrations: 0,
          peers: 0,
          listeners: [{ service: "bootstrap" as const, uri: "coaps://gw.example.com:40001" }],
        }),
        "trust.reload": answer("trust.reload", { trusted: 1 }),
        "device.read": never,
        "device.write": never,
        "device.execute": never,
        "device.observe": never,
        "device.unobserve": never,
        "device.rebootstrap": never,
        "device.renew": never,
        "account.reload": never,
        "device.added": never,
        "device.removed": never,
      },
    } as Parameters<typeof serveBus>[0]);
    try {
      expect((await run("certs create lab --out lab.zip")).code).toBe(0);
    } finally {
      await gateway.close();
    }
    expect(asked).toContain("trust.reload");
    expect(readBundle(readFileSync(join(folder, "lab.zip"))).bootstrapUri.udp).toBe(
      "coaps://gw.example.com:40001",
    );
  });
});

describe("devices", () => {
  it("are listed, shown, sent to bootstrap and removed", async () => {
    await createAdmin();
    const db = await openDatabase(loadConfig(env));
    const { id: accountId } = await db.account.findFirstOrThrow();
    const ids = Array.from({ length: 205 }, () => newId());
    await db.device.createMany({
      data: ids.map((id, n) => ({
        id,
        accountId,
        identity: `ep:pump-${n}`,
        endpointName: `pump-${n}`,
        state: n === 0 ? "deregistered" : "bootstrapped",
        name: n === 1 ? "bad\u001b[31mname" : "",
      })),
    });
    const all = JSON.parse((await run("devices list --json")).out) as { id: string }[];
    expect(all.map(({ id }) => id).sort()).toEqual([...ids].sort());
    expect((await run("devices list")).out).not.toContain("\u001b");
    const gone = await run("devices list --state Deregistered --search PUMP --sort name");
    expect(gone.out.trim().split("\n")).toHaveLength(2);
    expect(gone.out).toContain("pump-0");

    expect((await run("devices show pump-7")).out).toMatch(/Endpoint name +pump-7\n/);
    expect(JSON.parse((await run(["devices", "show", ids[7] ?? "", "--json"])).out)).toMatchObject({
      id: ids[7],
    });
    expect(await run("devices show pump-999")).toMatchObject({
      code: 1,
      err: "There is no device “pump-999”.\n",
    });
    expect((await run("devices show pump")).code).toBe(1);

    const sent = await run("devices rebootstrap pump-7");
    expect(sent).toMatchObject({ code: 0, out: "" });
    expect(sent.err).toContain("the gateway is not running");
    expect((await db.device.findUniqueOrThrow({ where: { id: ids[7] ?? "" } })).rebootstrapPending).toBe(
      true,
    );
    for (const word of ["reboot", "factory-reset", "renew"])
      expect(await run(`devices ${word} pump-7`)).toMatchObject({
        code: 1,
        out: "",
        err: expect.stringMatching(/gateway/),
      });
    expect(await run("devices remove pump-7")).toMatchObject({ code: 0 });
    expect(await db.device.count()).toBe(204);
    expect(
      await db.deviceEvent.findMany({ where: { deviceId: ids[7] ?? "" }, select: { actor: true } }),
    ).toEqual([{ actor: "operator" }, { actor: "operator" }]);
    await db.$disconnect();
  });
});

describe("what is asked of a device", () => {
  it("is told with how it went", async () => {
    await createAdmin();
    const config = loadConfig(env);
    const db = await openDatabase(config);
    const { id: accountId } = await db.account.findFirstOrThrow();
    const id = newId();
    await db.device.create({ data: { id, accountId, identity: "ep:pump", endpointName: "pump" } });
    const never = () => {
      throw new Error("not asked here");
    };
    const asked: unknown[] = [];
    let answer = { code: "2.04" as string | null, ok: true, message: "", values: [] };
    const handler = (input: unknown) => {
      asked.push(input);
      return answer;
    };
    const gateway = await serveBus({
      path: busPath(config),
      log: createLogger("test", "silent"),
      clock: systemClock,
      handlers: {
        ...unasked,
        ping: () => ({
          pid: 1,
          startedAt: 0,
          registrations: 0,
          peers: 0,
          listeners: [],
          storageTrouble: null,
        }),
        "trust.reload": never,
        "device.read": never,
        "device.write": never,
        "device.execute": handler,
        "device.observe": never,
        "device.unobserve": never,
        "device.rebootstrap": never,
        "device.renew": never,
        "account.reload": never,
        "device.added": never,
        "device.removed": never,
      },
    } as Parameters<typeof serveBus>[0]);
    try {
      expect(await run("devices reboot pump")).toEqual({
        code: 0,
        out: "",
        err: `Reboot of ${id}: it starts again, and registers when it is back.\n`,
      });
      expect(asked).toEqual([{ accountId, deviceId: id, actor: "operator", path: "/3/0/4", args: "" }]);
      answer = { ...answer, code: null, ok: false, message: "the device is not registered" };
      expect(await run(["devices", "factory-reset", id])).toEqual({
        code: 1,
        out: "",
        err: `Factory reset of ${id} did not work: the device is not registered.\n`,
      });
      expect(await run("devices renew nobody")).toMatchObject({ code: 1, out: "" });
    } finally {
      await gateway.close();
      await db.$disconnect();
    }
  });
});

describe("the reference device", () => {
  it("runs until it is interrupted, and keeps its state beside the bundle", async () => {
    env.GANGWAY_PUBLIC_HOST = "127.0.0.1";
    // Nobody listens on the discard port: the device says so and tries again.
    env.GANGWAY_BOOTSTRAP_PORT = "9";
    await createAdmin();
    await run("certs create lab --out lab.zip");
    interrupt = new AbortController();
    const ended = run("device run lab.zip --count 2 --transport tcp", "", (text) => {
      if (text.includes("device-2")) interrupt.abort();
    });
    expect((await ended).code).toBe(0);
    expect(existsSync(join(folder, "lab-devices", "device-1"))).toBe(true);
  });

  it("says what is wrong with a bundle or an option", async () => {
    writeFileSync(join(folder, "bad.zip"), "no zip");
    expect(await run("device run bad.zip")).toMatchObject({ code: 1, out: "" });
    expect((await run("device run bad.zip")).err).not.toMatch(/ {4}at /);
    expect(await run("device run none.zip")).toMatchObject({ code: 1, err: "There is no file none.zip.\n" });
    for (const option of ["--count 0", "--count many", "--transport sctp", "--lifetime -1"])
      expect(await run(`device run bad.zip ${option}`), option).toMatchObject({ code: 2 });
  });
});

describe("the database", () => {
  it("is brought up to date once", async () => {
    const first = await run("migrate");
    expect(first).toMatchObject({ code: 0, out: "" });
    expect(first.err).toMatch(/_init\n/);
    expect((await run("migrate")).err).toBe("The database is up to date.\n");
  });
});
