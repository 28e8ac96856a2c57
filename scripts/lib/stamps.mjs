import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { at, root } from "./project.mjs";

const FOLDER = at("build", ".stamps");

/** SHA-256 over names and contents of files and folders; what does not exist counts as absent. */
export function hashOf(paths, { except = [] } = {}) {
  const hash = createHash("sha256");
  const skip = new Set(except.map((path) => at(path)));
  const visit = (path) => {
    if (skip.has(path)) return;
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) return;
    if (stat.isDirectory()) {
      for (const name of readdirSync(path).sort()) visit(join(path, name));
    } else if (stat.isFile()) {
      const content = readFileSync(path);
      hash.update(`${relative(root, path).split(sep).join("/")}\0${content.length}\0`).update(content);
    }
  };
  for (const path of paths) visit(at(path));
  return hash.digest("hex");
}

/** Whether a step ran with exactly these inputs and what it made is still there. */
export function isDone(name, hash, outputs) {
  const file = join(FOLDER, name);
  return (
    existsSync(file) && readFileSync(file, "utf8") === hash && outputs.every((path) => existsSync(at(path)))
  );
}

/** Remembers the inputs of a step that went well. */
export function markDone(name, hash) {
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, name), hash);
}

/** Forgets a step, so that an interrupted one is not taken for done. */
export function markUndone(name) {
  rmSync(join(FOLDER, name), { force: true });
}
