import { randomView } from "../transport/random";
import { asBuffer } from "./message";

const TOKEN_BYTES = 8;

/** Eight bytes nobody can guess [RFC7252 §5.3.1]. */
export function randomToken(): Buffer {
  return Buffer.from(randomView(TOKEN_BYTES));
}

/** A token as people read it and maps key it. */
export function tokenKey(token: Uint8Array): string {
  return asBuffer(token).toString("hex");
}
