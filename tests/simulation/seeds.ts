import { expect } from "vitest";
import type { Options } from "./scenario";
import { simulate } from "./simulate";

/** Worlds as small as these bring most of what goes wrong, and many of them run in the time of a big one. */
const SMALL = { hours: 0.5, devices: 4 };

/** Runs the seeds; of one that breaks a promise the last of its story is shown. */
export async function expectKept(from: number, to: number, faults: Options["faults"] = {}): Promise<void> {
  for (let seed = from; seed <= to; seed++) {
    const { broken, lines } = await simulate({ ...SMALL, seed, faults });
    expect(broken && `Seed ${seed}: ${broken}\n${lines.slice(-40).join("\n")}`).toBeNull();
  }
}
