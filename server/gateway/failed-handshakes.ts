import type { HandshakeFailure } from "@/server/transport";
import { formatAddress } from "./admission";
import type { Timeline } from "./timeline";
import type { TrustBook } from "./trust";

type Service = "bootstrap" | "lwm2m";

/** Notes a handshake that failed, as a person can use it: whose certificate it was, and what would help. */
export function noteFailedHandshake(
  timeline: Timeline,
  trust: TrustBook,
  service: Service,
  failure: HandshakeFailure,
): void {
  const { remote, transport, alert, message, chain } = failure;
  const about = trust.describe(chain);
  timeline.knock("handshake.failed", `${service} ${remote.address} ${message} ${about?.fingerprint ?? ""}`, {
    accountId: about?.accountId ?? null,
    deviceId: null,
    data: {
      address: formatAddress({ remote }),
      transport,
      service,
      reason: message,
      ...(alert && { alert }),
      ...(about && { subject: about.subject, issuer: about.issuer, fingerprint: about.fingerprint }),
      ...(about?.caId && { trustedCertificateId: about.caId }),
      ...(about?.commonName && { endpointName: about.commonName }),
      ...hint(failure, service),
    },
  });
}

function hint({ alert, alertBy }: HandshakeFailure, service: Service): { hint?: string } {
  switch (alert) {
    case "unknown_ca":
      return alertBy === "peer"
        ? { hint: "The device does not trust this server: put the server CA of this instance into it." }
        : {
            hint:
              service === "bootstrap"
                ? "Make a developer certificate, or add the CA that signed this one to the trusted certificates."
                : "This port takes LwM2M certificates issued at bootstrap: let the device bootstrap first.",
          };
    case "certificate_expired":
      return {
        hint: alertBy === "peer" ? "Check the clock of the device." : "Give the device a new certificate.",
      };
    case "handshake_failure":
      return {
        hint: "Use TLS 1.2 with ECDHE-ECDSA and AES-128-GCM, AES-128-CCM or AES-128-CCM_8 on curve P-256.",
      };
    default:
      return {};
  }
}
