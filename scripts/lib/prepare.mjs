import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { withLock } from "./lock.mjs";
import { Progress, StepError } from "./progress.mjs";
import { at, onParentGone, root } from "./project.mjs";
import { run } from "./run.mjs";
import { hashOf, isDone, markDone, markUndone } from "./stamps.mjs";

const windows = process.platform === "win32";

// Prisma's command line looks for a schema engine it does not need here; any existing file keeps it offline.
const PRISMA_ENV = {
  PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
  PRISMA_HIDE_UPDATE_MESSAGE: "1",
  CHECKPOINT_DISABLE: "1",
};

const INSTALL_STAMP = at("node_modules", ".gangway-install");
const HIDDEN_LOCK = at("node_modules", ".package-lock.json");

/** Whether node_modules holds what the lock file says, also when somebody ran npm by hand. */
function installedByHand() {
  if (!existsSync(HIDDEN_LOCK)) return false;
  const wanted = JSON.parse(readFileSync(at("package-lock.json"), "utf8")).packages;
  const present = JSON.parse(readFileSync(HIDDEN_LOCK, "utf8")).packages;
  return Object.entries(wanted).every(
    ([path, entry]) =>
      path === "" || entry.optional || entry.peer || present[path]?.version === entry.version,
  );
}

/** npm ci, when the lock file or the Node.js version's native interface changed. */
export async function install(progress) {
  const native = `${process.platform}-${process.arch}-${process.versions.modules}`;
  const stamp = `${hashOf(["package-lock.json", "package.json", ".npmrc"])} ${native}`;
  const previous = existsSync(INSTALL_STAMP) ? readFileSync(INSTALL_STAMP, "utf8") : null;
  if (previous === stamp && existsSync(HIDDEN_LOCK)) return progress.skipped("packages");
  // Without a stamp, or with a new package.json, an install that fits the lock file is as good as ours.
  if ((previous === null || previous.endsWith(` ${native}`)) && installedByHand()) {
    writeFileSync(INSTALL_STAMP, stamp);
    return progress.skipped("packages");
  }
  rmSync(INSTALL_STAMP, { force: true });
  await progress.step("installing packages", () =>
    run(windows ? "npm.cmd" : "npm", ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"], {
      // A caller's NODE_ENV=production would leave out the build tools.
      env: { ...PRISMA_ENV, NODE_ENV: "", npm_config_omit: "" },
      what: "npm ci",
      shell: windows,
    }),
  );
  writeFileSync(INSTALL_STAMP, stamp);
}

/** A step of the build: skipped when the hash of its inputs is the one it last ran with. */
async function cached(progress, { name, title, inputs, except, outputs, make }) {
  const hash = hashOf([...inputs, "scripts/lib/prepare.mjs"], { except });
  if (isDone(name, hash, outputs)) return progress.skipped(name);
  markUndone(name);
  await progress.step(title, make);
  const missing = outputs.filter((path) => !existsSync(at(path)));
  if (missing.length > 0) throw new StepError(`${title}: ${missing.join(", ")} was not made.`);
  markDone(name, hash);
}

/** The Prisma client in generated/. */
export function generate(progress) {
  return cached(progress, {
    name: "database client",
    title: "generating the database client",
    inputs: ["prisma/schema.prisma", "prisma.config.ts", "package-lock.json"],
    outputs: ["generated/prisma/client.ts"],
    make: () =>
      run(process.execPath, [at("node_modules", "prisma", "build", "index.js"), "generate"], {
        env: PRISMA_ENV,
        what: "prisma generate",
      }),
  });
}

const ENTRY_POINTS = ["portal", "gateway", "cli"];

/** The three entry points as one file each in build/. */
export function bundle(progress) {
  return cached(progress, {
    name: "bundles",
    title: "bundling portal, gateway and cli",
    inputs: ["server", "prisma/schema.prisma", "package-lock.json", "tsconfig.json"],
    outputs: ENTRY_POINTS.map((name) => `build/${name}.js`),
    async make() {
      const { build } = await import("esbuild");
      try {
        await build({
          absWorkingDir: root,
          entryPoints: ENTRY_POINTS.map((name) => `server/${name}.ts`),
          outdir: "build",
          bundle: true,
          packages: "external",
          platform: "node",
          target: "node20.19",
          format: "esm",
          sourcemap: true,
          logLevel: "silent",
        });
      } catch (error) {
        throw new StepError(error.message);
      }
    },
  });
}

/** The portal's pages in .next/. */
export function buildPages(progress) {
  return cached(progress, {
    name: "pages",
    title: "building the portal's pages",
    inputs: [
      ...["app", "components", "public", "server", "prisma/schema.prisma"],
      ...["next.config.js", "postcss.config.mjs", "tsconfig.json", "package-lock.json"],
    ],
    // The dependency rule keeps these out of the portal.
    except: ["gateway", "transport", "coap", "device", "cli", "gateway.ts", "cli.ts"].map(
      (name) => `server/${name}`,
    ),
    outputs: [".next/BUILD_ID"],
    make: () =>
      run(process.execPath, [at("node_modules", "next", "dist", "bin", "next"), "build"], {
        env: { NODE_ENV: "production", NEXT_TELEMETRY_DISABLED: "1" },
        what: "next build",
      }),
  });
}

/** Brings the clone to the point that is needed; every step is skipped when its inputs did not change. */
export async function prepare(progress = new Progress(), { upTo = "pages" } = {}) {
  const interrupted = () => process.exit(130);
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, interrupted);
  const unwatch = onParentGone(interrupted);
  try {
    await withLock(progress, async () => {
      await install(progress);
      await generate(progress);
      if (upTo === "client") return;
      await bundle(progress);
      if (upTo === "bundles") return;
      await buildPages(progress);
    });
  } finally {
    unwatch();
    for (const signal of ["SIGINT", "SIGTERM"]) process.off(signal, interrupted);
  }
}
