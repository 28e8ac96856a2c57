import { createVault, readBundle } from "@/server/pki";
import { createAccount } from "@/server/services/accounts/manage";
import { createApiKey } from "@/server/services/api-keys/create";
import { createDeveloperCertificate } from "@/server/services/certificates/create-developer";
import { takeBundle } from "@/server/services/certificates/take-bundle";
import type { Actor, Context } from "@/server/services/context";
import { actAs, createContext } from "@/server/services/create-context";
import { rebootstrapDevice } from "@/server/services/devices/rebootstrap";
import { removeDevice } from "@/server/services/devices/remove";
import { ServiceError } from "@/server/services/errors";
import { ensureInstance } from "@/server/services/instance/ensure";
import { createFirstAdministrator } from "@/server/services/instance/setup";
import { serviceUris } from "@/server/services/instance/uris";
import { resumeDevice, suspendDevice } from "@/server/services/suspension/suspend";
import { Application } from "./applications";
import { type DeviceKind, SimulatedDevice } from "./devices";
import { Disk, type Fate } from "./disk";
import { Promises } from "./invariants";
import { CALM, Network, type Weather } from "./network";
import { Instance } from "./processes";
import { BrokenPromise, type World } from "./world";

const HOUR = 3_600_000;
const MINUTE = 60_000;

/** What goes wrong and what people do in one run, and how often: drawn from the seed, some of it none at all. */
export interface Faults {
  weather: Weather;
  /** Times an hour. */
  gatewayKills: number;
  portalKills: number;
  gatewayRestarts: number;
  /** Shares of commits. */
  killedBefore: number;
  killedAfter: number;
  /** Share of Executes after which the gateway is killed before it hears of them. */
  killedAtExecute: number;
  /** Share of what applications ask for after which it is killed before the device answers. */
  killedAtAsk: number;
  stalled: number;
  /** Times an hour that the disk is full for some minutes. */
  diskFull: number;
  /** Times an hour, of each device. */
  powerCuts: number;
  reboots: number;
  switchedOff: number;
  wiped: number;
  partitions: number;
  addressChanges: number;
  /** Times an hour, of all. */
  suspensions: number;
  deletions: number;
  rebootstraps: number;
  requests: number;
}

export interface Options {
  seed: number | string;
  /** Hours of bad weather; then it clears. */
  hours: number;
  devices: number;
  verbose?: boolean;
  /** Take the place of what the seed would draw. */
  faults?: Partial<Faults>;
  kind?: DeviceKind;
  onprogress?: (world: World) => void;
}

export interface Outcome {
  seed: number | string;
  deviceHours: number;
  steps: number;
  ms: number;
  digest: number;
  broken: string | null;
  /** The story up to there. */
  lines: readonly string[];
}

/** Swarm testing: each seed has a subset of the faults, at rates of its own. */
function drawFaults(world: World): Faults {
  const { random } = world;
  const rate = (share: number, most: number) => (random.chance(share) ? random.next() ** 2 * most : 0);
  const stormy = random.chance(0.7);
  const weather: Weather = stormy
    ? {
        loss: rate(0.7, 0.3),
        doubled: rate(0.5, 0.2),
        corrupted: rate(0.3, 0.05),
        truncated: rate(0.3, 0.05),
        least: random.int(1, 200),
        most: random.int(200, 5000),
        late: rate(0.6, 0.3),
        resets: rate(0.5, 2),
      }
    : { ...CALM };
  return {
    weather,
    gatewayKills: rate(0.5, 6),
    portalKills: rate(0.4, 6),
    gatewayRestarts: rate(0.3, 2),
    killedBefore: rate(0.3, 0.01),
    killedAfter: rate(0.3, 0.01),
    killedAtExecute: rate(0.4, 0.5),
    killedAtAsk: rate(0.3, 0.2),
    stalled: rate(0.4, 0.1),
    diskFull: rate(0.3, 2),
    powerCuts: rate(0.5, 1),
    reboots: rate(0.5, 1),
    switchedOff: rate(0.4, 0.5),
    wiped: rate(0.3, 0.1),
    partitions: rate(0.4, 0.5),
    addressChanges: rate(0.5, 2),
    suspensions: rate(0.4, 2),
    deletions: rate(0.3, 1),
    rebootstraps: rate(0.5, 3),
    requests: rate(0.8, 60),
  };
}

/** A whole instance with its devices, applications and people, in one process and out of one seed. */
export class Scenario {
  readonly devices: SimulatedDevice[] = [];
  readonly applications: Application[] = [];
  readonly promises: Promises;
  readonly faults: Faults;
  #full = false;
  #clear = false;
  #unexpected: string | null = null;
  /** Devices that a person suspended. */
  readonly #suspended = new Set<SimulatedDevice>();
  #people: { actor: Actor; accountId: string }[] = [];

  private constructor(
    readonly world: World,
    readonly disk: Disk,
    readonly network: Network,
    readonly instance: Instance,
    private readonly options: Options,
  ) {
    this.promises = new Promises(world, disk);
    this.faults = { ...drawFaults(world), ...options.faults };
    instance.onunexpected = (message) => {
      this.#unexpected ??= message;
    };
    instance.bus.ontold = (event) => this.promises.heard(event);
    instance.onportal = () => {
      for (const application of this.applications) application.poll();
    };
  }

  static async open(world: World, options: Options): Promise<Scenario> {
    const disk = await Disk.open(world);
    const network = new Network(world);
    const instance = new Instance(world, disk, network, createVault(disk.config));
    const scenario = new Scenario(world, disk, network, instance, options);
    await scenario.#furnish();
    return scenario;
  }

  /** Accounts, certificates, applications and devices, before anything goes wrong. */
  async #furnish(): Promise<void> {
    const { world, disk, network, promises, options } = this;
    const { config } = disk;
    const nobody = {
      publish() {},
      request: () => Promise.reject(new ServiceError("unavailable", "not running")),
    };
    const system = createContext({
      config,
      db: disk.db,
      bus: nobody as Context["bus"],
      clock: { now: () => world.now, after: (ms, run) => world.after(ms, run) },
      vault: this.instance.vault,
    });
    await ensureInstance(system, { publicHost: "gangway.example" });
    const password = "a long enough password";
    const first = await createFirstAdministrator(system, {
      token: null,
      email: "one@example.com",
      password,
    });
    const administrator = (id: string, accountId: string, email: string): Actor => ({
      kind: "user",
      id,
      accountId,
      role: "administrator",
      email,
    });
    const one = administrator(first.userId, first.accountId, "one@example.com");
    const second = await createAccount(actAs(system, one), {
      name: "Second",
      administrator: { email: "two@example.com", password },
    });
    const accounts = [
      { accountId: first.accountId, actor: one },
      { accountId: second.id, actor: administrator(second.userId, second.id, "two@example.com") },
    ];
    this.#people = accounts;
    const bundles = [];
    for (const { accountId, actor } of accounts) {
      const ctx = actAs(system, actor);
      const { id } = await createDeveloperCertificate(ctx, { name: "devices" });
      const { zip } = await takeBundle(ctx, { id, uris: serviceUris(config) });
      bundles.push({ accountId, bundle: readBundle(zip) });
      for (let n = 0; n < 2; n++) {
        const { id: keyId, name, key } = await createApiKey(ctx, { name: `application-${n}` });
        this.applications.push(
          new Application(
            world,
            this.instance,
            promises,
            `${name}@${accountId.slice(-4)}`,
            { kind: "apiKey", id: keyId, accountId, name },
            key,
          ),
        );
      }
    }
    for (let n = 0; n < options.devices; n++) {
      const { accountId, bundle } = world.random.pick(bundles);
      const profile = world.random.pick(["reference", "pelion", "pelion"] as const);
      const kind: DeviceKind = options.kind ?? {
        profile,
        transport: world.random.pick(["udp", "udp", "tcp"] as const),
        lifetime: world.random.pick([300, 1200, 7200, 7200, 86_400]),
        cid: world.random.pick([profile === "pelion" ? "draft" : "rfc9146", null]),
      };
      // Reference devices of one certificate tell themselves apart by their names.
      const named =
        kind.profile === "pelion" ? bundle : { ...bundle, endpointName: `${bundle.endpointName}-${n}` };
      const device = new SimulatedDevice(
        world,
        network,
        `device-${n}`,
        accountId,
        named,
        kind,
        // Some share the address of their router.
        `198.51.100.${world.random.int(1, Math.max(2, Math.ceil(options.devices * 0.7)))}`,
        promises,
      );
      device.onrecord = (...seen) => promises.record(...seen);
      this.devices.push(device);
    }
  }

  /** Does something at random times, so many times an hour, as long as the weather is bad. */
  #sometimes(perHour: number, run: () => unknown): void {
    if (perHour <= 0) return;
    const { world } = this;
    const next = () => {
      const ms = (-Math.log(1 - world.random.next()) / perHour) * HOUR;
      world.after(ms, () => {
        if (this.#clear) return;
        try {
          Promise.resolve(run()).catch((error: unknown) => this.#failed(error));
        } catch (error) {
          this.#failed(error);
        }
        next();
      });
    };
    next();
  }

  #failed(error: unknown): void {
    if (error instanceof ServiceError && !/internal_error|validation_error/.test(error.code)) return;
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    // Prisma says so of a transaction whose process was killed.
    if (/killed|disk is full/.test(words)) return;
    this.#unexpected ??= words;
  }

  #begin(): void {
    const { world, instance, faults, network, disk } = this;
    network.weather = faults.weather;
    disk.fate = (life): Fate => {
      if (this.#clear) return "written";
      if (this.#full) return "full";
      const draw = world.random.next();
      const isGateway = life === instance.gateway?.life;
      if (draw < faults.killedBefore) return this.#willRestart(isGateway, "killed before");
      if (draw < faults.killedBefore + faults.killedAfter)
        return this.#willRestart(isGateway, "killed after");
      if (draw < faults.killedBefore + faults.killedAfter + faults.stalled)
        return { stallMs: world.random.int(1, 3000) };
      return "written";
    };
    this.promises.onexecuted = () => {
      if (this.#clear || !world.random.chance(faults.killedAtExecute)) return;
      world.after(0, () => instance.gateway?.life.kill());
      this.#willRestart(true, "killed after");
    };
    instance.startGateway();
    instance.startPortal();
    for (const device of this.devices) world.after(world.random.int(0, 20_000), () => device.start());

    this.#sometimes(faults.gatewayKills, () => {
      // At any moment: in the middle of whatever is awaited a little later.
      world.after(world.random.int(0, 20), () => instance.gateway?.life.kill());
      world.after(world.random.int(100, 60_000), () => instance.startGateway());
    });
    this.#sometimes(faults.gatewayRestarts, async () => {
      world.after(world.random.int(1000, 20_000), () => instance.startGateway());
      await instance.stopGateway();
    });
    this.#sometimes(faults.portalKills, () => {
      instance.portal?.life.kill();
      world.after(world.random.int(100, 60_000), () => instance.startPortal());
    });
    this.#sometimes(faults.diskFull, () => {
      world.say("the disk is full");
      this.#full = true;
      world.after(world.random.int(1000, 5 * MINUTE), () => {
        if (!this.#full) return;
        this.#full = false;
        world.say("there is room on the disk again");
      });
    });
    for (const device of this.devices) {
      this.#sometimes(faults.powerCuts, () => {
        device.cut();
        world.after(world.random.int(100, 10 * MINUTE), () => device.start());
      });
      this.#sometimes(faults.reboots, () => device.reboot());
      this.#sometimes(faults.switchedOff, () => {
        device.stop();
        world.after(world.random.int(20_000, 30 * MINUTE), () => device.start());
      });
      this.#sometimes(faults.wiped, () => {
        this.promises.renamed(device);
        device.wipe();
      });
      this.#sometimes(faults.partitions, () => {
        world.say(`${device.name} has no network`);
        device.place.partitioned = true;
        world.after(world.random.int(1000, 30 * MINUTE), () => {
          world.say(`${device.name} has a network again`);
          device.place.partitioned = false;
        });
      });
      this.#sometimes(faults.addressChanges, () => {
        world.say(`the router of ${device.name} forgets it`);
        if (world.random.chance(0.3)) device.place.move(`198.51.100.${world.random.int(200, 254)}`);
        else device.place.forget();
      });
    }
    this.#sometimes(faults.suspensions, () => this.#suspend());
    this.#sometimes(faults.deletions, () => this.#delete());
    this.#sometimes(faults.rebootstraps, () => this.#rebootstrap());
    this.#sometimes(faults.requests, async () => {
      const device = world.random.pick(this.devices);
      const id = device.deviceId;
      const applications = this.applications.filter(({ accountId }) => accountId === device.accountId);
      // Now and then one asks for a device of another account.
      const asker = world.random.chance(0.02)
        ? world.random.pick(this.applications)
        : world.random.pick(applications);
      if (id) await asker.act(id);
      if (id && world.random.chance(faults.killedAtAsk)) {
        world.after(world.random.int(0, 20), () => instance.gateway?.life.kill());
        this.#willRestart(true, "killed after");
      }
    });
  }

  #willRestart<T extends Fate>(isGateway: boolean, fate: T): T {
    const { world, instance } = this;
    world.after(world.random.int(100, 60_000), () =>
      isGateway ? instance.startGateway() : instance.startPortal(),
    );
    return fate;
  }

  /** A person of the device's account, at the portal that runs now. */
  #person(device: SimulatedDevice): Context | null {
    const { portal } = this.instance;
    const person = this.#people.find(({ accountId }) => accountId === device.accountId);
    return portal?.life.alive && person ? actAs(portal.context, person.actor) : null;
  }

  async #suspend(): Promise<void> {
    const { world } = this;
    const device = world.random.pick(this.devices);
    const ctx = this.#person(device);
    const id = device.deviceId;
    if (!ctx || !id || this.#suspended.has(device)) return;
    world.say(`somebody suspends ${device.name}`);
    this.#suspended.add(device);
    this.promises.ended(device);
    world.after(world.random.int(MINUTE, 20 * MINUTE), () => void this.#resume(device, id));
    await suspendDevice(ctx, { id, category: "maintenance" });
    this.promises.ended(device);
  }

  async #resume(device: SimulatedDevice, id: string): Promise<void> {
    const ctx = this.#person(device);
    if (!ctx) {
      this.world.after(30_000, () => void this.#resume(device, id));
      return;
    }
    try {
      await resumeDevice(ctx, { id, category: "maintenance" });
      this.world.say(`somebody resumes ${device.name}`);
      this.#suspended.delete(device);
    } catch (error) {
      if (error instanceof ServiceError && error.code === "not_found") this.#suspended.delete(device);
      else this.world.after(30_000, () => void this.#resume(device, id));
    }
  }

  async #delete(): Promise<void> {
    const { world } = this;
    const device = world.random.pick(this.devices);
    const ctx = this.#person(device);
    const id = device.deviceId;
    if (!ctx || !id || this.#suspended.has(device)) return;
    world.say(`somebody deletes ${device.name}`);
    this.promises.ended(device);
    this.promises.renamed(device);
    this.promises.deleted(id);
    await removeDevice(ctx, { id });
    this.promises.ended(device);
  }

  async #rebootstrap(): Promise<void> {
    const { world } = this;
    const device = world.random.pick(this.devices);
    const ctx = this.#person(device);
    const id = device.deviceId;
    if (!ctx || !id) return;
    world.say(`somebody has ${device.name} bootstrap again`);
    this.promises.ended(device);
    await rebootstrapDevice(ctx, { id });
    this.promises.ended(device);
  }

  /** The weather clears: nothing goes wrong from here on, and everything that was off is on. */
  #clearUp(): void {
    const { world, instance, network } = this;
    world.say("the weather clears");
    this.#clear = true;
    this.#full = false;
    network.weather = { ...CALM };
    instance.startGateway();
    instance.startPortal();
    for (const device of this.devices) {
      device.place.partitioned = false;
      device.start();
    }
  }

  #check(): void {
    if (this.#unexpected !== null)
      throw new BrokenPromise(`Nothing fails that was not made to fail\n  ${this.#unexpected}`);
    this.promises.check();
  }

  async run(): Promise<void> {
    const { world, options } = this;
    world.onstep = () => this.#check();
    this.#begin();
    const end = world.now + options.hours * HOUR;
    while (world.now < end) {
      await world.run(Math.min(end, world.now + 10 * MINUTE));
      options.onprogress?.(world);
    }
    this.#clearUp();
    // The longest that a client sits out by itself is four hours and a tenth (six when it bootstraps for want of
    // credentials); a request that waits for a device expires within an hour.
    const latest = world.now + 8 * HOUR;
    // Some of them would not say anything for a day, and do not know that their connection is gone.
    world.after(HOUR, () => {
      for (const device of this.devices) if (device.registered) device.client?.update();
    });
    await world.run(world.now + HOUR);
    while (world.now < latest && !(this.#offline.length === 0 && this.promises.pending === 0))
      await world.run(world.now + 10 * MINUTE);
    this.#checkLiveness();
    this.promises.checkEnds();
  }

  /**
   * Brings in every device on a calm network that loses one datagram of each, of the first device the first, and so on;
   * returns how long each took to be registered, ms, and Infinity for one that is not within the time.
   */
  async loseOneOfEach(withinMs: number): Promise<{ lost: number; ms: number }[]> {
    const { world, network, instance, devices } = this;
    world.onstep = () => this.#check();
    instance.startGateway();
    instance.startPortal();
    await world.run(world.now + 1000);
    const order = new Map(devices.map(({ place }, n) => [place, n]));
    network.loses = (place, n) => order.get(place) === n;
    const start = world.now;
    const took = devices.map((_, lost) => ({ lost, ms: Number.POSITIVE_INFINITY }));
    for (const [n, device] of devices.entries()) {
      device.place.move(`198.51.100.${n + 1}`);
      device.start();
    }
    while (world.now < start + withinMs && took.some(({ ms }) => ms === Number.POSITIVE_INFINITY)) {
      await world.run(world.now + 100);
      for (const one of took) if (devices[one.lost]?.registered) one.ms = Math.min(one.ms, world.now - start);
    }
    // What was lost last of all may have been the answer to Register.
    await world.run(start + withinMs);
    for (const one of took) if (!devices[one.lost]?.registered) one.ms = Number.POSITIVE_INFINITY;
    return took.slice(0, Math.max(...devices.map(({ place }) => place.carried)));
  }

  get #offline(): SimulatedDevice[] {
    return this.devices.filter((device) => !device.registered);
  }

  #checkLiveness(): void {
    const offline = this.#offline;
    if (offline.length > 0)
      throw new BrokenPromise(
        `When the weather clears, every device that may be online is online\n  ${offline
          .map(
            (device) =>
              `${device.name} (${device.kind.profile}, ${device.kind.transport}) is ${device.client?.phase}`,
          )
          .join("\n  ")}`,
      );
  }

  async close(): Promise<void> {
    for (const device of this.devices) device.life.kill();
    this.instance.gateway?.life.kill();
    this.instance.portal?.life.kill();
    await this.world.settle();
    this.promises.close();
    await this.disk.close();
  }
}
