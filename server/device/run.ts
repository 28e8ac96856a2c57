import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "@/server/clock";
import { readBundle } from "@/server/pki";
import { networkConnect } from "./connect";
import { type DeviceLog, type DeviceOptions, type DevicePhase, ReferenceDevice } from "./device";
import type { Connect } from "./link";
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
  /** Default "udp". */
  transport?: "udp" | "tcp";
  /** Folder with one folder for each device: device-1 to device-N. */
  stateDir: string;
  log: DeviceLog;
  /** Stops the devices, as {@link RunningDevices.stop} does. */
  signal?: AbortSignal;
  /** Seconds; default 300. */
  lifetime?: number;
  /** Deregister when stopped; default true. */
  deregister?: boolean;
  backoff?: DeviceOptions["backoff"];
  tickMs?: number;
  clock?: Clock;
  connect?: Connect;
  onphase?: (device: ReferenceDevice, phase: DevicePhase) => void;
}

/** Devices that are on their way or registered. */
export interface RunningDevices {
  devices: readonly ReferenceDevice[];
  /** Resolves when every device has registered once, rejects when they are stopped before. */
  registered: Promise<void>;
  /** Resolves when they have been stopped. */
  stopped: Promise<void>;
  stop(): Promise<void>;
}

/** Runs devices from one bundle in this process. Rejects when the bundle cannot be used. */
export async function runDevices(options: RunOptions): Promise<RunningDevices> {
  const { count = 1, transport = "udp", stateDir, log, clock = systemClock, signal } = options;
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError("The number of devices is a whole number from 1.");
  const bundle = readBundle(
    typeof options.bundle === "string" ? await readFile(options.bundle) : options.bundle,
  );
  const connect = options.connect ?? networkConnect(clock);

  const devices = Array.from({ length: count }, (_, index) => {
    const name = `device-${index + 1}`;
    const named: DeviceLog = {
      info: (message) => log.info(`${name}: ${message}`),
      warn: (message) => log.warn(`${name}: ${message}`),
    };
    const device: ReferenceDevice = new ReferenceDevice({
      bundle,
      transport,
      state: new FileState(join(stateDir, name), bundle.certificate, named.warn),
      connect,
      clock,
      log: named,
      profile: referenceProfile(VERSION),
      version: VERSION,
      ...(options.lifetime !== undefined && { lifetime: options.lifetime }),
      ...(options.tickMs !== undefined && { tickMs: options.tickMs }),
      ...(options.backoff && { backoff: options.backoff }),
      onphase: (phase) => options.onphase?.(device, phase),
    });
    return device;
  });

  let stopping: Promise<void> | null = null;
  let done = () => {};
  const stopped = new Promise<void>((resolve) => (done = resolve));
  const stop = (): Promise<void> => {
    stopping ??= Promise.all(devices.map((one) => one.stop({ deregister: options.deregister ?? true }))).then(
      done,
    );
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
