import type { DeviceKind } from "./devices";
import { templateFile } from "./disk";
import { Random, seedProcess } from "./random";
import { type Options, type Outcome, Scenario } from "./scenario";
import { BrokenPromise, World } from "./world";

let world: World | null = null;
const outside = new Random("outside");
// What is loaded or made between two runs has chance and time too.
seedProcess(
  () => world?.random ?? outside,
  () => world?.now ?? performance.timeOrigin + performance.now(),
  (change) => {
    if (world) world.busy += change;
  },
);

/** Runs one seed to its end, or to the first promise that it breaks. */
export async function simulate(options: Options): Promise<Outcome> {
  const start = performance.now();
  return inWorld(options, async (scenario, own) => {
    let broken: string | null = null;
    try {
      await scenario.run();
    } catch (error) {
      if (!(error instanceof BrokenPromise)) throw error;
      broken = error.message;
    }
    const hours = (own.now - own.startedAt) / 3_600_000;
    return {
      seed: options.seed,
      deviceHours: hours * options.devices,
      steps: own.steps,
      ms: performance.now() - start,
      digest: own.digest,
      broken,
      lines: own.lines,
    };
  });
}

/** By when a device is registered whichever one datagram is lost: a repetition by either side comes first. */
export const ONE_LOST = [
  { profile: "reference", withinMs: 6_000 },
  { profile: "pelion", withinMs: 10_000 },
] as const;

/** How long devices take to register when one datagram of each is lost: the first of the first, and so on. */
export function loseOneOfEach(profile: DeviceKind["profile"]): Promise<{ lost: number; ms: number }[]> {
  const cid = profile === "pelion" ? "draft" : "rfc9146";
  const kind = { profile, transport: "udp", lifetime: 3600, cid } as const;
  return inWorld({ seed: "one lost", hours: 0, devices: 60, kind }, (scenario) =>
    scenario.loseOneOfEach(240_000),
  );
}

async function inWorld<T>(options: Options, run: (scenario: Scenario, own: World) => Promise<T>): Promise<T> {
  // Made with the chance of nobody's run.
  await templateFile();
  forgetFormerRun();
  const own = new World(options.seed);
  own.verbose = options.verbose ?? false;
  world = own;
  const scenario = await Scenario.open(own, options);
  try {
    return await run(scenario, own);
  } finally {
    await scenario.close();
    world = null;
  }
}

/** What a process draws in advance, and counts on with, is drawn anew. */
function forgetFormerRun(): void {
  const holder = globalThis as unknown as Record<symbol, object | undefined>;
  Object.assign(holder[Symbol.for("gangway.random")] ?? {}, { used: Number.POSITIVE_INFINITY });
  Object.assign(holder[Symbol.for("gangway.ids")] ?? {}, { lastMs: 0, counter: 0 });
}
