import { describe, expect, it } from "vitest";
import { Turns } from "@/server/gateway/turns";
import { settle } from "@/tests/support/fake-clock";

function gate() {
  let open!: () => void;
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

describe("turns", () => {
  it("begin at once when nothing is before them, and wait for what is", async () => {
    const turns = new Turns();
    const order: string[] = [];
    const first = gate();
    const one = turns.run("a", async () => {
      order.push("first begins");
      await first.promise;
      order.push("first ends");
      return 1;
    });
    expect(order).toEqual(["first begins"]);
    const two = turns.run("a", async ({ deviceId }) => {
      order.push(`second of ${deviceId}`);
      return 2;
    });
    await settle();
    expect(order).toEqual(["first begins"]);
    first.open();
    expect(await Promise.all([one, two])).toEqual([1, 2]);
    expect(order).toEqual(["first begins", "first ends", "second of a"]);
  });

  it("of different devices do not wait for each other", async () => {
    const turns = new Turns();
    const never = gate();
    void turns.run("a", () => never.promise);
    expect(await turns.run("b", async () => "done")).toBe("done");
  });

  it("go on behind one that failed, whose caller hears of it", async () => {
    const turns = new Turns();
    const failed = turns.run("a", async () => {
      throw new Error("the disk is full");
    });
    const next = turns.run("a", async () => "next");
    await expect(failed).rejects.toThrow("the disk is full");
    expect(await next).toBe("next");
  });
});
