export { type Device, type DeviceOptions, type DevicePhase, ReferenceDevice } from "./device";
export { type Connect, ConnectError, type LinkEvents } from "./link";
export {
  type PelionConnect,
  type PelionConnection,
  type PelionTarget,
  pelionConnect,
} from "./pelion/connect";
export { PelionDevice, type PelionOptions } from "./pelion/device";
export { FilePelionStore, factoryItems, type PelionItems, type PelionStore } from "./pelion/store";
export { referenceProfile } from "./profile";
export { type RunningDevices, runDevices } from "./run";
export { type DeviceState, FileState, type StateStore } from "./state";
