import type { DeviceState } from "@/server/services/devices/view";
import { STATES } from "../states";

export const deviceStates = Object.keys(STATES) as DeviceState[];
/** What the list can be narrowed to: a state, or those that are turned away. */
export const deviceChoices = [...deviceStates, "suspended", "all"] as const;

export const deviceSorts = ["lastSeen", "created", "name", "endpointName", "state", "expires"] as const;
