import { createPublicKey, verify } from "node:crypto";
import * as der from "./der";
import { type Name, readName } from "./names";
import { OID } from "./parse";

/** What a certificate signing request asks for; its signature, so the possession of the key, is checked. */
export interface CertificateRequest {
  subject: Name;
  /** SubjectPublicKeyInfo, DER. */
  publicKey: Uint8Array;
}

/** Reads a PKCS#10 request [RFC2986 §4] signed with ECDSA and SHA-256; throws DerError, in words. */
export function parseCertificateRequest(bytes: Uint8Array): CertificateRequest {
  const whole = der.readElement(bytes, "certificate request");
  if (whole.tag !== der.TAG.sequence) throw new der.DerError("certificate request: not a sequence");
  const outer = new der.Reader(whole.content, "certificate request");
  const info = outer.next(der.TAG.sequence, "request info");
  const algorithm = der.readOid(outer.into(der.TAG.sequence, "signature algorithm").next(der.TAG.oid));
  const signature = outer.next(der.TAG.bitString, "signature").content;
  outer.end();
  if (algorithm !== OID.ecdsaWithSha256)
    throw new der.DerError("certificate request: not signed with ECDSA and SHA-256");
  const fields = new der.Reader(info.content, "request info");
  fields.next(der.TAG.integer, "version");
  const { name: subject } = readName(fields.next(der.TAG.sequence, "subject").bytes);
  const publicKey = fields.next(der.TAG.sequence, "public key").bytes;
  if (!isSigned(info.bytes, signature, publicKey))
    throw new der.DerError("certificate request: it was not signed with the key it asks for");
  return { subject, publicKey };
}

function isSigned(info: Uint8Array, signature: Buffer, publicKey: Buffer): boolean {
  // A bit string begins with the number of unused bits.
  if (signature[0] !== 0) return false;
  try {
    return verify(
      "sha256",
      info,
      createPublicKey({ key: publicKey, format: "der", type: "spki" }),
      signature.subarray(1),
    );
  } catch {
    return false;
  }
}
