import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config";
import type { Vault } from "../services/context";

const VERSION = 1;
const SALT_BYTES = 16;
const TAG_BYTES = 16;

/** Something sealed cannot be opened: another secret, another purpose, or changed bytes. */
export class VaultError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "VaultError";
  }
}

/** Seals secrets at rest with GANGWAY_SECRET, or else with the file `secret` in the data folder, made at first use. */
export function createVault(config: Pick<Config, "secret" | "dataDir">): Vault {
  return vaultOf(config.secret ?? readOrMakeSecret(join(config.dataDir, "secret")));
}

/** AES-256-GCM; each seal has a key and nonce of its own, so that their number has no limit that matters. */
function vaultOf(secret: string): Vault {
  const root = Buffer.from(hkdfSync("sha256", secret, "gangway", "vault", 32));
  const keyAndNonce = (salt: Uint8Array, purpose: string) => {
    const derived = createHmac("sha512", root).update(salt).update(purpose).digest();
    return { key: derived.subarray(0, 32), nonce: derived.subarray(32, 44) };
  };
  return {
    seal(plain, purpose) {
      const salt = randomBytes(SALT_BYTES);
      const { key, nonce } = keyAndNonce(salt, purpose);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(purpose));
      return Buffer.concat([
        Buffer.of(VERSION),
        salt,
        cipher.update(plain),
        cipher.final(),
        cipher.getAuthTag(),
      ]);
    },
    open(sealed, purpose) {
      if (sealed[0] !== VERSION || sealed.length < 1 + SALT_BYTES + TAG_BYTES)
        throw new VaultError(`The sealed ${purpose} is damaged.`);
      const { key, nonce } = keyAndNonce(sealed.subarray(1, 1 + SALT_BYTES), purpose);
      const decipher = createDecipheriv("aes-256-gcm", key, nonce)
        .setAAD(Buffer.from(purpose))
        .setAuthTag(sealed.subarray(-TAG_BYTES));
      try {
        return Buffer.concat([
          decipher.update(sealed.subarray(1 + SALT_BYTES, -TAG_BYTES)),
          decipher.final(),
        ]);
      } catch {
        throw new VaultError(
          `The sealed ${purpose} cannot be opened: GANGWAY_SECRET, or the file "secret" in the data folder, is not the one it was sealed with.`,
        );
      }
    },
  };
}

/** Reads the file, or makes it; two processes that start at once end up with the same one. */
function readOrMakeSecret(file: string): string {
  try {
    return readSecret(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  // Written aside and linked: the file is whole from the moment it has its name, and is never replaced.
  const draft = `${file}.${randomBytes(6).toString("hex")}`;
  const handle = openSync(draft, "wx", 0o600);
  try {
    writeSync(handle, `${randomBytes(32).toString("base64url")}\n`);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    unlinkSync(draft);
  }
  return readSecret(file);
}

function readSecret(file: string): string {
  const secret = readFileSync(file, "utf8").trim();
  if (secret.length < 16)
    throw new VaultError(`The file ${file} does not hold a secret: restore it from a backup.`);
  return secret;
}
