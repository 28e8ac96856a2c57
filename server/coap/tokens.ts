import { randomFillSync } from "node:crypto";
import { asBuffer } from "./message";

const TOKEN_BYTES = 8;
const pool = Buffer.alloc(TOKEN_BYTES * 256);
let used = pool.length;

/** Eight bytes nobody can guess [RFC7252 §5.3.1], drawn from the system's generator in batches. */
export function randomToken(): Buffer {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const token = Buffer.alloc(TOKEN_BYTES);
  pool.copy(token, 0, used);
  used += TOKEN_BYTES;
  return token;
}

/** A token as people read it and maps key it. */
export function tokenKey(token: Uint8Array): string {
  return asBuffer(token).toString("hex");
}
