export { type DeviceOptions, ReferenceDevice } from "./device";
export { type Connect, ConnectError, type LinkEvents } from "./link";
export { referenceProfile } from "./profile";
export { type RunningDevices, runDevices } from "./run";
export { type DeviceState, FileState, type StateStore } from "./state";
