import { createInterface } from "node:readline";

const LEVELS = { 40: "warning", 50: "error", 60: "fatal" };
const KNOWN = new Set(["level", "time", "name", "msg", "err", "pid", "hostname"]);

/** A log line of one of the processes for a person at a terminal; what is no log line stays as it is. */
export function formatLogLine(line) {
  let entry;
  try {
    entry = JSON.parse(line);
  } catch {
    return line;
  }
  if (typeof entry?.level !== "number" || typeof entry.time !== "number") return line;
  const time = new Date(entry.time).toTimeString().slice(0, 8);
  const level = LEVELS[entry.level] ? `${LEVELS[entry.level]}: ` : "";
  const facts = Object.entries(entry)
    .filter(([key]) => !KNOWN.has(key))
    .map(([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("");
  const stack = entry.err?.stack ? `\n${entry.err.stack}` : "";
  return `${time} ${String(entry.name ?? "").padEnd(8)} ${level}${entry.msg ?? entry.err?.message ?? ""}${facts}${stack}`;
}

/** Shows the log of a process in words. */
export function showLog(stream, out) {
  createInterface({ input: stream }).on("line", (line) => out.write(`${formatLogLine(line)}\n`));
}
