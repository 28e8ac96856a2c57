import { beforeEach, describe, expect, it } from "vitest";
import type { Entry } from "@/server/db";
import { type DeviceFacts, Directory, type LiveRegistration } from "@/server/gateway/directory";
import {
  type NewRegistration,
  type RegistrationParts,
  Registrations,
} from "@/server/gateway/registration/registrations";
import { Structures } from "@/server/gateway/structures";
import { Turns } from "@/server/gateway/turns";
import { FakePeer } from "@/tests/support/coap-peers";
import { FakeClock, settle } from "@/tests/support/fake-clock";

const DEVICE: DeviceFacts = {
  id: "d1",
  accountId: "a1",
  identity: "ep:pump",
  endpointName: "pump",
  endpointType: "",
  caId: null,
  secured: false,
  suspended: false,
  rebootstrapPending: false,
};
const DRAFT: NewRegistration = {
  id: "first",
  endpointName: "pump",
  lifetime: 300,
  lwm2mVersion: "1.1",
  binding: "U",
  queueMode: 0,
  rootPath: "/",
  objectLinks: "</3/0>",
  profile: "standard",
};
const CHANGE = { lifetime: 600, binding: null, queueMode: null, links: null };

let clock: FakeClock;
let directory: Directory;
let turns: Turns;
let registrations: Registrations;
let log: string[];
/** Commits that wait for the test, oldest first. */
let commits: { rows: string[]; succeed(): void; fail(): void }[];

beforeEach(() => {
  clock = new FakeClock();
  directory = new Directory();
  directory.addDevice({ ...DEVICE });
  turns = new Turns();
  log = [];
  commits = [];
  const ended = (what: string) => ({
    entries: [],
    apply: () => void log.push(`${what} applied`),
    undo: () => void log.push(`${what} undone`),
  });
  const parts = {
    clock,
    directory,
    turns,
    structures: new Structures(),
    commit: {
      addAll: (rows: readonly Entry[]) =>
        new Promise<void>((resolve, reject) =>
          commits.push({
            rows: rows.map(([{ name }]) => name),
            succeed: resolve,
            fail: () => reject(new Error("the disk is full")),
          }),
        ),
      note: () => {},
    },
    timeline: {
      note: (type: string) => {
        log.push(type);
        return { id: "event" };
      },
    },
    notifier: { broadcast: () => [], written: () => log.push("applications told") },
    subscriptions: {
      registering: () => ended("former subscriptions"),
      ending: () => ended("subscriptions"),
      registered: () => log.push("registered"),
      updated: () => log.push("updated"),
      moved: () => log.push("moved"),
      ended: ({ id }: LiveRegistration) => log.push(`${id} ended`),
    },
    requests: { left: () => log.push("requests failed") },
    presence: { heard: () => log.push("heard") },
    onchange: (_: unknown, change: string) => log.push(change),
  };
  registrations = new Registrations(parts as unknown as RegistrationParts);
});

const register = (draft: Partial<NewRegistration> = {}, peer = new FakePeer("udp", clock)) =>
  turns.run("d1", (turn) =>
    registrations.register(turn, DEVICE, { ...DRAFT, ...draft }, { peer, created: false, entries: [] }),
  );
const update = (registration: LiveRegistration, peer = registration.peer!) =>
  turns.run("d1", (turn) => registrations.update(turn, registration, DEVICE, peer, CHANGE));
const end = (registration: LiveRegistration | null, entries: Entry[] = []) =>
  turns.run("d1", (turn) => registrations.end(turn, registration, "deregistered", { entries }));
const next = async () => {
  await settle();
  const commit = commits.shift();
  if (!commit) throw new Error("Nothing is being written.");
  return commit;
};

async function registered(): Promise<LiveRegistration> {
  const done = register();
  (await next()).succeed();
  const { value, follow } = await done;
  follow();
  log.length = 0;
  return value;
}

describe("a registration", () => {
  it("is known when it is on disk, and told when its device was answered", async () => {
    const done = register();
    const commit = await next();
    expect(commit.rows).toContain("registration.put");
    expect(directory.registrationOf("d1")).toBeUndefined();
    commit.succeed();
    const { value, follow } = await done;
    expect(directory.registrationOf("d1")).toBe(value);
    expect(log).toEqual(["former subscriptions applied", "applications told"]);
    follow();
    expect(log.slice(2)).toEqual(["registration.registered", "updated", "registered", "heard"]);
  });

  it("leaves the one before as it was when it cannot be written", async () => {
    const former = await registered();
    const done = register({ id: "second" });
    (await next()).fail();
    await expect(done).rejects.toThrow("disk is full");
    expect(directory.registrationOf("d1")).toBe(former);
    expect(directory.registration("first")).toBe(former);
    expect(directory.registration("second")).toBeUndefined();
    expect(former.peer?.closed).toBe(false);
    expect(log).toEqual([]);
  });

  it("takes the place of the one before, whose session ends behind the answer", async () => {
    const former = await registered();
    const done = register({ id: "second" });
    (await next()).succeed();
    const { value, follow } = await done;
    expect(former.peer?.closed).toBe(false);
    expect(directory.registration("first")).toBeUndefined();
    expect(value.registeredAt).toBeGreaterThan(former.registeredAt);
    follow();
    expect(former.peer?.closed).toBe(true);
    expect(log).toContain("first ended");
  });

  it("tells nothing of a registration that was replaced before its device was answered", async () => {
    const one = register();
    const two = register({ id: "second" });
    (await next()).succeed();
    const first = await one;
    (await next()).succeed();
    const second = await two;
    log.length = 0;
    first.follow();
    expect(log).not.toContain("heard");
    expect(directory.registrationOf("d1")).toBe(second.value);
  });
});

describe("an update", () => {
  it("changes nothing in memory until it is on disk, and nothing at all when it cannot be written", async () => {
    const registration = await registered();
    const before = { ...registration };
    const done = update(registration, new FakePeer("udp", clock));
    const commit = await next();
    expect(commit.rows).toEqual(["registration.update"]);
    expect(registration).toEqual(before);
    commit.fail();
    await expect(done).rejects.toThrow("disk is full");
    expect(registration).toEqual(before);
  });

  it("moves the registration to the session it came over", async () => {
    const registration = await registered();
    const { peer: former } = registration;
    const peer = new FakePeer("udp", clock);
    const done = update(registration, peer);
    (await next()).succeed();
    const { follow } = await done;
    expect([registration.peer, registration.lifetime]).toEqual([peer, 600]);
    expect(former?.closed).toBe(false);
    follow();
    expect(former?.closed).toBe(true);
    expect(log).toEqual([
      "applications told",
      "moved",
      "registration.updated",
      "updated",
      "updated",
      "heard",
    ]);
  });
});

describe("an end", () => {
  it("comes when it is on disk, with all that hung on the registration", async () => {
    const registration = await registered();
    const done = end(registration);
    const commit = await next();
    expect(commit.rows).toContain("registration.remove");
    expect(directory.holds(registration)).toBe(true);
    commit.succeed();
    const { value, follow } = await done;
    expect([value, directory.holds(registration)]).toEqual([true, false]);
    expect(log).toEqual(["subscriptions applied", "requests failed", "applications told"]);
    follow();
    expect(log.slice(3)).toEqual(["registration.deregistered", "updated"]);
  });

  it("is none when it cannot be written", async () => {
    const registration = await registered();
    const done = end(registration);
    (await next()).fail();
    await expect(done).rejects.toThrow("disk is full");
    expect(directory.holds(registration)).toBe(true);
    expect(log).toEqual(["subscriptions undone"]);
  });

  it("of a registration that has a successor touches nothing of it, but writes what goes with it", async () => {
    const former = await registered();
    const done = register({ id: "second" });
    (await next()).succeed();
    const { value: current } = await done;
    log.length = 0;
    const row: Entry = [{ name: "finished", order: 1, sql: "" }, {}];
    const late = end(former, [row]);
    const commit = await next();
    expect(commit.rows).toEqual(["finished"]);
    commit.succeed();
    expect((await late).value).toBe(false);
    expect(directory.registrationOf("d1")).toBe(current);
    expect(log).toEqual([]);
  });

  it("by expiry is none when an update was under way", async () => {
    const registration = await registered();
    await clock.advance(299_999);
    const done = update(registration);
    await clock.advance(1);
    const sweep = registrations.sweep();
    (await next()).succeed();
    await done;
    await sweep;
    expect(commits).toEqual([]);
    expect(directory.holds(registration)).toBe(true);
    await clock.advance(600_000);
    const ended = registrations.sweep();
    (await next()).succeed();
    await ended;
    expect(directory.holds(registration)).toBe(false);
    expect(log).toContain("registration.expired");
  });
});
