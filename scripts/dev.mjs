// Both processes from source, started again when the server's code changes; pages by Next's own reload: npm run dev
import { watch } from "node:fs";
import { awaitPredecessor } from "./lib/predecessor.mjs";
import { prepare } from "./lib/prepare.mjs";
import { main, Progress } from "./lib/progress.mjs";
import { at, checkNode } from "./lib/project.mjs";
import { run } from "./lib/run.mjs";
import { supervise } from "./lib/supervise.mjs";

const ENV = { NODE_ENV: "development", NEXT_TELEMETRY_DISABLED: "1" };
const SETTLE_MS = 150;
const NAMES = ["gateway", "portal"];

checkNode();
main(async () => {
  const progress = new Progress();
  await prepare(progress, { upTo: "bundles" });
  await awaitPredecessor(progress, NAMES);
  await progress.step("bringing the database up to date", () =>
    run(process.execPath, [at("build", "cli.js"), "migrate"], { env: ENV, what: "gangway migrate" }),
  );
  const service = supervise(
    NAMES.map((name) => ({
      name,
      args: ["--import", "tsx", at("server", `${name}.ts`), "--dev"],
      env: ENV,
    })),
    {
      say: (line) => console.error(`gangway: ${line}`),
      onready: (lines) =>
        console.log(
          ["", "Gangway is ready (development).", "", ...lines, "", "Stop it with Ctrl-C.", ""].join("\n"),
        ),
    },
  );
  let settle;
  watch(at("server"), { recursive: true }, (_event, file) => {
    if (!/\.(ts|json)$/.test(file ?? "")) return;
    clearTimeout(settle);
    settle = setTimeout(() => {
      console.error(`gangway: ${file} changed; starting again`);
      service.restart();
    }, SETTLE_MS);
  });
  process.exit(await service.finished);
});
