import type { Clock } from "@/server/clock";
import { HOLD_COUNT, HOLD_MS, HOLD_WINDOW_MS, HoldKeeper } from "@/server/services/registrations/hold";
import type { Peer } from "@/server/transport";
import { SUSPENDED } from "../admission";
import type { DeviceFacts, Directory, LiveRegistration } from "../directory";
import { type GatewayIdentity, identityOf } from "../identity";
import type { Timeline } from "../timeline";

export interface PolicyParts {
  clock: Clock;
  directory: Directory;
  timeline: Timeline;
  /** Whether this trusted certificate still counts. */
  trusts(caId: string): boolean;
}

/** Who may be registered, and with which registration a peer may do something. */
export class RegistrationPolicy {
  readonly #holds = new HoldKeeper();

  constructor(private readonly parts: PolicyParts) {}

  /** Why a device may not be registered, or null. */
  forbidden({ suspended, secured, caId }: DeviceFacts): string | null {
    if (suspended) return SUSPENDED;
    if (secured && !(caId && this.parts.trusts(caId)))
      return "The certificate it came in by is no longer trusted.";
    return null;
  }

  /** Why a device may not register with its LwM2M certificate, or null. */
  refused(
    device: DeviceFacts,
    identity: GatewayIdentity & { kind: "lwm2m" },
    endpointName: string | null,
  ): string | null {
    const { commonName } = identity;
    if (device.accountId !== identity.accountId) return NOT_IN_DIRECTORY;
    const expired = this.#expired(identity);
    if (expired) return expired;
    if (endpointName !== null && endpointName !== commonName)
      return `It calls itself ${endpointName.slice(0, 80)}, but its certificate is for ${commonName}.`;
    return (
      this.forbidden(device) ??
      (device.rebootstrapPending ? "The device was asked to bootstrap again." : null)
    );
  }

  /** Counts a Register or Update; seconds to wait where there were too many. */
  hold(device: DeviceFacts): number | null {
    const pacing = this.#holds.count(device.id, this.parts.clock.now());
    if (!pacing.held) return null;
    if (pacing.first)
      this.parts.timeline.note("registration.held", {
        accountId: device.accountId,
        deviceId: device.id,
        data: { requests: HOLD_COUNT + 1, windowSeconds: HOLD_WINDOW_MS / 1000, holdSeconds: HOLD_MS / 1000 },
      });
    return Math.ceil(pacing.retryAfterMs / 1000);
  }

  /** Forgets holds that are over. */
  sweep(): void {
    this.#holds.sweep(this.parts.clock.now());
  }

  /** The registration behind a location, if it is this peer's; what belongs to others looks as if it were not there. */
  find(peer: Peer, location: string): { registration: LiveRegistration; device: DeviceFacts } | null {
    const { directory } = this.parts;
    const registration = directory.registration(location);
    const device = registration && directory.byId(registration.deviceId);
    if (!registration || !device || registration.expiresAt <= this.parts.clock.now()) return null;
    const identity = identityOf(peer);
    if (!identity) return device.secured ? null : { registration, device };
    const owner =
      identity.kind === "lwm2m"
        ? identity.deviceId === device.id
        : identity.caId === device.caId && `ep:${identity.commonName}` === device.identity;
    if (!owner || identity.accountId !== device.accountId || this.#expired(identity)) return null;
    return { registration, device };
  }

  /** The registration of whoever is at the other end. */
  ofPeer(peer: Peer): LiveRegistration | undefined {
    const { directory, clock } = this.parts;
    const identity = identityOf(peer);
    if (identity?.kind === "lwm2m") {
      const registration = directory.registrationOf(identity.deviceId);
      return registration && registration.expiresAt > clock.now() ? registration : undefined;
    }
    for (const registration of directory.registrations()) if (registration.peer === peer) return registration;
    return undefined;
  }

  /** A session can outlive the certificate it was opened with. */
  #expired(identity: GatewayIdentity): string | null {
    if (identity.notAfter > this.parts.clock.now()) return null;
    return `Its LwM2M certificate expired on ${new Date(identity.notAfter).toISOString().slice(0, 10)}: it has to bootstrap again.`;
  }
}

export const NOT_IN_DIRECTORY = "The device is not in the directory (any more): it has to bootstrap again.";
