import { describe, expect, it } from "vitest";
import { HOLD_COUNT, HOLD_MS, HOLD_WINDOW_MS, HoldKeeper } from "@/server/services/registrations/hold";

describe("the hold on devices that register too often", () => {
  const run = (keeper: HoldKeeper, times: number, now: number) =>
    Array.from({ length: times }, () => keeper.count("device", now).held);

  it("lets ten through within the window and holds the eleventh for a minute", () => {
    const keeper = new HoldKeeper();
    expect(run(keeper, HOLD_COUNT, 0)).not.toContain(true);
    expect(keeper.count("device", 5)).toEqual({ held: true, retryAfterMs: HOLD_MS, first: true });
    expect(keeper.count("device", 5 + HOLD_MS - 1)).toEqual({ held: true, retryAfterMs: 1, first: false });
    expect(keeper.count("device", 5 + HOLD_MS)).toEqual({ held: false });
  });

  it("counts a new window when the old one is over", () => {
    const keeper = new HoldKeeper();
    run(keeper, HOLD_COUNT, 0);
    expect(run(keeper, HOLD_COUNT, HOLD_WINDOW_MS)).not.toContain(true);
  });

  it("keeps devices apart", () => {
    const keeper = new HoldKeeper();
    run(keeper, HOLD_COUNT + 1, 0);
    expect(keeper.count("another", 0)).toEqual({ held: false });
  });

  it("starts afresh after a hold, also after forgetting", () => {
    const keeper = new HoldKeeper();
    run(keeper, HOLD_COUNT + 1, 0);
    keeper.sweep(HOLD_MS - 1);
    expect(keeper.count("device", HOLD_MS - 1).held).toBe(true);
    keeper.sweep(HOLD_MS);
    expect(keeper.count("device", HOLD_MS).held).toBe(false);
  });
});
