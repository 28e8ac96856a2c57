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
