import { createHash } from "node:crypto";
import { lstatSync, mkdirSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/** sun_path holds 104 bytes on macOS and 108 on Linux, with the terminating zero. */
const MAX_SOCKET_PATH = 100;

/** Where the two processes of one data folder meet. */
export function busPath(config: { dataDir: string }, platform: NodeJS.Platform = process.platform): string {
  const name = createHash("sha256").update(config.dataDir).digest("hex").slice(0, 16);
  if (platform === "win32") return `\\\\.\\pipe\\gangway-${name}`;
  const path = join(config.dataDir, "bus.sock");
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return path;
  return join(privateTemporaryFolder(), `${name}.sock`);
}

function privateTemporaryFolder(): string {
  const { uid } = userInfo();
  const folder = join(tmpdir(), `gangway-${uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const facts = lstatSync(folder);
  // The temporary folder is everybody's: somebody else may have made this name first.
  if (!facts.isDirectory() || facts.uid !== uid || (facts.mode & 0o077) !== 0)
    throw new Error(`${folder} must be a folder of this user with mode 0700.`);
  return folder;
}
