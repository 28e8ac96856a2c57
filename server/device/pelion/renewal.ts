/** Results of a certificate renewal, which the client sends as decimal text. */
export const RenewalResult = {
  success: 0,
  notFound: 1284,
  malformed: 1286,
  enrolment: 1287,
  forbidden: 1294,
} as const;

/** The certificates by the names they have in a renewal. */
export const LWM2M_CERTIFICATE = "LWM2M";
export const FORBIDDEN_CERTIFICATES = ["mbed.BootstrapDeviceCert", "mbed.BootstrapDevicePrivateKey"];

const TYPE_NAME = 1;

/** Reads `00 01 | length | name NUL`; null when it is something else. Unknown entries that may be skipped are. */
export function readRenewal(payload: Uint8Array): string | null {
  const bytes = Buffer.from(payload);
  for (let at = 0; at + 4 <= bytes.length; ) {
    const type = bytes.readUInt16BE(at);
    const end = at + 4 + bytes.readUInt16BE(at + 2);
    if (end > bytes.length) return null;
    if ((type & 0x7fff) === TYPE_NAME) {
      const name = bytes.toString("utf8", at + 4, end);
      return name.length > 1 && name.endsWith("\0") ? name.slice(0, -1) : null;
    }
    // The top bit says that nobody has to know the entry.
    if ((type & 0x8000) === 0) return null;
    at = end;
  }
  return null;
}
