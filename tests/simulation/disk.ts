import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { type Config, loadConfig } from "@/server/config";
import { migrate, openDatabase, type PrismaClient } from "@/server/db";
import { batchOf, rowsOf } from "@/server/db/client";
import type { Life, World } from "./world";

/** The clients that openDatabase made, with the way past Prisma; a process of the simulation is one more. */
const holder = globalThis as unknown as { [KEY: symbol]: WeakMap<object, unknown> };
const FILES = Symbol.for("gangway.databases");

type Work = Parameters<ReturnType<typeof batchOf>>[0];

/** What becomes of one commit. */
export type Fate =
  | "written"
  /** The disk is full; nothing is written. */
  | "full"
  /** It takes its time. */
  | { stallMs: number }
  /** The process dies before, or after and never hears that it was written. */
  | "killed before"
  | "killed after";

let template: Promise<Buffer> | null = null;

/** The bytes of an empty database. */
export function templateFile(): Promise<Buffer> {
  template ??= (async () => {
    const folder = mkdtempSync(join(tmpdir(), "gangway-template-"));
    const file = join(folder, "template.db");
    await migrate({ databaseUrl: `file:${file}` });
    const content = readFileSync(file);
    rmSync(folder, { recursive: true });
    return content;
  })();
  return template;
}

/** The one disk of an instance. It outlives the processes, each of which has its own way to it. */
export class Disk {
  /** Decides each commit of a process. */
  fate: (life: Life) => Fate = () => "written";
  /** Rows of each commit that was written, for whoever keeps watch. */
  onwritten: (rows: readonly { sql: string; rows: readonly object[] }[]) => void = () => {};
  /** Registrations may have come or gone since this was last looked at. */
  changed = true;

  private constructor(
    readonly world: World,
    readonly config: Config,
    readonly db: PrismaClient,
    readonly file: string,
    private readonly folder: string,
  ) {}

  static async open(world: World, env: Readonly<Record<string, string>> = {}): Promise<Disk> {
    // In memory where there is such a place: nothing here has to survive the machine.
    const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "gangway-simulation-"));
    const config = loadConfig({
      GANGWAY_DATA: folder,
      GANGWAY_PUBLIC_HOST: "gangway.example",
      GANGWAY_LOG_LEVEL: "silent",
      ...env,
    });
    const file = join(folder, "gangway.db");
    writeFileSync(file, await templateFile(), { mode: 0o600 });
    const db = await openDatabase(config);
    return new Disk(world, config, db, file, folder);
  }

  /** A look at what is committed, past everything else. */
  reader(): Database.Database {
    return new Database(this.file, { readonly: true });
  }

  /** The database as one life of a process has it: nothing of it returns after its end. */
  clientFor(life: Life): PrismaClient {
    const never = new Promise<never>(() => {});
    const guard = <T>(run: () => Promise<T>): Promise<T> => {
      if (!life.alive) return never;
      this.world.busy++;
      return run().then(
        (value) => {
          this.world.busy--;
          return life.alive ? value : never;
        },
        (error: unknown) => {
          this.world.busy--;
          if (life.alive) throw error;
          return never;
        },
      );
    };
    const real = this.db as unknown as Record<PropertyKey, unknown>;
    const model = (name: PropertyKey) => {
      const target = real[name] as object;
      return new Proxy(target, {
        get: (_, method) => {
          const found = (target as Record<PropertyKey, unknown>)[method];
          if (typeof found !== "function") return found;
          // Prisma's promises are lazy: they run when they are awaited, or as part of a transaction.
          return (...args: unknown[]) =>
            new Lazy(found.bind(target, ...args) as () => Promise<unknown>, guard);
        },
      });
    };
    const client = new Proxy(real, {
      get: (_, name) => {
        if (name === "$transaction") {
          return (work: unknown, options?: unknown) => {
            this.changed = true;
            if (Array.isArray(work))
              return guard(() => this.db.$transaction(work.map((one: Lazy) => one.real()) as never));
            const run = work as (tx: unknown) => Promise<unknown>;
            return guard(() =>
              this.db.$transaction(
                (tx) =>
                  Promise.race([
                    run(tx),
                    // A transaction ends with its process.
                    new Promise<never>((_, reject) => life.onend(() => reject(new Error("killed")))),
                  ]),
                options as never,
              ),
            );
          };
        }
        const found = real[name];
        if (typeof found === "function") {
          return (...args: unknown[]) => {
            if (String(name).startsWith("$execute")) this.changed = true;
            return new Lazy(found.bind(real, ...args) as () => Promise<unknown>, guard);
          };
        }
        if (found !== null && typeof found === "object" && typeof name === "string" && /^[a-z]/.test(name))
          return model(name);
        return found;
      },
    });
    const batch = batchOf(this.db);
    const rows = rowsOf(this.db);
    holder[FILES]?.set(client, {
      batch: (work: Work) => this.#batch(life, batch, work, guard),
      rows: ((...args: Parameters<typeof rows>) => guard(() => rows(...args))) as typeof rows,
    });
    return client as unknown as PrismaClient;
  }

  async #batch(
    life: Life,
    batch: ReturnType<typeof batchOf>,
    work: Work,
    guard: <T>(run: () => Promise<T>) => Promise<T>,
  ): Promise<void> {
    const never = new Promise<never>(() => {});
    let fate = life.alive ? this.fate(life) : "killed before";
    if (typeof fate === "object") {
      const { stallMs } = fate;
      await new Promise<void>((resolve) => this.world.after(stallMs, resolve));
      fate = life.alive ? "written" : "killed before";
    }
    if (fate === "killed before") {
      life.kill();
      return never;
    }
    if (fate === "full") throw new Database.SqliteError("database or disk is full", "SQLITE_FULL");
    const seen: { sql: string; rows: object[] }[] = [];
    await guard(() =>
      batch((real) => {
        work({
          run: (sql: string, rows: Iterable<object>) => {
            const list = [...rows];
            seen.push({ sql, rows: list });
            real.run(sql, list);
          },
        } as never);
      }),
    );
    this.onwritten(seen);
    if (fate === "killed after") {
      life.kill();
      return never;
    }
  }

  async close(): Promise<void> {
    await this.db.$disconnect();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A query that runs when somebody waits for it, as Prisma's do. */
class Lazy implements PromiseLike<unknown> {
  #running: Promise<unknown> | null = null;

  constructor(
    readonly real: () => Promise<unknown>,
    private readonly guard: <T>(run: () => Promise<T>) => Promise<T>,
  ) {}

  get [Symbol.toStringTag]() {
    return "PrismaPromise";
  }

  // biome-ignore lint/suspicious/noThenProperty: it is waited for like a promise.
  get then(): Promise<unknown>["then"] {
    this.#running ??= this.guard(async () => this.real());
    return this.#running.then.bind(this.#running);
  }

  catch(failed: (reason: unknown) => unknown): Promise<unknown> {
    return this.then(undefined, failed);
  }

  finally(run: () => void): Promise<unknown> {
    return Promise.resolve(this).finally(run);
  }
}
