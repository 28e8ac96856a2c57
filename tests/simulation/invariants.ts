import type Database from "better-sqlite3";
import type { BusEvent } from "@/server/bus/messages";
import type { RecordView } from "@/server/transport/record-layer";
import type { SimulatedDevice, Watch } from "./devices";
import type { Disk } from "./disk";
import type { DtlsClient } from "./dtls";
import { BrokenPromise, type World } from "./world";

/** What a device was told of its registration, and until when that holds. */
interface Told {
  location: string;
  /** By the world's time. */
  until: number;
}

/** An async response that somebody waits for. */
interface Asked {
  ownerId: string;
  what: string;
  ends: number;
  unsure?: boolean;
}

const LIFECYCLE = ["registrations", "reg-updates", "de-registrations", "registrations-expired"] as const;

/**
 * What Gangway promises, checked after every step. Each check is told what happened by whoever saw it (the devices, the
 * applications, the disk), and none of them asks the gateway what it thinks.
 */
export class Promises implements Watch {
  /** A device has just carried out what it must not do twice. */
  onexecuted: () => void = () => {};
  #found: BrokenPromise | null = null;
  readonly #told = new Map<SimulatedDevice, Told>();
  readonly #names = new Map<string, SimulatedDevice>();
  readonly #ids = new Map<SimulatedDevice, string>();
  readonly #executed = new Map<string, number>();
  readonly #asked = new Map<string, Asked>();
  readonly #records = new WeakMap<DtlsClient, Map<string, string>>();
  /** The newest time at which each resource had a value. */
  readonly #values = new Map<string, number>();
  /** Of each device, as applications of its account were told: registered or not. */
  readonly #seen = new Map<string, "in" | "out">();
  readonly #accounts = new Map<string, string>();
  readonly #owners = new Map<string, string>();
  readonly #database: Database.Database;
  readonly #registrations: Database.Statement<[], { deviceId: string; id: string; expiresAt: number }>;
  readonly #registration: Database.Statement<[id: string], { expiresAt: number }>;
  readonly #event: Database.Statement<[id: string], { id: string }>;
  readonly #value: Database.Statement<[deviceId: string, path: string], { at: number }>;
  /** Resources whose values were written since the last check. */
  readonly #touched: [deviceId: string, path: string][] = [];

  constructor(
    private readonly world: World,
    private readonly disk: Disk,
  ) {
    this.#database = disk.reader();
    this.#registrations = this.#database.prepare(`SELECT "deviceId", "id", "expiresAt" FROM "Registration"`);
    this.#registration = this.#database.prepare(`SELECT "expiresAt" FROM "Registration" WHERE "id" = ?`);
    this.#event = this.#database.prepare(`SELECT "id" FROM "DeviceEvent" WHERE "id" = ?`);
    this.#value = this.#database.prepare(
      `SELECT "at" FROM "ResourceValue" WHERE "deviceId" = ? AND "path" = ?`,
    );
    disk.onwritten = (groups) => this.#written(groups);
  }

  close(): void {
    this.#database.close();
  }

  /** Noted, for whoever is being watched would catch it: the next check throws it. */
  #broken(promise: string, found: string): void {
    this.#found ??= new BrokenPromise(`${promise}\n  ${found}`);
  }

  // ---- An answered Register stays until its lifetime, its end or its successor.

  // The lifetime begins when the server hears of it, which is never before it was sent.

  registered(device: SimulatedDevice, location: string, sentAt: number): void {
    this.world.say(`${device.name} was answered: registered at ${location}`);
    this.#told.set(device, { location, until: sentAt + device.lifetime * 1000 });
  }

  updated(device: SimulatedDevice, sentAt: number): void {
    const told = this.#told.get(device);
    if (!told) return;
    told.until = sentAt + device.lifetime * 1000;
    const row = this.#registration.get(told.location);
    if (row && row.expiresAt < told.until)
      this.#broken(
        "What was answered is on disk",
        `${device.name} may stay until ${told.until}, and the row ends at ${row.expiresAt}`,
      );
  }

  lost(device: SimulatedDevice, location: string): void {
    const row = this.#registration.get(location);
    if (row && row.expiresAt > this.world.now)
      this.#broken(
        "What is in memory is what is on disk",
        `${device.name} has ${location} on disk, and its Update is told that there is no such registration`,
      );
  }

  /** The registration that a device may still count on after a Register that was not taken. */
  lasting(device: SimulatedDevice): string | null {
    const told = this.#told.get(device);
    return told && this.world.now < told.until ? told.location : null;
  }

  unknown(device: SimulatedDevice, location: string): void {
    const told = this.#told.get(device);
    if (told?.location === location && this.world.now < told.until)
      this.#broken(
        "An answered Register stays until its lifetime, its end or its successor",
        `${device.name} was told ${location}, and its Update that there is no such registration`,
      );
  }

  /** It asks for another lifetime: whether the server has heard of it, it does not know. */
  tells(device: SimulatedDevice, lifetime: number): void {
    const told = this.#told.get(device);
    if (told) told.until = Math.min(told.until, this.world.now + lifetime * 1000);
  }

  left(device: SimulatedDevice): void {
    this.#told.delete(device);
  }

  /** Somebody ended it from outside: suspended, deleted, bootstrapped anew, or by a clone. */
  ended(device: SimulatedDevice): void {
    this.#told.delete(device);
  }

  #checkRegistrations(): void {
    const rows = new Map<string, { id: string; expiresAt: number }>();
    for (const row of this.#registrations.all()) {
      if (rows.has(row.deviceId)) this.#broken("A device has at most one registration", row.deviceId);
      rows.set(row.deviceId, row);
    }
    const locations = new Set([...rows.values()].map(({ id }) => id));
    for (const [device, { location, until }] of this.#told) {
      if (this.world.now >= until) {
        this.#told.delete(device);
        continue;
      }
      if (!locations.has(location))
        this.#broken(
          "An answered Register stays until its lifetime, its end or its successor",
          `${device.name} was told ${location}, and there is no such registration`,
        );
    }
  }

  // ---- A device ID never changes and is never given twice.

  named(device: SimulatedDevice, deviceId: string): void {
    // It still has the ID of an entry that was deleted.
    if (this.#deleted.has(deviceId)) return;
    const before = this.#ids.get(device);
    if (before !== undefined && before !== deviceId && !device.forgotten)
      this.#broken("A device ID never changes", `${device.name} was ${before} and is ${deviceId} now`);
    this.#ids.set(device, deviceId);
    const other = this.#names.get(deviceId);
    if (other && other !== device && other.cloneOf !== device && device.cloneOf !== other)
      this.#broken(
        "A device ID is never given twice",
        `${device.name} and ${other.name} are both ${deviceId}`,
      );
    this.#names.set(deviceId, device);
  }

  /** From here on it may get another ID: its entry was deleted, or it was set back to factory state. */
  renamed(device: SimulatedDevice): void {
    const id = this.#ids.get(device);
    this.#ids.delete(device);
    if (id !== undefined && this.#names.get(id) === device) this.#names.delete(id);
  }

  // ---- What must not be done twice is sent at most once, and whoever asked gets one end.

  executed(device: SimulatedDevice, path: string, args: string): void {
    if (!args.startsWith("once-")) return;
    this.onexecuted();
    const times = (this.#executed.get(args) ?? 0) + 1;
    this.#executed.set(args, times);
    this.world.say(`${device.name} executes ${path} (${args})`);
    if (times > 1)
      this.#broken(
        "An Execute is carried out at most once",
        `${device.name} did ${path} (${args}) ${times} times`,
      );
  }

  asks(asyncId: string, ownerId: string, what: string): void {
    this.#asked.set(asyncId, { ownerId, what, ends: 0 });
  }

  /** It was not taken: nothing comes of it. */
  refused(asyncId: string): void {
    this.#asked.delete(asyncId);
  }

  /** Whoever asked never heard whether it was taken: it may come to one end, or to none. */
  unsure(asyncId: string): void {
    const asked = this.#asked.get(asyncId);
    if (asked && asked.ends === 0) asked.unsure = true;
  }

  /** How many still wait for an end. */
  get pending(): number {
    let count = 0;
    for (const { ends, unsure } of this.#asked.values()) if (ends === 0 && !unsure) count++;
    return count;
  }

  /** Nobody may be left without an end once all that waits can have ended. */
  checkEnds(): void {
    for (const [asyncId, { what, ends, unsure }] of this.#asked)
      if (ends !== 1 && !unsure)
        this.#broken(
          "Whoever asks a device for something gets exactly one end",
          `${what} (${asyncId}) got ${ends}`,
        );
    this.check();
  }

  // ---- What applications are told happened, in the order in which it did, and in their own account.

  account(deviceId: string, accountId: string): void {
    this.#accounts.set(deviceId, accountId);
  }

  owner(ownerId: string, accountId: string): void {
    this.#owners.set(ownerId, accountId);
  }

  #written(groups: readonly { sql: string; rows: readonly object[] }[]): void {
    const told: { ownerId: string; kind: string; body: string }[] = [];
    const put = new Map<string, string>();
    const removed = new Set<string>();
    for (const { sql, rows } of groups) {
      if (sql.startsWith('INSERT INTO "Notification"')) told.push(...(rows as typeof told));
      if (sql.startsWith('INSERT INTO "Registration"'))
        for (const { deviceId, id, accountId } of rows as {
          deviceId: string;
          id: string;
          accountId: string;
        }[]) {
          put.set(deviceId, id);
          this.account(deviceId, accountId);
        }
      if (sql.startsWith('INSERT INTO "ResourceValue"'))
        for (const { deviceId, path } of rows as { deviceId: string; path: string }[])
          this.#touched.push([deviceId, path]);
      if (/^(INSERT INTO|DELETE FROM) "(Registration|Device)"/.test(sql)) this.disk.changed = true;
      if (sql.startsWith('DELETE FROM "Registration"'))
        for (const { deviceId } of rows as { deviceId: string }[]) removed.add(deviceId);
    }
    for (const { ownerId, kind, body } of told) {
      const notice = JSON.parse(body) as { ep?: string; id?: string; timestamp?: number };
      if (kind === "async-responses" && notice.id !== undefined) this.#ended(notice.id, ownerId);
      const accountId = notice.ep === undefined ? undefined : this.#accounts.get(notice.ep);
      if (accountId !== undefined && this.#owners.get(ownerId) !== accountId)
        this.#broken(
          "Nothing of one account reaches another",
          `an application of ${this.#owners.get(ownerId)} was told of device ${notice.ep} of ${accountId}`,
        );
      if (!(LIFECYCLE as readonly string[]).includes(kind) || notice.ep === undefined) continue;
      this.#lifecycle(ownerId, notice.ep, kind as (typeof LIFECYCLE)[number], put, removed);
    }
  }

  #lifecycle(
    ownerId: string,
    deviceId: string,
    kind: (typeof LIFECYCLE)[number],
    put: ReadonlyMap<string, string>,
    removed: ReadonlySet<string>,
  ): void {
    const key = `${ownerId} ${deviceId}`;
    const before = this.#seen.get(key);
    const wrong = (found: string) =>
      this.#broken(
        "An application is told what happened, in the order in which it did",
        `${deviceId}: ${found}`,
      );
    switch (kind) {
      case "registrations":
        if (!put.has(deviceId)) wrong("a registration was told that is not on disk with it");
        this.#seen.set(key, "in");
        return;
      case "reg-updates":
        if (before === "out") wrong("an update was told of a device that had deregistered");
        return;
      default:
        if (before === "out") wrong(`${kind} was told twice without a registration in between`);
        if (!removed.has(deviceId) && this.#accounts.has(deviceId) && !this.#deleted.has(deviceId))
          wrong(`${kind} was told, and the registration was not ended with it`);
        this.#seen.set(key, "out");
    }
  }

  readonly #deleted = new Set<string>();

  /** The entry is gone, with all that hung on it. */
  deleted(deviceId: string): void {
    this.#deleted.add(deviceId);
  }

  #ended(asyncId: string, ownerId: string): void {
    const asked = this.#asked.get(asyncId);
    if (!asked) return;
    if (asked.ownerId !== ownerId)
      this.#broken(
        "Nothing of one account reaches another",
        `the answer to ${asked.what} went to ${ownerId}`,
      );
    if (++asked.ends > 1)
      this.#broken("Whoever asks a device for something gets exactly one end", `${asked.what} got another`);
  }

  // ---- Values of one resource never go backwards in time.

  #checkValue(deviceId: string, path: string): void {
    const row = this.#value.get(deviceId, path);
    if (!row) return;
    const key = `${deviceId} ${path}`;
    const before = this.#values.get(key);
    if (before !== undefined && row.at < before)
      this.#broken(
        "Values of one resource never go backwards in time",
        `${key} was of ${before} and is of ${row.at}`,
      );
    this.#values.set(key, row.at);
  }

  // ---- Nothing is told to a person before it is on disk.

  heard(told: BusEvent): void {
    if (told.deviceId !== null && this.#deleted.has(told.deviceId)) return;
    const early = (what: string) => this.#broken("Nothing is told before it is on disk", what);
    if (told.kind === "event" && !this.#event.get(told.event.id)) early(told.event.description);
    if (told.kind === "values")
      for (const { path, at } of told.values)
        if ((this.#value.get(told.deviceId, path)?.at ?? 0) < at) early(`${path} of ${told.deviceId}`);
  }

  // ---- Sequence numbers of a DTLS session are never used twice.

  record(client: DtlsClient, view: RecordView, bytes: Buffer): void {
    const seen = this.#records.get(client) ?? new Map<string, string>();
    this.#records.set(client, seen);
    const key = `${view.epoch} ${view.sequence}`;
    const text = bytes.toString("latin1");
    const before = seen.get(key);
    // A forged or damaged copy is no use of the number: only what the session's keys open counts.
    if (
      before !== undefined &&
      before !== text &&
      client.opens(bytes) &&
      client.opens(Buffer.from(before, "latin1"))
    )
      this.#broken("A sequence number of a DTLS session is never used twice", `${client.id}, record ${key}`);
    seen.set(key, text);
  }

  /** After every step. */
  check(): void {
    if (this.#found) throw this.#found;
    // Only what was written can have broken something.
    if (!this.disk.changed && this.#touched.length === 0) return;
    for (const [deviceId, path] of this.#touched.splice(0)) this.#checkValue(deviceId, path);
    if (this.disk.changed) {
      this.disk.changed = false;
      this.#checkRegistrations();
    }
    if (this.#found) throw this.#found;
  }
}
