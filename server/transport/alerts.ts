import { Reason, type SslFault, VerifyError } from "./openssl";
import type { CertificateFault } from "./types";

/** Alerts by number [RFC5246 §7.2, RFC8446 §6]. */
const NAMES: Readonly<Record<number, string>> = {
  0: "close_notify",
  10: "unexpected_message",
  20: "bad_record_mac",
  21: "decryption_failed",
  22: "record_overflow",
  30: "decompression_failure",
  40: "handshake_failure",
  41: "no_certificate",
  42: "bad_certificate",
  43: "unsupported_certificate",
  44: "certificate_revoked",
  45: "certificate_expired",
  46: "certificate_unknown",
  47: "illegal_parameter",
  48: "unknown_ca",
  49: "access_denied",
  50: "decode_error",
  51: "decrypt_error",
  60: "export_restriction",
  70: "protocol_version",
  71: "insufficient_security",
  80: "internal_error",
  86: "inappropriate_fallback",
  90: "user_canceled",
  100: "no_renegotiation",
  109: "missing_extension",
  110: "unsupported_extension",
  112: "unrecognized_name",
  115: "unknown_psk_identity",
  116: "certificate_required",
  120: "no_application_protocol",
};

export const Alert = { closeNotify: 0, accessDenied: 49, internalError: 80, noRenegotiation: 100 } as const;
export const AlertLevel = { warning: 1, fatal: 2 } as const;

/** An alert's name, or its number where it has none. */
export function alertName(number: number): string {
  return NAMES[number] ?? `alert ${number}`;
}

/** What OpenSSL is told about a refused certificate, and the alert that this makes it send. */
export const FAULTS: Readonly<Record<CertificateFault, { error: number; alert: string }>> = {
  unknown_ca: { error: VerifyError.unknownCa, alert: "unknown_ca" },
  certificate_expired: { error: VerifyError.expired, alert: "certificate_expired" },
  // "expired or is not currently valid" [RFC5246 §7.2.2]
  certificate_not_yet_valid: { error: VerifyError.expired, alert: "certificate_expired" },
  certificate_revoked: { error: VerifyError.revoked, alert: "certificate_revoked" },
  bad_certificate: { error: VerifyError.rejected, alert: "bad_certificate" },
  // OpenSSL has no error for it: the alert record is changed on its way out where it is in the clear.
  access_denied: { error: VerifyError.rejected, alert: "access_denied" },
};

/** One sentence about a handshake that OpenSSL gave up. */
export function describeFault(fault: SslFault): string {
  if (fault.alertReceived !== null)
    return `The peer broke off with the alert ${alertName(fault.alertReceived)}.`;
  switch (fault.reason) {
    case Reason.noSharedCipher:
      return "The peer offers none of our cipher suites (ECDHE-ECDSA with AES-128 GCM, CCM or CCM_8).";
    case Reason.noSharedGroups:
      return "The peer offers none of our key exchange groups (P-256, X25519).";
    case Reason.peerSentNoCertificate:
      return "The peer sent no certificate.";
    case Reason.unsupportedProtocol:
    case Reason.wrongVersionNumber:
      return "The peer does not speak TLS 1.2 or later, or what it sent is not TLS.";
    case Reason.httpRequest:
      return "The peer sent a plain HTTP request.";
    case Reason.badSignature:
      return "The peer's signature does not fit its certificate: it does not hold the private key.";
    case Reason.badRecordMac:
      return "A record of the peer was not authentic.";
    default:
      return `The handshake failed: ${fault.text}.`;
  }
}
