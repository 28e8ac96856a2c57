import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, loadConfig } from "../config";
import { openDatabase, type PrismaClient } from "./client";
import { migrate } from "./migrate";

let template: Promise<Buffer> | null = null;

/** A migrated database file, made once per process. */
function templateFile(): Promise<Buffer> {
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

export interface TestDatabase {
  db: PrismaClient;
  config: Config;
  close(): Promise<void>;
}

/** An empty database in a data folder of its own, with a configuration that binds free ports; gone after `close`. */
export async function openTestDatabase(env: Readonly<Record<string, string>> = {}): Promise<TestDatabase> {
  const folder = mkdtempSync(join(tmpdir(), "gangway-test-"));
  const config = loadConfig({
    GANGWAY_DATA: folder,
    GANGWAY_PUBLIC_HOST: "localhost",
    GANGWAY_HOST: "127.0.0.1",
    PORT: "0",
    GANGWAY_HTTPS_PORT: "0",
    GANGWAY_BOOTSTRAP_PORT: "0",
    GANGWAY_LWM2M_PORT: "0",
    GANGWAY_COAP_BOOTSTRAP_PORT: "0",
    GANGWAY_COAP_LWM2M_PORT: "0",
    GANGWAY_LOG_LEVEL: "silent",
    ...env,
  });
  writeFileSync(join(folder, "gangway.db"), await templateFile(), { mode: 0o600 });
  const db = await openDatabase(config);
  return {
    db,
    config,
    async close() {
      await db.$disconnect();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
