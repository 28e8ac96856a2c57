import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const supervisor = fileURLToPath(new URL("./fixtures/supervisor.mjs", import.meta.url));

let data: string;
let running: ChildProcess[];
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), "gangway-supervise-"));
  running = [];
});
afterEach(async () => {
  for (const child of running) child.kill("SIGKILL");
  for (const name of ["portal", "gateway"]) await until(() => !alive(pidOf(name)));
  rmSync(data, { recursive: true, force: true });
});

/** Waits for what another process does. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

function pidOf(name: string): number | null {
  const file = join(data, `${name}.pid`);
  return existsSync(file) ? Number(readFileSync(file, "utf8")) || null : null;
}

function alive(pid: number | null): boolean {
  if (pid === null) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const notes = () =>
  existsSync(join(data, "notes")) ? readFileSync(join(data, "notes"), "utf8").trim().split("\n") : [];

function run(specs: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [supervisor, ...specs], {
    env: { ...process.env, GANGWAY_DATA: data, GANGWAY_LOG_LEVEL: "silent", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  running.push(child);
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  const code = new Promise<number | null>((resolve) => child.on("exit", resolve));
  return { child, code, output: () => output, says: (text: string) => until(() => output.includes(text)) };
}

describe("the supervisor and its processes", { timeout: 40_000 }, () => {
  it("announces both at once and ends them in order at SIGTERM", async () => {
    const service = run(["gateway:serve", "portal:serve"]);
    await service.says("ready gateway serves, portal serves");
    expect(alive(pidOf("portal"))).toBe(true);
    service.child.kill("SIGTERM");
    expect(await service.code).toBe(0);
    expect(pidOf("portal")).toBeNull();
    const closed = notes().filter((line) => line.startsWith("portal closed"));
    expect(closed).toEqual(["portal closed second", "portal closed first"]);
  });

  it("starts a killed process again and leaves the other alone", async () => {
    const service = run(["gateway:serve", "portal:serve"]);
    await service.says("ready");
    const [portal, gateway] = [pidOf("portal"), pidOf("gateway")];
    process.kill(gateway as number, "SIGKILL");
    await service.says("gateway is back");
    expect(pidOf("gateway")).not.toBe(gateway);
    expect(pidOf("portal")).toBe(portal);
    service.child.kill("SIGINT");
    expect(await service.code).toBe(0);
  });

  it("leaves nothing behind when it is killed itself", async () => {
    const service = run(["portal:serve"]);
    await service.says("ready");
    const pid = pidOf("portal");
    service.child.kill("SIGKILL");
    await until(() => !alive(pid));
    expect(pidOf("portal")).toBeNull();
    expect(notes()).toContain("portal closed first");
  });

  it("gives up when a process cannot start", async () => {
    const service = run(["gateway:serve", "portal:fail"]);
    expect(await service.code).toBe(1);
    expect(service.output()).toContain("the fixture cannot start");
    expect(service.output()).not.toContain("again");
    expect(notes().filter((line) => line.startsWith("portal start"))).toHaveLength(1);
  });

  it("names the port that is taken", async () => {
    const server: Server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const service = run(["portal:port"], { PORT: String(port) });
    expect(await service.code).toBe(1);
    expect(service.output()).toContain(`Port ${port} (PORT) is in use`);
    server.close();
  });

  it("names the setting that cannot be used", async () => {
    const service = run(["portal:serve"], { PORT: "everything" });
    expect(await service.code).toBe(1);
    expect(service.output()).toContain("PORT must be a port number");
  });

  it("waits for a predecessor on the same data folder", async () => {
    const first = run(["portal:serve"]);
    await first.says("ready");
    const second = run(["portal:serve"]);
    first.child.kill("SIGTERM");
    await second.says("ready");
    expect(await first.code).toBe(0);
    second.child.kill("SIGTERM");
    expect(await second.code).toBe(0);
  });
});
