import { endpointNameFault } from "../devices/endpoint-name";

/** How many devices one developer certificate carries. */
export const DEVELOPER_CERTIFICATE_DEVICES = 100;

/** The certificate a device came with to the bootstrap server, already verified. */
export interface EnrollmentCertificate {
  accountId: string;
  /** Id of the trusted certificate it rests on. */
  caId: string;
  /** A developer certificate is shared by many devices; any other belongs to one. */
  developer: boolean;
  commonName: string;
}

/** What a Bootstrap-Request says of its sender (LwM2M Core 1.1.1 §6.1.7.1, and Pelion's parameters). */
export interface EnrollmentRequest {
  endpointName: string | null;
  /** `aid`: the account the device was built for. */
  accountId: string | null;
  /** `iep`: the device ID it got before. */
  deviceId: string | null;
  /** True for a client that stores its device ID and sends it as `iep`: without one it is a new device. */
  keepsDeviceId: boolean;
  /** IP address it comes from. */
  address: string;
}

/** What the directory knows of a device, as far as the rules need it. */
export interface KnownDevice {
  id: string;
  accountId: string;
  identity: string;
  endpointName: string;
  caId: string | null;
  /** It came with a certificate at least once. */
  secured: boolean;
}

export interface EnrollmentDirectory {
  byId(id: string): KnownDevice | undefined;
  byIdentity(accountId: string, identity: string): KnownDevice | undefined;
  /** Devices that came in by this trusted certificate. */
  countByCa(caId: string): number;
  /** An entry made for a device that never got as far as credentials, at this certificate and address. */
  unfinished(caId: string, address: string): KnownDevice | undefined;
}

export type EnrollmentDecision =
  | { kind: "known"; device: KnownDevice; endpointName: string }
  | { kind: "new"; identity: (deviceId: string) => string; endpointName: string }
  | { kind: "refused"; message: string };

const refused = (message: string): EnrollmentDecision => ({ kind: "refused", message });

/**
 * Says which device stands behind a Bootstrap-Request, or why none does.
 *
 * The endpoint name is bound to the certificate [LwM2M-Transport 1.1.1 §5.2.6]: it is the common name, or, where
 * devices share a developer certificate, may extend it ("<common name>-kitchen"). So nobody can name a device that
 * came in by another certificate.
 */
export function decideEnrollment(
  certificate: EnrollmentCertificate,
  request: EnrollmentRequest,
  directory: EnrollmentDirectory,
): EnrollmentDecision {
  const { accountId, caId, commonName } = certificate;
  if (request.accountId !== null && request.accountId !== accountId)
    return refused(
      `The device was built for account ${clip(request.accountId)}, but its certificate belongs to another account.`,
    );

  const endpointName = request.endpointName ?? commonName;
  const fault = endpointNameFault(endpointName);
  if (fault) return refused(`The endpoint name ${fault}.`);
  if (!nameFits(endpointName, certificate))
    return refused(
      `The endpoint name ${clip(endpointName)} does not fit the certificate, whose common name is ${clip(commonName)}.`,
    );

  if (request.deviceId !== null) {
    const device = directory.byId(request.deviceId);
    if (device && device.accountId === accountId) {
      if (device.caId !== caId || (!certificate.developer && device.endpointName !== commonName))
        return refused(
          `It says it is device ${device.id}, but that device came in by another certificate. Delete that entry, or reset the device to factory settings.`,
        );
      return { kind: "known", device, endpointName };
    }
    // The entry is gone (deleted by its owner): it comes back as a new device.
  }

  const shared = certificate.developer && request.keepsDeviceId;
  if (!shared) {
    const device = directory.byIdentity(accountId, `ep:${endpointName}`);
    if (device) {
      // An entry made for a device that was never seen belongs to whichever certificate comes first.
      if (device.caId !== caId && (device.caId !== null || device.secured))
        return refused(
          `The endpoint name ${clip(endpointName)} belongs to device ${device.id}, which came in by another certificate.`,
        );
      return { kind: "known", device, endpointName };
    }
  }
  // Nobody knows the ID of an entry whose bootstrap broke off before credentials were sent: the device that comes back
  // without an ID may have it, and the directory does not fill with leftovers.
  const leftover = shared ? directory.unfinished(caId, request.address) : undefined;
  if (leftover) return { kind: "known", device: leftover, endpointName };
  if (certificate.developer && directory.countByCa(caId) >= DEVELOPER_CERTIFICATE_DEVICES)
    return refused(
      `The developer certificate already carries ${DEVELOPER_CERTIFICATE_DEVICES} devices. Delete devices that are no longer used, or make another certificate.`,
    );
  return {
    kind: "new",
    endpointName,
    identity: shared ? (deviceId) => `id:${deviceId}` : () => `ep:${endpointName}`,
  };
}

/**
 * The same for a device on plain CoAP, which can prove nothing: it is who it says it is, unless a device of that name
 * ever came with a certificate, for then somebody might pose as it.
 */
export function decideUnsecured(
  accountId: string,
  request: EnrollmentRequest,
  directory: EnrollmentDirectory,
): EnrollmentDecision {
  const { endpointName } = request;
  if (!endpointName) return refused("A device without transport security has to name itself (ep).");
  const fault = endpointNameFault(endpointName);
  if (fault) return refused(`The endpoint name ${fault}.`);
  const device = directory.byIdentity(accountId, `ep:${endpointName}`);
  if (device?.secured)
    return refused(
      `The endpoint name ${clip(endpointName)} belongs to device ${device.id}, which has a certificate: it has to come by coaps.`,
    );
  if (device) return { kind: "known", device, endpointName };
  return { kind: "new", endpointName, identity: () => `ep:${endpointName}` };
}

function nameFits(endpointName: string, { developer, commonName }: EnrollmentCertificate): boolean {
  if (endpointName === commonName) return true;
  return (
    developer &&
    endpointName.startsWith(commonName) &&
    /^[-._:]./u.test(endpointName.slice(commonName.length))
  );
}

const clip = (text: string) => (text.length > 80 ? `${text.slice(0, 80)}…` : text);
