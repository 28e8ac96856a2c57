// From a clone to a running service: npm start
import { existsSync } from "node:fs";
import { awaitPredecessor } from "./lib/predecessor.mjs";
import { prepare } from "./lib/prepare.mjs";
import { main, Progress } from "./lib/progress.mjs";
import { at, checkNode } from "./lib/project.mjs";
import { run } from "./lib/run.mjs";
import { supervise } from "./lib/supervise.mjs";

const ENV = { NODE_ENV: "production", NEXT_TELEMETRY_DISABLED: "1" };
const NAMES = ["gateway", "portal"];

checkNode();
main(async () => {
  const progress = new Progress();
  console.log(`Gangway on Node.js ${process.versions.node}`);
  if (!existsSync(at("node_modules"))) progress.say("first start: this takes a few minutes");
  await prepare(progress);
  await awaitPredecessor(progress, NAMES);
  await progress.step("bringing the database up to date", () =>
    run(process.execPath, [at("build", "cli.js"), "migrate"], { env: ENV, what: "gangway migrate" }),
  );
  const service = supervise(
    NAMES.map((name) => ({
      name,
      args: ["--enable-source-maps", at("build", `${name}.js`)],
      env: ENV,
    })),
    {
      say: (line) => console.error(`gangway: ${line}`),
      onready: (lines) =>
        console.log(["", "Gangway is ready.", "", ...lines, "", "Stop it with Ctrl-C.", ""].join("\n")),
    },
  );
  process.exit(await service.finished);
});
