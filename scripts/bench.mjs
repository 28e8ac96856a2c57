// Runs tests/bench/*.ts one after the other, each in its own process: npm run bench [-- name …]
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { basename, join } from "node:path";
import { prepare } from "./lib/prepare.mjs";
import { main, Progress, StepError } from "./lib/progress.mjs";
import { at, checkNode } from "./lib/project.mjs";
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
import { name, run } from ${JSON.stringify(source)};
writeFileSync(${JSON.stringify(results)}, JSON.stringify({ name, rows: await run() }));
process.exit(0);
`;

checkNode();
main(async () => {
  const wanted = process.argv.slice(2);
  await prepare(new Progress(process.stdout, { quiet: true }), { upTo: "bundles" });
  const files = (existsSync(FOLDER) ? readdirSync(FOLDER) : [])
    .filter((file) => file.endsWith(".ts") && !file.startsWith("_"))
    .filter((file) => wanted.length === 0 || wanted.includes(basename(file, ".ts")))
    .sort();
  if (files.length === 0) throw new StepError("There is no such bench in tests/bench.");
  const { build } = await import("esbuild");
  // Inside the clone, so that packages are found.
  const folder = mkdtempSync(at("build", "bench-"));
  const rows = [];
  const failed = [];
  try {
    console.log(machine().join("\n"));
    for (const file of files) {
      const results = join(folder, `${file}.json`);
      const program = join(folder, `${file}.mjs`);
      await build({
        stdin: { contents: runner(join(FOLDER, file), results), resolveDir: FOLDER, loader: "ts" },
        outfile: program,
        absWorkingDir: at(),
        bundle: true,
        packages: "external",
        platform: "node",
        target: "node20.19",
        format: "esm",
        sourcemap: "inline",
        logLevel: "error",
      });
      console.log(`\n${basename(file, ".ts")} …`);
      const started = performance.now();
      const code = await runInForeground(process.execPath, ["--enable-source-maps", "--expose-gc", program], {
        timeoutMs: LIMIT_MS,
        env: { NODE_ENV: "production" },
      });
      const seconds = ((performance.now() - started) / 1000).toFixed(0);
      if (code !== 0 || !existsSync(results)) {
        console.log(code === 124 ? `stopped after ${seconds} s` : `failed (exit code ${code})`);
        failed.push(basename(file, ".ts"));
        continue;
      }
      const result = JSON.parse(readFileSync(results, "utf8"));
      console.log(`${result.name}: ${seconds} s`);
      rows.push(...result.rows);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (rows.length > 0) console.log(`\n${table(rows)}`);
  if (failed.length > 0) throw new StepError(`Failed: ${failed.join(", ")}`);
});
