import type { DeviceState } from "@/server/services/devices/view";
import { STATES } from "../states";

export const deviceStates = Object.keys(STATES) as DeviceState[];

export const deviceSorts = ["lastSeen", "created", "name", "endpointName", "state", "expires"] as const;
