/**
 * Writes a migration from the difference between prisma/migrations and prisma/schema.prisma:
 *   node scripts/make-migration.mjs add_device_groups
 *   node scripts/make-migration.mjs --check        only says whether there is a difference (exit code 1)
 * Works offline: the schema engine is the WebAssembly build of Prisma's own version, on an SQLite database in memory.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { PrismaBetterSqlite3 } from "@prisma/adapter-better-sqlite3";
import { bindMigrationAwareSqlAdapterFactory } from "@prisma/driver-adapter-utils";
import * as bindings from "@prisma/schema-engine-wasm/schema_engine_bg";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = join(root, "prisma", "migrations");
const schemaFile = join(root, "prisma", "schema.prisma");
const name = process.argv[2];

const checking = name === "--check";

if (!name || !(checking || /^[a-z0-9_]{1,80}$/.test(name))) {
  console.error("Usage: node scripts/make-migration.mjs <name in lower case, digits and underscores>");
  process.exit(1);
}

const require = createRequire(import.meta.url);
const engineFolder = dirname(require.resolve("@prisma/schema-engine-wasm"));
const { version } = JSON.parse(readFileSync(join(engineFolder, "package.json"), "utf8"));
const prisma = JSON.parse(readFileSync(join(root, "node_modules", "prisma", "package.json"), "utf8")).version;
if (!version.startsWith(`${prisma}-`)) {
  console.error(
    `@prisma/schema-engine-wasm ${version} is not the engine of the installed prisma (${prisma}).`,
  );
  process.exit(1);
}

// The package's own entry imports the .wasm file as a module, which Node 20 cannot.
const wasm = new WebAssembly.Instance(
  new WebAssembly.Module(readFileSync(join(engineFolder, "schema_engine_bg.wasm"))),
  { "./schema_engine_bg.js": bindings },
);
bindings.__wbg_set_wasm(wasm.exports);
wasm.exports.__wbindgen_start();

const lockFile = join(folder, "migration_lock.toml");
const lock = '# Made by Prisma; keep it under version control.\nprovider = "sqlite"\n';
const migrations = existsSync(folder)
  ? readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort()
  : [];
const schema = { files: [{ path: schemaFile, content: readFileSync(schemaFile, "utf8") }] };
const sqlite = new PrismaBetterSqlite3({ url: ":memory:" });
const adapter = bindMigrationAwareSqlAdapterFactory({
  provider: sqlite.provider,
  adapterName: sqlite.adapterName,
  connect: () => sqlite.connect(),
  async connectToShadowDb() {
    const shadow = await sqlite.connectToShadowDb();
    // The engine passes a whole migration to executeRaw, and better-sqlite3 takes one statement there.
    shadow.executeRaw = async ({ sql }) => {
      await shadow.executeScript(sql);
      return 0;
    };
    return shadow;
  },
});
const engine = await bindings.SchemaEngine.new(
  { datamodels: schema.files.map(({ path, content }) => [path, content]) },
  () => {},
  adapter,
);
const { stdout: script, exitCode } = await engine.diff({
  from: {
    tag: "migrations",
    baseDir: folder,
    lockfile: {
      path: "./migration_lock.toml",
      content: existsSync(lockFile) ? readFileSync(lockFile, "utf8") : lock,
    },
    shadowDbInitScript: "",
    migrationDirectories: migrations.map((path) => ({
      path,
      migrationFile: {
        path: "migration.sql",
        content: { tag: "ok", value: readFileSync(join(folder, path, "migration.sql"), "utf8") },
      },
    })),
  },
  to: { tag: "schemaDatamodel", ...schema },
  script: true,
  exitCode: true,
  filters: { externalTables: [], externalEnums: [] },
});

if (exitCode !== 2 || !script) {
  console.log("The migrations already lead to the schema: nothing to do.");
  process.exit(0);
}
if (checking) {
  console.error(`The migrations do not lead to the schema. Missing:\n${script}`);
  process.exit(1);
}
const stamp = new Date().toISOString().replace(/\D/g, "").slice(0, 14);
const target = join(folder, `${stamp}_${name}`);
mkdirSync(target, { recursive: true });
writeFileSync(join(target, "migration.sql"), script);
if (!existsSync(lockFile)) writeFileSync(lockFile, lock);
console.log(target);
process.exit(0);
