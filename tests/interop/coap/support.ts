import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@/server/clock";
import { CoapEndpoint, type EndpointOptions, type Observer, type RequestHandler } from "@/server/coap";

export const has = (program: string) => spawnSync(program, ["-h"], { stdio: "ignore" }).error === undefined;

export const pattern = (length: number) =>
  Buffer.from(Array.from({ length }, (_, at) => 33 + ((at * 7 + (at >> 6)) % 90)));

/** An endpoint with resources for every kind of exchange. */
export function sampleServer(
  options: Partial<EndpointOptions> = {},
): CoapEndpoint & { observers: Observer[] } {
  const store = new Map<string, Uint8Array>();
  const observers: Observer[] = [];
  const handler: RequestHandler = async (request) => {
    const path = request.path.join("/");
    if (path === "hello" && request.method === "GET")
      return { code: "2.05", payload: "world", contentFormat: 0 };
    if (path === "echo") return { code: "2.04", payload: request.payload, contentFormat: 42 };
    if (path === "big") return { code: "2.05", payload: pattern(5000), contentFormat: 42 };
    if (path === "slow") {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return { code: "2.05", payload: "late" };
    }
    if (path === "tick") {
      return {
        code: "2.05",
        payload: "0",
        observe: (observer) => {
          observers.push(observer);
        },
      };
    }
    if (request.method === "PUT") {
      store.set(path, Uint8Array.from(request.payload));
      return { code: "2.04" };
    }
    const stored = store.get(path);
    return stored ? { code: "2.05", payload: stored } : { code: "4.04", payload: "nothing there" };
  };
  const endpoint = new CoapEndpoint({ clock: systemClock, handler, ...options });
  return Object.assign(endpoint, { observers });
}

/** Runs a program to its end. */
export function run(program: string, args: string[]): Promise<{ stdout: Buffer; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk) => out.push(chunk));
    child.stderr.on("data", (chunk) => err.push(chunk));
    child.on("error", reject);
    child.on("close", () => resolve({ stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString() }));
  });
}

/** A folder for the files programs are given. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "gangway-coap-"));

  file(name: string, content: Uint8Array): string {
    const path = join(this.path, name);
    writeFileSync(path, content);
    return path;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** libcoap's server on a port that was free a moment ago. */
export async function startCoapServer(): Promise<{ port: number; stop: () => Promise<void> }> {
  const port = await freePort();
  const child: ChildProcess = spawn(
    "coap-server-notls",
    ["-A", "127.0.0.1", "-p", String(port), "-d", "10"],
    {
      stdio: "ignore",
    },
  );
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  return {
    port,
    stop: () => {
      child.kill();
      return ended;
    },
  };
}

async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

/** Tries until it works or the time is over. */
export async function eventually<T>(attempt: () => Promise<T> | T, ms = 10_000): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
