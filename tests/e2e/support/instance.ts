import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Page, test } from "@playwright/test";
import { freePort } from "../../support/free-port";

export const ADMIN = { email: "ada@example.com", password: "correct horse battery staple" };

/** A whole Gangway: both processes on free ports with a data folder of its own. */
export interface Instance {
  /** Origin of the portal over http and over https. */
  url: string;
  httpsUrl: string;
  /** The one-time link, when there is no administrator yet. */
  setupUrl: string | null;
  bootstrapPort: number;
  dataDir: string;
  /** What its processes were started with. */
  environment: NodeJS.ProcessEnv;
  /** Runs one command of the CLI and returns what it printed. */
  cli(...args: string[]): Promise<string>;
  /** Starts the reference device until the instance stops, or `stop` is called. */
  runDevice(bundle: string, ...args: string[]): RunningDevice;
  /** Ends every device that still runs; each deregisters. */
  stopDevices(): Promise<void>;
  /** Ends the gateway without a chance to say goodbye, and starts it again. */
  killGateway(): Promise<void>;
  startGateway(): Promise<void>;
  /** A path in the data folder. */
  file(name: string): string;
  stop(): Promise<void>;
}

export interface RunningDevice {
  output(): string;
  stop(): Promise<void>;
  /** Ends it without a word: its registration stays. */
  kill(): Promise<void>;
}

export interface InstanceOptions {
  admin?: boolean;
  /** Settings beside those of every test. */
  environment?: Readonly<Record<string, string>>;
}

/** Starts an instance; without `admin` it waits for its first administrator. */
export async function startInstance({
  admin = true,
  environment = {},
}: InstanceOptions = {}): Promise<Instance> {
  const dataDir = mkdtempSync(join(tmpdir(), "gangway-e2e-"));
  const bootstrapPort = await freePort();
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    NODE_ENV: "production",
    GANGWAY_DATA: dataDir,
    GANGWAY_HOST: "127.0.0.1",
    GANGWAY_PUBLIC_HOST: "127.0.0.1",
    PORT: "0",
    GANGWAY_HTTPS_PORT: "0",
    GANGWAY_BOOTSTRAP_PORT: String(bootstrapPort),
    GANGWAY_LWM2M_PORT: String(await freePort()),
    GANGWAY_LOG_LEVEL: "warn",
    ...environment,
    ...(admin && { GANGWAY_ADMIN_EMAIL: ADMIN.email, GANGWAY_ADMIN_PASSWORD: ADMIN.password }),
  };
  const children = new Set<ChildProcess>();

  const launch = (args: string[], ipc: boolean) => {
    const child = spawn(process.execPath, args, {
      env,
      cwd: resolve("."),
      stdio: ["ignore", "pipe", "pipe", ...(ipc ? (["ipc"] as const) : [])],
    });
    children.add(child);
    let text = "";
    const keep = (chunk: Buffer) => {
      text += chunk.toString();
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    const ended = new Promise<number>((done) =>
      child.once("exit", (code) => {
        children.delete(child);
        done(code ?? -1);
      }),
    );
    return { child, ended, output: () => text };
  };

  const cli = async (...args: string[]) => {
    const run = launch([resolve("build/cli.js"), ...args], false);
    const code = await run.ended;
    if (code !== 0) throw new Error(`gangway ${args.join(" ")} ended with ${code}: ${run.output()}`);
    return run.output();
  };

  const devices: (() => Promise<void>)[] = [];
  const servers = new Map<string, ReturnType<typeof launch>>();
  const serve = async (name: string) => {
    const run = launch(["--enable-source-maps", resolve(`build/${name}.js`)], true);
    servers.set(name, run);
    return new Promise<string[]>((done, fail) => {
      run.child.on("message", (message: { type?: string; lines?: string[]; message?: string }) => {
        if (message.type === "ready") done(message.lines ?? []);
        if (message.type === "failed") fail(new Error(`${name}: ${message.message}`));
      });
      void run.ended.then((code) => fail(new Error(`${name} ended with ${code}: ${run.output()}`)));
    });
  };

  const stop = async () => {
    const waiting = [...children].map(
      (child) =>
        new Promise<void>((done) => {
          child.once("exit", () => done());
          child.kill("SIGTERM");
          setTimeout(() => child.kill("SIGKILL"), 8_000).unref();
        }),
    );
    await Promise.all(waiting);
    rmSync(dataDir, { recursive: true, force: true });
  };

  try {
    await cli("migrate");
    const [lines] = await Promise.all([serve("portal"), serve("gateway")]);
    const find = (pattern: RegExp) => lines.map((line) => pattern.exec(line)?.[1]).find(Boolean);
    const url = find(/(http:\/\/[\d.]+:\d+)\s*$/);
    const httpsUrl = find(/(https:\/\/[\d.]+:\d+)/);
    if (!url || !httpsUrl) throw new Error(`The portal did not say where it is: ${lines.join("\n")}`);
    return {
      url,
      httpsUrl,
      setupUrl: find(/(http:\S+\/setup\?token=\S+)/) ?? null,
      bootstrapPort,
      dataDir,
      environment: env,
      cli,
      async killGateway() {
        const run = servers.get("gateway");
        run?.child.kill("SIGKILL");
        await run?.ended;
      },
      async startGateway() {
        await serve("gateway");
      },
      file: (name) => join(dataDir, name),
      runDevice(bundle, ...args) {
        const run = launch([resolve("build/cli.js"), "device", "run", bundle, ...args], false);
        const stop = async () => {
          run.child.kill("SIGINT");
          await run.ended;
        };
        const kill = async () => {
          run.child.kill("SIGKILL");
          await run.ended;
        };
        devices.push(stop);
        return { output: run.output, stop, kill };
      },
      async stopDevices() {
        await Promise.all(devices.map((stop) => stop()));
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** An instance for all tests of a file. */
export function instanceForFile(options?: InstanceOptions): () => Instance {
  let instance: Instance | undefined;
  test.beforeAll(async () => {
    instance = await startInstance(options);
  });
  test.afterAll(async () => {
    await instance?.stop();
  });
  return () => {
    if (!instance) throw new Error("The instance is not up yet.");
    return instance;
  };
}

/** Calls the REST API with a key; returns the status, and the body where it is JSON. */
export async function call(
  instance: Instance,
  key: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; data: Record<string, unknown> }> {
  const response = await fetch(instance.url + path, {
    method,
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, data: text.startsWith("{") ? JSON.parse(text) : { text } };
}

/** Signs in through the form. */
export async function signIn(page: Page, url: string, who = ADMIN): Promise<void> {
  await page.goto(`${url}/login`);
  await page.getByLabel("E-mail address").fill(who.email);
  await page.getByLabel("Password").fill(who.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((to) => !to.pathname.startsWith("/login"));
}
