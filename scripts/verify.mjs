// Format, lint, dependency rule and types, side by side, without a database: npm run verify
import { existsSync } from "node:fs";
import { prepare } from "./lib/prepare.mjs";
import { main, Progress, StepError } from "./lib/progress.mjs";
import { at, checkNode } from "./lib/project.mjs";
import { run } from "./lib/run.mjs";

const bin = (...parts) => at("node_modules", ...parts);

const CHECKS = [
  ["format and lint", bin("@biomejs", "biome", "bin", "biome"), ["check", "--error-on-warnings", "."]],
  [
    "dependency rule",
    bin("dependency-cruiser", "bin", "dependency-cruise.mjs"),
    ["--output-type", "err", ...["app", "components", "server"].filter((folder) => existsSync(at(folder)))],
  ],
  ["types", bin("typescript", "bin", "tsc"), ["--noEmit", "-p", "."]],
];

async function check([title, script, args]) {
  const started = performance.now();
  const error = await run(process.execPath, [script, ...args], { what: title }).then(
    () => null,
    (failure) => failure,
  );
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`  ${title}: ${error ? "failed" : "ok"} (${seconds} s)`);
  return error;
}

checkNode();
main(async () => {
  await prepare(new Progress(process.stdout, { quiet: true }), { upTo: "client" });
  if (existsSync(at("next.config.js")) && !existsSync(at("next-env.d.ts")))
    await run(process.execPath, [bin("next", "dist", "bin", "next"), "typegen"], {
      env: { NEXT_TELEMETRY_DISABLED: "1" },
      what: "next typegen",
    });
  const errors = (await Promise.all(CHECKS.map(check))).filter(Boolean);
  if (errors.length > 0) throw new StepError(errors.map((error) => error.message).join("\n\n"));
});
