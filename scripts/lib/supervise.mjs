import { spawn } from "node:child_process";
import { showLog } from "./log-lines.mjs";
import { onParentGone, root } from "./project.mjs";

const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 30_000;
/** A process that ran this long starts again without delay. */
const STEADY_MS = 60_000;
const STOP_MS = 10_000;

/**
 * Starts processes and keeps them running until a signal comes: a crashed one is started again, at once and then
 * ever later. One that cannot start the first time ends everything. Each sends {type: "ready", lines} over its
 * IPC channel when it serves, and ends by itself when that channel closes.
 *
 * @param specs [{ name, args, env }]: the arguments of node for each process
 * @param onready called once with the lines of all processes in their order
 * @returns { finished: Promise<exit code>, restart(): void }
 */
export function supervise(specs, { onready, say }) {
  const processes = specs.map((spec) => ({
    spec,
    child: null,
    lines: null,
    failures: 0,
    since: 0,
    timer: null,
  }));
  let stopping = false;
  let announced = false;
  let exitCode = 0;
  let finish;
  const finished = new Promise((resolve) => {
    finish = resolve;
  });

  const start = (p) => {
    const started = Date.now();
    p.since = started;
    let complaint = null;
    const child = spawn(process.execPath, p.spec.args, {
      cwd: root,
      env: { ...process.env, ...p.spec.env },
      // A person gets the log in words, a file or a log collector gets the JSON lines as they are.
      stdio: ["ignore", process.stdout.isTTY ? "pipe" : "inherit", "inherit", "ipc"],
    });
    if (child.stdout) showLog(child.stdout, process.stdout);
    p.child = child;
    child.on("message", (message) => {
      if (message?.type === "ready") {
        const first = p.lines === null;
        p.lines = message.lines ?? [];
        if (first) announce();
        else say(`${p.spec.name} is back after ${((Date.now() - started) / 1000).toFixed(1)} s`);
      } else if (message?.type === "failed") {
        complaint = message.message;
      }
    });
    let gone = false;
    const onend = (how) => {
      if (gone) return;
      gone = true;
      p.child = null;
      if (stopping) return ended();
      if (p.restarting) {
        p.restarting = false;
        return start(p);
      }
      if (complaint) say(`${p.spec.name}: ${complaint}`);
      // Killed from outside is bad luck; failing by itself before it ever served will not heal.
      if (p.lines === null && how.signal === null) {
        if (!complaint) say(`${p.spec.name} could not start (${how.text}).`);
        exitCode = 1;
        return stop();
      }
      p.failures = Date.now() - p.since > STEADY_MS ? 0 : p.failures;
      const delay = Math.min(FIRST_DELAY_MS * 4 ** p.failures, MAX_DELAY_MS);
      p.failures += 1;
      say(`${p.spec.name} ended (${how.text}); starting it again in ${delay / 1000} s`);
      p.timer = setTimeout(() => start(p), delay);
    };
    child.on("error", (error) => onend({ signal: null, text: error.message }));
    child.on("exit", (code, signal) => onend({ signal, text: signal ?? `exit code ${code}` }));
  };

  const announce = () => {
    if (announced || stopping || processes.some((p) => p.lines === null)) return;
    announced = true;
    onready(processes.flatMap((p) => p.lines));
  };

  const ended = () => {
    if (processes.every((p) => p.child === null)) finish(exitCode);
  };

  const stop = () => {
    if (stopping) return;
    stopping = true;
    for (const p of processes) {
      clearTimeout(p.timer);
      p.child?.kill("SIGTERM");
    }
    setTimeout(() => {
      for (const p of processes) {
        if (!p.child) continue;
        say(`${p.spec.name} does not end; killing it`);
        exitCode = 1;
        p.child.kill("SIGKILL");
      }
    }, STOP_MS).unref();
    ended();
  };

  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  process.on("SIGHUP", stop);
  onParentGone(stop);
  for (const p of processes) start(p);

  return {
    finished,
    /** Ends every process and starts it with the code as it is now. */
    restart() {
      for (const p of processes) {
        clearTimeout(p.timer);
        p.failures = 0;
        if (!p.child) start(p);
        else {
          p.restarting = true;
          p.child.kill("SIGTERM");
        }
      }
    },
  };
}
