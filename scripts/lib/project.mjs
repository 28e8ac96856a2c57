import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the clone. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A path inside the clone. */
export const at = (...parts) => join(root, ...parts);

const MINIMUM = [20, 19];

/** Ends the process with words when Node.js is too old to run the rest. */
export function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > MINIMUM[0] || (major === MINIMUM[0] && minor >= MINIMUM[1])) return;
  process.stderr.write(
    `Gangway needs Node.js ${MINIMUM.join(".")} or later; this is ${process.versions.node}.\n` +
      "Install a current version from https://nodejs.org and try again.\n",
  );
  process.exit(1);
}

const parent = process.ppid;

/** Calls `run` when npm, which started this process, is gone without a signal; returns how to stop watching. */
export function onParentGone(run) {
  if (!process.env.npm_lifecycle_event) return () => {};
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    run();
  }, 250);
  timer.unref();
  return () => clearInterval(timer);
}
