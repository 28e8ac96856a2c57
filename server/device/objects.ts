import type { Clock } from "@/server/clock";
import { boolean, ContentError, float, integer, type ResourceValue, string, time } from "@/server/lwm2m";
import type { Afterwards, Resource, ResourceTree } from "./tree";

/** What the objects of a device tell it to do. */
export interface DeviceActions {
  update(): void;
  bootstrap(): void;
  reboot(): void;
  factoryReset(): void;
}

/** The facts the standard objects show. */
export interface DeviceFacts {
  serialNumber: string;
  softwareVersion: string;
  shortServerId: number;
  binding: string;
  lifetime: number;
}

/** The parts of the objects that the device itself needs. */
export interface DeviceObjects {
  lifetime(): number;
  binding(): string;
  /** Seconds. */
  defaultPmin(): number;
  /** One step of the weather and the battery. */
  tick(): void;
}

const constant = (value: ResourceValue): Resource => ({ read: () => value });

function cell(initial: ResourceValue, check: (value: ResourceValue) => void = () => {}) {
  let value = initial;
  return {
    get: () => value,
    resource: {
      read: () => value,
      write: (next: ResourceValue): Afterwards => {
        check(next);
        value = next;
        return undefined;
      },
    } satisfies Resource,
  };
}

function atLeast(least: number) {
  return (value: ResourceValue): void => {
    if (Number(value.value) < least) throw new ContentError(`${value.value} is less than ${least}.`);
  };
}

/** Puts objects 1 (Server), 3 (Device) and 3303 (Temperature) into a tree. */
export function addStandardObjects(
  tree: ResourceTree,
  facts: DeviceFacts,
  actions: DeviceActions,
  { clock, random }: { clock: Clock; random: () => number },
): DeviceObjects {
  const lifetime = cell(integer(facts.lifetime), atLeast(1));
  const binding = cell(string(facts.binding), ({ value }) => {
    if (value !== facts.binding) throw new ContentError(`This device can only use ${facts.binding}.`);
  });
  const pmin = cell(integer(0), atLeast(0));
  tree.add(1, 0, "1.1", {
    0: constant(integer(facts.shortServerId)),
    1: {
      read: lifetime.get,
      write: (value) => {
        lifetime.resource.write(value);
        return actions.update;
      },
    },
    2: pmin.resource,
    6: cell(boolean(true)).resource,
    7: binding.resource,
    8: { execute: () => actions.update },
    9: { execute: () => actions.bootstrap },
  });

  let offsetMs = 0;
  let battery = 100;
  const errors = new Map([[0, integer(0)]]);
  tree.add(3, 0, "1.1", {
    0: constant(string("Gangway")),
    1: constant(string("Reference device")),
    2: constant(string(facts.serialNumber)),
    3: constant(string(facts.softwareVersion)),
    4: { execute: () => actions.reboot },
    5: { execute: () => actions.factoryReset },
    9: { read: () => integer(battery) },
    10: { read: () => integer(Math.floor(process.memoryUsage.rss() / 1024)) },
    11: { read: () => errors },
    12: {
      execute: () => {
        errors.clear();
        errors.set(0, integer(0));
        return () => tree.changed("/3/0/11");
      },
    },
    13: {
      read: () => time(Math.floor((clock.now() + offsetMs) / 1000)),
      write: ({ value }) => {
        offsetMs = Number(value) * 1000 - clock.now();
        return undefined;
      },
    },
    14: cell(string("+00:00")).resource,
    15: cell(string("Etc/UTC")).resource,
    16: constant(string(facts.binding)),
    17: constant(string("reference")),
    18: constant(string("1")),
    19: constant(string(facts.softwareVersion)),
  });

  let temperature = 20 + random() * 4;
  let [low, high] = [temperature, temperature];
  const shown = (value: number) => float(Math.round(value * 100) / 100);
  tree.add(3303, 0, "1.1", {
    5700: { read: () => shown(temperature) },
    5701: constant(string("Cel")),
    5601: { read: () => shown(low) },
    5602: { read: () => shown(high) },
    5603: constant(float(-40)),
    5604: constant(float(85)),
    5605: {
      execute: () => {
        [low, high] = [temperature, temperature];
        return () => {
          tree.changed("/3303/0/5601");
          tree.changed("/3303/0/5602");
        };
      },
    },
    5750: cell(string("Room")).resource,
  });

  let steps = 0;
  return {
    lifetime: () => Number(lifetime.get().value),
    binding: () => String(binding.get().value),
    defaultPmin: () => Number(pmin.get().value),
    tick() {
      // Drifts around 22 °C, by at least a hundredth so that every step is a change.
      const step = (random() - 0.5 + (22 - temperature) * 0.02) * 0.4;
      temperature += Math.abs(step) < 0.01 ? 0.01 : step;
      tree.changed("/3303/0/5700");
      if (temperature < low) {
        low = temperature;
        tree.changed("/3303/0/5601");
      }
      if (temperature > high) {
        high = temperature;
        tree.changed("/3303/0/5602");
      }
      tree.changed("/3/0/13", true);
      if (++steps % 60 === 0) {
        battery = battery > 5 ? battery - 1 : 100;
        tree.changed("/3/0/9");
      }
    },
  };
}
