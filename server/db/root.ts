import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder with the migrations, looked for upwards from this file (sources or bundle), then from the working directory. */
export function migrationsFolder(): string {
  for (const start of [moduleFolder(), process.cwd()]) {
    for (let folder = start; folder !== null; folder = parent(folder)) {
      const found = join(folder, "prisma", "migrations");
      if (existsSync(join(found, "migration_lock.toml"))) return found;
    }
  }
  throw new Error("The folder prisma/migrations was not found: run Gangway from its own folder.");
}

function moduleFolder(): string | null {
  try {
    return dirname(fileURLToPath(import.meta.url));
  } catch {
    // A bundler may have put something else than a file URL there.
    return null;
  }
}

function parent(folder: string): string | null {
  const up = dirname(folder);
  return up === folder ? null : up;
}
