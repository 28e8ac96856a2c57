// Everything a test run needs, then every test: npm test [-- --unit | --e2e | part of a file name]
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { prepare } from "./lib/prepare.mjs";
import { main, Progress, StepError } from "./lib/progress.mjs";
import { at, checkNode } from "./lib/project.mjs";
import { runInForeground } from "./lib/run.mjs";
import { findBrowser, installPackages, which } from "./lib/tools.mjs";

const RESULTS = at("test-results");
const VITEST_MS = 12 * 60_000;
const PLAYWRIGHT_MS = 10 * 60_000;

const args = process.argv.slice(2);
const filters = args.filter((arg) => !arg.startsWith("--"));
const unknown = args.filter((arg) => arg.startsWith("--") && !["--unit", "--e2e"].includes(arg));

/** Test files under the folders whose path contains one of the filters. */
function testFiles(folders, pattern) {
  return folders
    .filter((folder) => existsSync(at(folder)))
    .flatMap((folder) => readdirSync(at(folder), { recursive: true }).map((name) => `${folder}/${name}`))
    .filter((path) => pattern.test(path) && (filters.length === 0 || filters.some((f) => path.includes(f))));
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return null;
  }
}

/** @returns {{ passed: number, failed: number, skipped: number }} */
function vitestCounts(report) {
  if (!report) return { passed: 0, failed: 1, skipped: 0 };
  // A file that could not be loaded has no tests to count.
  const broken = report.testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  ).length;
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

function playwrightCounts(report) {
  if (!report) return { passed: 0, failed: 1, skipped: 0 };
  const { expected, flaky, unexpected, skipped } = report.stats;
  const broken = unexpected === 0 && report.errors.length > 0 ? 1 : 0;
  return { passed: expected + flaky, failed: unexpected + broken, skipped };
}

const line = (name, { passed, failed, skipped }) =>
  `${name}: ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;

async function runVitest(files) {
  if (files.length === 0) return null;
  const json = at("test-results", "vitest.json");
  const code = await runInForeground(
    process.execPath,
    [
      at("node_modules", "vitest", "vitest.mjs"),
      "run",
      ...filters,
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${json}`,
    ],
    { timeoutMs: VITEST_MS },
  );
  return { code, ...vitestCounts(readJson(json)) };
}

async function runPlaywright(files, browser) {
  if (files.length === 0) return null;
  const json = at("test-results", "playwright.json");
  const code = await runInForeground(
    process.execPath,
    [at("node_modules", "@playwright", "test", "cli.js"), "test", ...filters],
    { timeoutMs: PLAYWRIGHT_MS, env: { PLAYWRIGHT_JSON_OUTPUT_FILE: json, GANGWAY_CHROMIUM: browser } },
  );
  return { code, ...playwrightCounts(readJson(json)) };
}

/** The browser and the programs that tests compare against; each missing one is named. */
async function equip(progress, needBrowser) {
  const missing = [];
  if (needBrowser && !findBrowser()) missing.push("chromium", "fonts-dejavu-core");
  if (!which("coap-client") && !which("coap-client-openssl")) missing.push("libcoap3-bin");
  if (!which("openssl")) missing.push("openssl");
  if (missing.length > 0 && !(await installPackages(progress, missing)))
    progress.say(`not installed: ${missing.join(", ")}; tests that need them are skipped`);
}

/** What is set for a running Gangway must not reach the instances that tests start. */
function forgetSettings() {
  const ours = ["GANGWAY_CHROMIUM", "GANGWAY_TEST_WORKERS"];
  for (const name of Object.keys(process.env)) {
    const setting = name.startsWith("GANGWAY_") || name === "PORT" || name === "DATABASE_URL";
    if (setting && !ours.includes(name)) delete process.env[name];
  }
}

checkNode();
main(async () => {
  if (unknown.length > 0) throw new StepError(`npm test knows --unit and --e2e, not ${unknown.join(" ")}.`);
  forgetSettings();
  const progress = new Progress();
  const unit = !args.includes("--e2e");
  const e2e = !args.includes("--unit");
  const unitFiles = unit
    ? testFiles(["tests/unit", "tests/interop", "tests/fuzz", "tests/simulation"], /\.test\.tsx?$/)
    : [];
  const e2eFiles = e2e ? testFiles(["tests/e2e"], /\.(spec|test)\.tsx?$/) : [];
  if (unitFiles.length + e2eFiles.length === 0) throw new StepError("No test matches.");

  await prepare(progress);
  await equip(progress, e2eFiles.length > 0);
  rmSync(RESULTS, { recursive: true, force: true });
  mkdirSync(RESULTS, { recursive: true });

  const browser = findBrowser();
  const outcomes = [["vitest", await runVitest(unitFiles)]];
  if (e2eFiles.length > 0 && !browser) {
    console.log("\nNo Chromium was found or could be installed, so the tests in a browser did not run.");
    console.log("Install Chromium, name one in GANGWAY_CHROMIUM, or run the others with: npm test -- --unit");
    outcomes.push(["playwright", { code: 1, passed: 0, failed: 0, skipped: e2eFiles.length }]);
  } else {
    outcomes.push(["playwright", await runPlaywright(e2eFiles, browser)]);
  }

  console.log("");
  let good = true;
  for (const [name, outcome] of outcomes) {
    if (!outcome) continue;
    if (outcome.code === 124) console.log(`${name} took too long and was stopped.`);
    console.log(line(name, outcome));
    good &&= outcome.code === 0 && outcome.failed === 0 && outcome.passed > 0;
  }
  process.exit(good ? 0 : 1);
});
