import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { at } from "./project.mjs";

const FILE = at("build", ".lock");

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Runs `work` while no other command of this clone installs or builds. */
export async function withLock(progress, work) {
  mkdirSync(at("build"), { recursive: true });
  for (let told = false; ; ) {
    try {
      writeFileSync(FILE, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    let holder = Number.NaN;
    try {
      holder = Number(readFileSync(FILE, "utf8"));
    } catch {
      continue;
    }
    if (holder > 0 && !alive(holder)) {
      rmSync(FILE, { force: true });
      continue;
    }
    if (!told) progress.say(`waiting for process ${holder}, which is preparing the same folder`);
    told = true;
    await sleep(200);
  }
  const release = () => rmSync(FILE, { force: true });
  process.once("exit", release);
  try {
    return await work();
  } finally {
    release();
    process.off("exit", release);
  }
}
