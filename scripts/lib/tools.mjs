import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "./run.mjs";

/** The path of a program, null when it is not there. */
export function which(program) {
  const names = process.platform === "win32" ? [`${program}.exe`, `${program}.cmd`] : [program];
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of names) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Look further.
      }
    }
  }
  return null;
}

const BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const MAC_BROWSERS = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** A Chromium to test with: GANGWAY_CHROMIUM, or one of the usual places. */
export function findBrowser() {
  const named = process.env.GANGWAY_CHROMIUM;
  if (named) return existsSync(named) ? named : null;
  for (const name of BROWSERS) {
    const path = which(name);
    if (path) return path;
  }
  return MAC_BROWSERS.find((path) => existsSync(path)) ?? null;
}

/** How packages can be installed without asking for a password; null when they cannot. */
async function packageManager() {
  const apt = which("apt-get");
  if (!apt) return null;
  if (process.getuid?.() === 0) return [apt];
  const sudo = which("sudo");
  if (!sudo) return null;
  try {
    await run(sudo, ["-n", "true"]);
    return [sudo, "-n", "DEBIAN_FRONTEND=noninteractive", apt];
  } catch {
    return null;
  }
}

/** Installs Debian packages; true when that worked. */
export async function installPackages(progress, packages) {
  const manager = await packageManager();
  if (!manager) return false;
  const [command, ...before] = manager;
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const apt = (...args) => run(command, [...before, ...args], { env, what: "apt-get" });
  const install = () => apt("install", "-y", "--no-install-recommends", ...packages);
  try {
    await progress.step(`installing ${packages.join(", ")}`, async () => {
      // Lists may be missing or old on a new machine.
      await install().catch(() => apt("update").then(install));
    });
    return true;
  } catch (error) {
    progress.say(error.message);
    return false;
  }
}
