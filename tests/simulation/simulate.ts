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
  // Made with the chance of nobody's run.
  await templateFile();
  forgetFormerRun();
  const own = new World(options.seed);
  own.verbose = options.verbose ?? false;
  world = own;
  let broken: string | null = null;
  const scenario = await Scenario.open(own, options);
  try {
    await scenario.run();
  } catch (error) {
    if (!(error instanceof BrokenPromise)) throw error;
    broken = error.message;
  } finally {
    await scenario.close();
    world = null;
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
}

/** What a process draws in advance, and counts on with, is drawn anew. */
function forgetFormerRun(): void {
  const holder = globalThis as unknown as Record<symbol, { used: number; lastMs?: number; counter?: number }>;
  for (const name of ["gangway.random", "gangway.ids"]) {
    const state = holder[Symbol.for(name)];
    if (state) Object.assign(state, { used: Number.POSITIVE_INFINITY, lastMs: 0, counter: 0 });
  }
}
