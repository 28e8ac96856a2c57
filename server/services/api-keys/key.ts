import { createHash, randomInt } from "node:crypto";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const SECRET_LENGTH = 32;

/** How the two kinds of keys begin: API keys, and access keys of applications. */
type Kind = "ak_1" | "ak_2";

/** A new key in Pelion's form: its kind, the account's id in base64, the key's id, and 190 random bits. */
export function makeKey(
  accountId: string,
  keyId: string,
  kind: Kind = "ak_1",
): { key: string; prefix: string; hash: string } {
  // Base64 of hexadecimal characters holds neither "+" nor "/", so the key can be a WebSocket subprotocol.
  const prefix = `${kind}${Buffer.from(accountId).toString("base64").replaceAll("=", "")}${keyId}`;
  const secret = Array.from({ length: SECRET_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join("");
  const key = prefix + secret;
  return { key, prefix, hash: hashKey(key) };
}

/** How a key is kept: it is random enough for a fast hash. */
export const hashKey = (key: string): string => createHash("sha256").update(key).digest("hex");

export const keyPattern = /^ak_[12][A-Za-z0-9]{43}[0-9a-f]{32}[A-Za-z0-9]{32}$/;
