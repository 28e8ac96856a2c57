/**
 * npm run sim -- --seed N --minutes M     fresh seeds from N on, for so long (one seed when no minutes are given)
 * npm run sim -- --replay N               shows the run of seed N step by step
 *         --faults diskFull=6,requests=200    takes these rates instead of what a seed draws (Faults in scenario.ts)
 * npm run sim -- --lose-one               how long a device takes to register when any one datagram is lost
 * npm run sim -- --mutations [TEXT]       plants faults (those with the text in their names) and shows that each is found
 */
import { parseArgs } from "node:util";
import { MUTATIONS, runMutated } from "./mutations";
import { loseOneOfEach, ONE_LOST, simulate } from "./simulate";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string" },
    minutes: { type: "string" },
    replay: { type: "string" },
    hours: { type: "string", default: "6" },
    devices: { type: "string", default: "12" },
    lines: { type: "string", default: "50" },
    faults: { type: "string", default: "" },
    "lose-one": { type: "boolean", default: false },
    mutations: { type: "boolean", default: false },
  },
});

const number = (text: string, what: string): number => {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) {
    console.error(`--${what} is a number, not “${text}”.`);
    process.exit(2);
  }
  return value;
};

const faults = Object.fromEntries(
  values.faults.split(",").flatMap((part) => {
    const [name = "", rate = ""] = part.split("=");
    return name === "" ? [] : [[name, number(rate, `faults ${name}`)]];
  }),
);

const broken = (promise: string, again: string): never => {
  console.log(`\n${promise}\n\nTo see it again: npm run sim -- ${again}`);
  process.exit(1);
};

async function seeds(): Promise<void> {
  const hours = number(values.hours, "hours");
  const devices = number(values.devices, "devices");
  const first = number(values.replay ?? values.seed ?? String(Date.now() % 1_000_000), "seed");
  const until = performance.now() + number(values.minutes ?? "0", "minutes") * 60_000;
  const scale = `${hours === 6 ? "" : ` --hours ${hours}`}${devices === 12 ? "" : ` --devices ${devices}`}${values.faults && ` --faults ${values.faults}`}`;
  let count = 0;
  let deviceHours = 0;
  let ms = 0;
  for (let seed = first; ; seed++) {
    const outcome = await simulate({ seed, hours, devices, faults, verbose: values.replay !== undefined });
    count++;
    deviceHours += outcome.deviceHours;
    ms += outcome.ms;
    if (outcome.broken !== null) {
      if (values.replay === undefined)
        for (const line of outcome.lines.slice(-number(values.lines, "lines"))) console.log(line);
      broken(`Seed ${seed} broke a promise.\n\n${outcome.broken}`, `--replay ${seed}${scale}`);
    }
    if (values.replay !== undefined || performance.now() >= until) break;
  }
  console.log(
    `${count} seed${count === 1 ? "" : "s"} from ${first} kept every promise: ${Math.round(deviceHours)} ` +
      `device-hours, ${Math.round(deviceHours / (ms / 1000))} a second.`,
  );
}

async function loseOne(): Promise<void> {
  for (const { profile, withinMs } of ONE_LOST) {
    const took = await loseOneOfEach(profile);
    const worst = Math.max(...took.map(({ ms }) => ms));
    const text = `${profile}: registered after ${took.length} datagrams, whichever is lost within ${worst / 1000} s`;
    if (worst > withinMs) broken(`One lost datagram broke a promise.\n\n${text}`, "--lose-one");
    console.log(text);
  }
}

async function mutations(): Promise<void> {
  const chosen = MUTATIONS.filter(({ name }) => name.includes(positionals.join(" ")));
  let missed = 0;
  for (const mutation of chosen) {
    const { found, seconds, output } = await runMutated(mutation, number(values.minutes ?? "1", "minutes"));
    if (!found) missed++;
    const how = found ? `found in ${seconds.toFixed(0)} s` : `NOT FOUND in ${seconds.toFixed(0)} s`;
    const [, promise = "", what = ""] = /broke a promise\.\n\n(.*)\n(.*)/.exec(output) ?? [];
    console.log(
      `${how.padEnd(16)} ${mutation.name}\n${" ".repeat(17)}${promise}${what && `: ${what.trim()}`}`,
    );
  }
  console.log(`\n${chosen.length - missed} of ${chosen.length} planted faults found.`);
  process.exit(missed > 0 ? 1 : 0);
}

await (values.mutations ? mutations() : values["lose-one"] ? loseOne() : seeds());
process.exit(0);
