import { z } from "zod";

/** "A-" and a SHA-256 fingerprint: pairs of hexadecimal digits with colons between. */
export const IDENTITY_PATTERN = "A-[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31}";
const IDENTITY = new RegExp(`^${IDENTITY_PATTERN}$`);

export const isEnrollmentIdentity = (text: string): boolean => IDENTITY.test(text);

export const NO_IDENTITY =
  "must be “A-” and the SHA-256 fingerprint of the device's certificate: 32 pairs of hexadecimal digits with colons between";

export const identityField = z.string().regex(IDENTITY, NO_IDENTITY);

/** The fingerprint in an identity, as it is kept: 64 hexadecimal digits. */
export const fingerprintOf = (identity: string): string =>
  identity.slice(2).replaceAll(":", "").toLowerCase();

/** The identity of a device whose certificate has this fingerprint. */
export const enrollmentIdentity = (fingerprint: string): string =>
  `A-${(fingerprint.toUpperCase().match(/../g) ?? []).join(":")}`;
