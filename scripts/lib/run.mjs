import { spawn } from "node:child_process";
import { StepError } from "./progress.mjs";
import { onParentGone, root } from "./project.mjs";

const TAIL = 6000;

/** Runs a program to its end and returns what it wrote; its last words become the error when it fails. */
export function run(command, args, { env = {}, cwd = root, what = command, shell = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      shell,
    });
    // Nothing that was started here outlives this process.
    const end = () => child.kill();
    process.once("exit", end);
    let output = "";
    const take = (chunk) => {
      output += chunk;
      if (output.length > 4 * TAIL) output = output.slice(-2 * TAIL);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", (error) => reject(new StepError(`${what} could not start: ${error.message}`)));
    child.on("close", (code, signal) => {
      process.off("exit", end);
      if (code === 0) resolve(output);
      else
        reject(
          new StepError(`${what} failed (${signal ?? `exit code ${code}`}):\n${output.slice(-TAIL).trim()}`),
        );
    });
  });
}

/** Runs a program with this terminal; resolves to its exit code, 124 when it took longer than allowed. */
export function runInForeground(command, args, { env = {}, cwd = root, timeoutMs, stdio = "inherit" } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio });
    let late = false;
    let last;
    const stop = (signal) => child.kill(signal);
    const timer = timeoutMs
      ? setTimeout(() => {
          late = true;
          stop("SIGTERM");
          last = setTimeout(() => stop("SIGKILL"), 5_000);
        }, timeoutMs)
      : undefined;
    // A terminal sends Ctrl-C to the child as well: wait for it instead of leaving it behind.
    const ignore = () => {};
    const terminate = () => stop("SIGTERM");
    process.on("SIGINT", ignore);
    process.on("SIGTERM", terminate);
    const unwatch = onParentGone(terminate);
    const done = () => {
      clearTimeout(timer);
      clearTimeout(last);
      process.off("SIGINT", ignore);
      process.off("SIGTERM", terminate);
      unwatch();
    };
    child.on("error", (error) => {
      done();
      reject(error);
    });
    child.on("exit", (code, signal) => {
      done();
      resolve(late ? 124 : (code ?? (signal ? 128 : 1)));
    });
  });
}
