import type { DeviceState } from "@/server/services/devices/view";

/** How much something wants to be looked at. */
export type Tone = "ok" | "warn" | "bad" | "info" | "idle";

export const STATES = {
  unenrolled: { label: "Not enrolled", tone: "idle", why: "Known here, but it has never made contact." },
  cloud_enrolling: {
    label: "Enrolling",
    tone: "info",
    why: "It has begun to bootstrap and has not finished yet.",
  },
  bootstrapped: {
    label: "Bootstrapped",
    tone: "warn",
    why: "It has its LwM2M credentials; it has not registered with them yet.",
  },
  registered: { label: "Registered", tone: "ok", why: "It has a live registration with the LwM2M service." },
  deregistered: {
    label: "Deregistered",
    tone: "idle",
    why: "It ended its registration, or did not renew it within its lifetime.",
  },
} as const satisfies Record<DeviceState, { label: string; tone: Tone; why: string }>;

export const isState = (state: string): state is DeviceState => Object.hasOwn(STATES, state);
