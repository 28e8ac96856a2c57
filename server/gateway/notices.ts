import { newId } from "@/server/services/ids";
import type { NotificationBodies } from "@/server/services/notifications/types";
import type { DeviceFacts, LiveRegistration } from "./directory";
import type { Structure } from "./structures";

/**
 * JSON of what is told of a registration or an update. The resources come as the text that many devices share: of a
 * long list it is most of the work.
 */
export function registrationNotice(
  registration: LiveRegistration,
  { endpointType }: Pick<DeviceFacts, "endpointType">,
  structure: Structure,
  at: number,
): string {
  const facts: Omit<NotificationBodies["registrations"], "resources"> = {
    uid: newId(at),
    timestamp: at,
    ep: registration.deviceId,
    "original-ep": registration.endpointName,
    ept: endpointType,
    q: registration.queueMode === 1,
  };
  return `${JSON.stringify(facts).slice(0, -1)},"resources":${structure.json}}`;
}

/** JSON of what is told of a deregistration or expiry. */
export function endNotice(
  { deviceId, endpointName }: Pick<LiveRegistration, "deviceId" | "endpointName">,
  at: number,
): string {
  const notice: NotificationBodies["de-registrations"] = {
    uid: newId(at),
    timestamp: at,
    ep: deviceId,
    "original-ep": endpointName,
  };
  return JSON.stringify(notice);
}
