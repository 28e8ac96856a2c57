/**
 * npm run sim -- --seed N --minutes M     fresh seeds from N on, for so long (one seed when no minutes are given)
 * npm run sim -- --replay N               shows the run of seed N step by step
 */
import { parseArgs } from "node:util";
import { simulate } from "./simulate";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    minutes: { type: "string" },
    replay: { type: "string" },
    hours: { type: "string", default: "6" },
    devices: { type: "string", default: "12" },
    lines: { type: "string", default: "50" },
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

const hours = number(values.hours, "hours");
const devices = number(values.devices, "devices");
const first = number(values.replay ?? values.seed ?? String(Date.now() % 1_000_000), "seed");
const until = performance.now() + number(values.minutes ?? "0", "minutes") * 60_000;
const scale = `${hours === 6 ? "" : ` --hours ${hours}`}${devices === 12 ? "" : ` --devices ${devices}`}`;

let seeds = 0;
let deviceHours = 0;
let ms = 0;
for (let seed = first; ; seed++) {
  const outcome = await simulate({ seed, hours, devices, verbose: values.replay !== undefined });
  seeds++;
  deviceHours += outcome.deviceHours;
  ms += outcome.ms;
  if (outcome.broken !== null) {
    if (values.replay === undefined)
      for (const line of outcome.lines.slice(-number(values.lines, "lines"))) console.log(line);
    console.log(`\nSeed ${seed} broke a promise.\n\n${outcome.broken}\n`);
    console.log(`To see it again: npm run sim -- --replay ${seed}${scale}`);
    process.exit(1);
  }
  if (values.replay !== undefined || performance.now() >= until) break;
}
console.log(
  `${seeds} seed${seeds === 1 ? "" : "s"} from ${first} kept every promise: ${Math.round(deviceHours)} device-hours, ` +
    `${Math.round(deviceHours / (ms / 1000))} a second.`,
);
process.exit(0);
