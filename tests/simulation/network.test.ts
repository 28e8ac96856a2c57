import { expect, it } from "vitest";
import { expectKept } from "./seeds";
import { loseOneOfEach, ONE_LOST } from "./simulate";

/* What networks do, while the processes and the disk are well. */

const WELL = {
  gatewayKills: 0,
  portalKills: 0,
  gatewayRestarts: 0,
  killedBefore: 0,
  killedAfter: 0,
  killedAtExecute: 0,
  killedAtAsk: 0,
  diskFull: 0,
};

it("whatever the network does, every promise is kept", () => expectKept(1, 70, WELL), 300_000);

it.each(ONE_LOST)(
  "a $profile device is registered within $withinMs ms whichever one datagram is lost",
  async ({ profile, withinMs }) => {
    const took = await loseOneOfEach(profile);
    expect(took.length).toBeGreaterThan(20);
    expect(took.filter(({ ms }) => ms > withinMs)).toEqual([]);
  },
  60_000,
);
