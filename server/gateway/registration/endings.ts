import type { Entry } from "@/server/db";
import type { EventType } from "@/server/services/events/types";
import { endRegistration, removeRegistration } from "@/server/services/registrations/statements";
import type { LiveRegistration } from "../directory";

/** Why a registration ends other than by a newer one of its device. */
export type EndReason =
  /** The device says so [LwM2M-Core 1.1.1 §6.2.3]. */
  | "deregistered"
  /** It did not update within its lifetime. */
  | "expired"
  /** Its account or the instance does not let it be registered. */
  | "forbidden"
  /** It has a new account, with which it is to register. */
  | "bootstrapped";

interface Ending {
  /** What applications are told. */
  notice: "de-registrations" | "registrations-expired";
  /** What stands in the timeline; null: whoever ends it has a word of its own. */
  event: EventType | null;
  /** Who brings it about. */
  actor: "device" | "system";
  /** Whether what was asked of the device waits for its next registration. */
  keepsRequests: boolean;
  /** Whether the session ends too. */
  closesSession: boolean;
  rows(key: Parameters<typeof endRegistration>[0]): Entry[];
}

/** What follows from each reason. */
export const ENDINGS: Readonly<Record<EndReason, Ending>> = {
  deregistered: {
    notice: "de-registrations",
    event: "registration.deregistered",
    actor: "device",
    keepsRequests: false,
    closesSession: false,
    rows: endRegistration,
  },
  expired: {
    notice: "registrations-expired",
    event: "registration.expired",
    actor: "system",
    keepsRequests: false,
    closesSession: false,
    rows: endRegistration,
  },
  forbidden: {
    notice: "de-registrations",
    event: "registration.ended",
    actor: "system",
    keepsRequests: false,
    closesSession: true,
    rows: endRegistration,
  },
  bootstrapped: {
    notice: "de-registrations",
    event: null,
    actor: "device",
    keepsRequests: true,
    closesSession: false,
    rows: (key) => [[removeRegistration, key]],
  },
};

/** The row that an end is about. */
export const endKey = ({ id, deviceId, registeredAt }: LiveRegistration, at: number) => ({
  id,
  deviceId,
  registeredAt,
  at,
});
