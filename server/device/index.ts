export { type DeviceLog, type DeviceOptions, type DevicePhase, ReferenceDevice } from "./device";
export { type Connect, ConnectError, type LinkEvents, type ServerLink } from "./link";
export { type DeviceProfile, referenceProfile } from "./profile";
export { type RunningDevices, type RunOptions, runDevices } from "./run";
export { type Account, type DeviceState, FileState, type StateStore } from "./state";
