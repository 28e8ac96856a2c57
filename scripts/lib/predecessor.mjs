import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StepError } from "./progress.mjs";
import { root } from "./project.mjs";

const WAIT_MS = 10_000;

/** The process of a pid file, null when it is gone or the number is somebody else's now. */
function runningPid(file, name) {
  const pid = existsSync(file) ? Number.parseInt(readFileSync(file, "utf8"), 10) : 0;
  if (!(pid > 0)) return null;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code === "ESRCH") return null;
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(name) ? pid : null;
  } catch {
    return existsSync("/proc") ? null : pid;
  }
}

/** Waits until the processes that last used the data folder have ended: a stop may still be under way. */
export async function awaitPredecessor(progress, names) {
  const data = resolve(root, process.env.GANGWAY_DATA || "data");
  const find = () =>
    names.map((name) => runningPid(join(data, `${name}.pid`), name)).find((pid) => pid !== null);
  const first = find();
  if (first === undefined) return;
  progress.say(`process ${first} still uses ${data}; waiting for it to end`);
  for (const until = Date.now() + WAIT_MS; Date.now() < until; await sleep(100)) {
    if (find() === undefined) return;
  }
  throw new StepError(
    `Another Gangway (process ${find()}) uses the data folder ${data}:\n` +
      "stop it, or set GANGWAY_DATA to a folder of its own.",
  );
}
