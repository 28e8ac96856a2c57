import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";

/** Resolves with the lines that a process of ours shows when it is ready. */
export function ready(child: ChildProcess): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    child.on("message", (message: { type: string; lines?: string[]; message?: string }) => {
      if (message.type === "ready") resolve(message.lines ?? []);
      else if (message.type === "failed") reject(new Error(message.message));
    });
    child.once("exit", (code) => reject(new Error(`The process ended with ${code}.`)));
  });
}

/** Ends a process; resolves when it is gone. */
export async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once("exit", done));
  child.kill(signal);
  await gone;
}

/** Seconds of processor time that a process has used. */
export function cpuSeconds(child: ChildProcess): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
