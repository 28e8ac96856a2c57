import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "@/server/clock";
import { readBundle } from "@/server/pki";
import { networkConnect } from "./connect";
import { type Device, type DeviceLog, type DeviceOptions, type DevicePhase, ReferenceDevice } from "./device";
import type { Connect } from "./link";
import { type PelionConnect, pelionConnect } from "./pelion/connect";
import { PelionDevice } from "./pelion/device";
import { FilePelionStore } from "./pelion/store";
import { referenceProfile } from "./profile";
import { FileState } from "./state";

/** Version the devices report. */
const VERSION = "0.1.0";
/** Between the starts of two devices, so that many of them do not come in one burst. */
const STAGGER_MS = 5;

export interface RunOptions {
  /** A developer certificate bundle: the zip or the path of it. */
  bundle: Uint8Array | string;
  /** How many devices; default 1. */
  count?: number;
  /** "reference" is our own client and the default, "pelion" speaks as mbed-cloud-client does. */
  profile?: "reference" | "pelion";
  /** Default "udp". */
  transport?: "udp" | "tcp";
  /** Folder with one folder for each device: device-1 to device-N. */
  stateDir: string;
  log: DeviceLog;
  /** Stops the devices, as {@link RunningDevices.stop} does. */
  signal?: AbortSignal;
  /** Seconds; default 300, and 7200 with the profile "pelion". */
  lifetime?: number;
  /** Deregister when stopped; default true, and false with the profile "pelion". */
  deregister?: boolean;
  backoff?: DeviceOptions["backoff"];
  tickMs?: number;
  clock?: Clock;
  connect?: Connect;
  onphase?: (device: Device, phase: DevicePhase) => void;
}

/** Devices that are on their way or registered. */
export interface RunningDevices {
  devices: readonly Device[];
  /** Resolves when every device has registered once, rejects when they are stopped before. */
  registered: Promise<void>;
  /** Resolves when they have been stopped. */
  stopped: Promise<void>;
  stop(): Promise<void>;
}

/** Runs devices from one bundle in this process. Rejects when the bundle cannot be used. */
export async function runDevices(options: RunOptions): Promise<RunningDevices> {
  const { count = 1, profile = "reference", transport = "udp" } = options;
  const { stateDir, log, clock = systemClock, signal } = options;
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError("The number of devices is a whole number from 1.");
  const bundle = readBundle(
    typeof options.bundle === "string" ? await readFile(options.bundle) : options.bundle,
  );
  const connect = options.connect ?? networkConnect(clock);
  const connectPelion: PelionConnect = pelionConnect(clock);

  const devices = Array.from({ length: count }, (_, index): Device => {
    const name = `device-${index + 1}`;
    const named: DeviceLog = {
      info: (message) => log.info(`${name}: ${message}`),
      warn: (message) => log.warn(`${name}: ${message}`),
    };
    const folder = join(stateDir, name);
    const common = {
      ...{ bundle, transport, clock, log: named },
      ...(options.lifetime !== undefined && { lifetime: options.lifetime }),
      ...(options.tickMs !== undefined && { tickMs: options.tickMs }),
      ...(options.backoff && { backoff: options.backoff }),
      onphase: (phase: DevicePhase) => options.onphase?.(device, phase),
    };
    const device: Device =
      profile === "pelion"
        ? new PelionDevice({
            ...common,
            store: new FilePelionStore(folder, bundle.certificate, named.warn),
            connect: connectPelion,
          })
        : new ReferenceDevice({
            ...common,
            state: new FileState(folder, bundle.certificate, named.warn),
            connect,
            profile: referenceProfile(VERSION),
            version: VERSION,
          });
    return device;
  });

  let stopping: Promise<void> | null = null;
  let done = () => {};
  const stopped = new Promise<void>((resolve) => (done = resolve));
  const stop = (): Promise<void> => {
    const deregister = options.deregister ?? profile === "reference";
    stopping ??= Promise.all(devices.map((one) => one.stop({ deregister }))).then(done);
    return stopping;
  };
  const registered = Promise.all(
    devices.map(async (device, index) => {
      if (index > 0) await new Promise<void>((resolve) => clock.after(index * STAGGER_MS, resolve));
      await device.setup();
    }),
  ).then(() => {});
  registered.catch(() => {});
  if (signal?.aborted) void stop();
  else signal?.addEventListener("abort", () => void stop(), { once: true });
  return { devices, registered, stopped, stop };
}
