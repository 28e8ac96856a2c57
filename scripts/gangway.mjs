// The command line: npm run --silent gangway -- help
// Nothing but the command's own output may reach stdout: scripts read it.
import { pathToFileURL } from "node:url";
import { prepare } from "./lib/prepare.mjs";
import { main, Progress } from "./lib/progress.mjs";
import { at, checkNode } from "./lib/project.mjs";

checkNode();
main(async () => {
  await prepare(new Progress(process.stderr, { quiet: true }), { upTo: "bundles" });
  const cli = at("build", "cli.js");
  process.setSourceMapsEnabled(true);
  process.argv[1] = cli;
  await import(pathToFileURL(cli).href);
});
