import { expect, it } from "vitest";
import { CALM } from "./network";
import { expectKept } from "./seeds";
import { simulate } from "./simulate";

/* What ends processes and fills disks, and everything at a time. */

it(
  "wherever a process is killed or a disk full, every promise is kept",
  () => expectKept(1001, 1070, { weather: { ...CALM, loss: 0.02 }, partitions: 0 }),
  300_000,
);

it("whatever comes together, every promise is kept", () => expectKept(2001, 2060), 300_000);

it("a seed is one story, whatever ran before it", async () => {
  const run = async (seed: number) => (await simulate({ seed, hours: 0.3, devices: 4 })).digest;
  const first = await run(7);
  expect(await run(8)).not.toBe(first);
  expect(await run(7)).toBe(first);
}, 60_000);
