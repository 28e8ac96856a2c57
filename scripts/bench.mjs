// Runs tests/bench/*.ts one after the other, each in its own process: npm run bench [-- name …]
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { basename, join } from "node:path";
import { prepare } from "./lib/prepare.mjs";
import { main, Progress, StepError } from "./lib/progress.mjs";
import { at, checkNode, root } from "./lib/project.mjs";
import { runInForeground } from "./lib/run.mjs";

const LIMIT_MS = 5 * 60_000;
const FOLDER = at("tests", "bench");

function machine() {
  const [cpu] = cpus();
  return [
    `${cpu?.model.trim() ?? "unknown processor"}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    `${type()} ${release()}, Node.js ${process.versions.node}, OpenSSL ${process.versions.openssl}`,
  ];
}

const number = (value) =>
  Math.abs(value) >= 100
    ? Math.round(value).toLocaleString("en-GB")
    : value.toLocaleString("en-GB", { maximumSignificantDigits: 3 });

function table(rows) {
  const head = ["", "measured", "", "aim", "limited by"];
  const cells = rows.map((row) => [
    row.metric,
    number(row.value),
    row.unit,
    row.aim === undefined ? "" : typeof row.aim === "number" ? number(row.aim) : String(row.aim),
    row.limitedBy ?? "",
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i].length)));
  const right = new Set([1, 3]);
  const format = (row) =>
    row
      .map((cell, i) => (right.has(i) ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join("  ")
      .trimEnd();
  return [format(head), widths.map((width) => "-".repeat(width)).join("  "), ...cells.map(format)].join("\n");
}

/** The program of one bench: runs it and writes its results where the parent finds them. */
const runner = (source, results) => `
import { writeFileSync } from "node:fs";
import * as bench from ${JSON.stringify(source)};
if (typeof bench.run !== "function") throw new Error("This bench exports no run().");
writeFileSync(${JSON.stringify(results)}, JSON.stringify({ name: bench.name, rows: await bench.run() }));
process.exit(0);
`;

/** One bench as one file, in a folder of the clone so that packages are found. */
async function bundleBench(file, program, results) {
  const { build } = await import("esbuild");
  await build({
    stdin: { contents: runner(join(FOLDER, file), results), resolveDir: FOLDER, loader: "ts" },
    outfile: program,
    absWorkingDir: root,
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node20.19",
    format: "esm",
    sourcemap: "inline",
    logLevel: "silent",
  });
}

/** Runs one bench in its own process; resolves to its rows, null when it failed. */
async function runBench(file, folder) {
  const title = basename(file, ".ts");
  const results = join(folder, `${file}.json`);
  const program = join(folder, `${file}.mjs`);
  console.log(`\n${title} …`);
  const started = performance.now();
  let code = 1;
  try {
    await bundleBench(file, program, results);
    code = await runInForeground(process.execPath, ["--enable-source-maps", "--expose-gc", program], {
      timeoutMs: LIMIT_MS,
      env: { NODE_ENV: "production" },
    });
  } catch (error) {
    console.log(error.message);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  if (code !== 0 || !existsSync(results)) {
    console.log(code === 124 ? `stopped after ${seconds} s` : `failed (exit code ${code})`);
    return null;
  }
  const result = JSON.parse(readFileSync(results, "utf8"));
  console.log(`${result.name ?? title}: ${seconds} s`);
  return result.rows;
}

checkNode();
main(async () => {
  const wanted = process.argv.slice(2);
  await prepare(new Progress(process.stdout, { quiet: true }), { upTo: "bundles" });
  const files = (existsSync(FOLDER) ? readdirSync(FOLDER) : [])
    .filter((file) => file.endsWith(".ts") && !file.startsWith("_"))
    .filter((file) => wanted.length === 0 || wanted.includes(basename(file, ".ts")))
    .sort();
  if (files.length === 0) throw new StepError("There is no such bench in tests/bench.");
  const folder = mkdtempSync(at("build", "bench-"));
  const rows = [];
  const failed = [];
  try {
    console.log(machine().join("\n"));
    for (const file of files) {
      const measured = await runBench(file, folder);
      if (measured) rows.push(...measured);
      else failed.push(basename(file, ".ts"));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (rows.length > 0) console.log(`\n${table(rows)}`);
  if (failed.length > 0) throw new StepError(`Failed: ${failed.join(", ")}`);
});
