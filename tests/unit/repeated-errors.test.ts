import Database from "better-sqlite3";
import { beforeEach, describe, expect, it } from "vitest";
import { RepeatedErrors } from "@/server/repeated-errors";
import { FakeClock } from "@/tests/support/fake-clock";

describe("errors that come again and again", () => {
  let clock: FakeClock;
  let errors: RepeatedErrors;
  let lines: string[];
  beforeEach(() => {
    clock = new FakeClock();
    errors = new RepeatedErrors(clock);
    lines = [];
  });
  const log = (object: unknown, message?: string) => {
    const { count } = object as { count?: number };
    lines.push(count === undefined ? `${message}` : `${message} (${count})`);
  };
  const tell = (err: Error | undefined, message: string) => {
    const line = [{ err }, message];
    if (errors.mayLog(line, log)) log(...(line as [unknown, string]));
  };

  it("are one line for each cause and minute, and one with their number", async () => {
    for (let n = 0; n < 24; n++) tell(new Error("no such table"), "a row could not be written");
    tell(new Error("no such column"), "a row could not be written");
    expect(lines).toEqual(["a row could not be written", "a row could not be written"]);
    await clock.advance(60_000);
    expect(lines.slice(2)).toEqual(["a row could not be written, and again within a minute (23)"]);
    tell(new Error("no such table"), "a row could not be written");
    expect(lines).toHaveLength(4);
    await clock.advance(60_000);
    expect(lines).toHaveLength(4);
    expect(clock.pending).toBe(0);
  });

  it("are one cause when the disk is full, whatever it was that could not be done", () => {
    const full = () => new Database.SqliteError("database or disk is full", "SQLITE_FULL");
    tell(full(), "a request of a device failed");
    tell(new Error("a write failed", { cause: full() }), "a row could not be written");
    expect(lines).toEqual(["a request of a device failed"]);
  });

  it("are told apart by their message alone when there are very many", () => {
    for (let n = 0; n < 1000; n++) tell(new Error(`the peer sent ${n}`), "a request failed");
    expect(lines).toHaveLength(201);
  });

  it("are none when no error is told with the line", () => {
    for (let n = 0; n < 3; n++) tell(undefined, "listening");
    expect(lines).toHaveLength(3);
  });
});
