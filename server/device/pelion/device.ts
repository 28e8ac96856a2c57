import type { Clock, Timer } from "@/server/clock";
import { CoapFailure } from "@/server/coap/types";
import { ContentFormat } from "@/server/lwm2m";
import type { Bundle } from "@/server/pki";
import { readOwnCertificate } from "../certificate";
import type { Device, DeviceLog, DevicePhase } from "../device";
import { ConnectError } from "../link";
import { Backoff, type BackoffOptions } from "../pacing";
import { MODE, PelionBootstrap, type SecurityInstance } from "./bootstrap";
import { CoapMemory, PelionCoap, type PelionIncoming, type PelionResponse, type Responder } from "./coap";
import { type PelionConnect, parsePelionUri, type Resume } from "./connect";
import { enrol, readChain } from "./est";
import { PelionManagement } from "./management";
import { Notifier } from "./notifier";
import { addPelionObjects, MIN_LIFETIME } from "./objects";
import { FORBIDDEN_CERTIFICATES, LWM2M_CERTIFICATE, RenewalResult, readRenewal } from "./renewal";
import { factoryItems, NO_SERVER, type PelionItems, type PelionStore } from "./store";
import { type Delayed, PelionTree } from "./tree";

/** What it calls itself, whatever the release of the client is called. */
const CLIENT_VERSION = "mccv=4.13.2";
/** Lifetime the example is built with, s. */
const DEFAULT_LIFETIME = 7200;
const UPDATE_AT = 0.75;
/** A bootstrap or a registration that takes longer begins again. */
const FLOW_MS = 30 * 60_000;
/** Before it bootstraps again for want of credentials: 20 to 100 s at first, then doubled. */
const REBOOTSTRAP_MS = { least: 20_000, most: 100_000, max: 6 * 3_600_000 };
/** A device that is told a time before 2017 wipes its store at the next start. */
const EARLIEST_TIME = 1_483_264_800;
/** Bootstrap answers that the client does not retry after. */
const HOPELESS = ["4.02", "4.08", "4.12", "4.13", "4.15"];
const MAX_AUTOMATIC = 1023;
/** A server that is gone must not hold up the end of the process. */
const DEREGISTER_TIMEOUT_MS = 2_000;

export interface PelionOptions {
  bundle: Bundle;
  transport: "udp" | "tcp";
  store: PelionStore;
  connect: PelionConnect;
  clock: Clock;
  log: DeviceLog;
  /** Seconds; what the firmware was built with, default 7200. */
  lifetime?: number;
  /** How often the counter of the example counts, ms; default 10000. */
  tickMs?: number;
  backoff?: BackoffOptions;
  /** From 0 to below 1; default Math.random. */
  random?: () => number;
  onphase?: (phase: DevicePhase) => void;
}

/**
 * What comes of a failure: another try of the same, a new bootstrap without the LwM2M credentials, or one from
 * factory state.
 */
type Remedy = "retry" | "bootstrap" | "wipe";

class Trouble extends Error {
  constructor(
    readonly remedy: Remedy,
    message: string,
  ) {
    super(message);
  }
}

class Stopped extends Error {
  constructor() {
    super("The device was stopped.");
  }
}

type Want = "update" | "reboot" | "disable";

/**
 * A device that speaks as one with mbed-cloud-client 4.13 does, with all that makes this client particular, so that a
 * server can be tried against it.
 */
export class PelionDevice implements Device {
  readonly #options: PelionOptions;
  readonly #random: () => number;
  readonly #wants = new Set<Want>();
  /** What is waited for and has to end when the device is stopped. */
  readonly #waiting = new Set<(error: Error) => void>();
  /** Connections of the process before a reboot: the operating system keeps them open. */
  readonly #orphans: { close(): void }[] = [];
  #items: PelionItems;
  #phase: DevicePhase = "idle";
  // What a process of the client holds in memory.
  #memory: CoapMemory;
  #backoff: Backoff;
  #rebootstrapMs: number | null = null;
  #tree = new PelionTree();
  #notifier: Notifier | null = null;
  #management: PelionManagement | null = null;
  /** The device ID as Finish told it. */
  #internalEndpoint: string | null = null;
  #shortServerId = 0;
  #lifetime: number;
  #toldLifetime: number;
  #location: readonly string[] | null = null;
  #registered = false;
  #updateAt = 0;
  #coap: PelionCoap | null = null;
  /** Gives up the port of that connection, but not its session. */
  #leave: (() => Resume | null) | null = null;
  /** The session that the process before a reboot stored. */
  #resume: Resume | null = null;
  #crashed: string | null = null;
  #disabled = false;
  #stopping = false;
  #wake: (() => void) | null = null;
  #tick: Timer | null = null;
  #running: Promise<void> | null = null;
  #setup: { promise: Promise<void>; resolve(): void; reject(error: Error): void };

  constructor(options: PelionOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#items = factoryItems(options.bundle, options.transport);
    this.#memory = new CoapMemory(options.clock);
    this.#backoff = new Backoff(options.backoff ?? {}, this.#random);
    this.#lifetime = this.#toldLifetime = options.lifetime ?? DEFAULT_LIFETIME;
    let resolve = () => {};
    let reject = (_: Error) => {};
    const promise = new Promise<void>((done, fail) => {
      resolve = done;
      reject = fail;
    });
    promise.catch(() => {});
    this.#setup = { promise, resolve, reject };
  }

  get phase(): DevicePhase {
    return this.#phase;
  }

  /** The ID the service gave it, once it has bootstrapped. */
  get deviceId(): string | null {
    return this.#internalEndpoint ?? this.#items.internalEndpoint;
  }

  /** The request that the client did not survive, or null. */
  get crashed(): string | null {
    return this.#crashed;
  }

  /** Its objects; a change of a value or an instance is told to the server as the client does. */
  get tree(): PelionTree {
    return this.#tree;
  }

  /** Starts the device; resolves when it is registered for the first time, rejects when it is stopped before. */
  setup(): Promise<void> {
    this.#running ??= this.#run();
    return this.#setup.promise;
  }

  /** Updates the registration now. */
  update(): void {
    this.#want("update");
  }

  /** Starts itself anew once it is registered, as after an update of its firmware. */
  reboot(): void {
    this.#want("reboot");
  }

  /** Ends the device. The client does not deregister unless it is told to. */
  async stop({ deregister = false }: { deregister?: boolean } = {}): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true;
      if (deregister) await this.#deregister();
      for (const abort of this.#waiting) abort(new Stopped());
      this.#wake?.();
    }
    await this.#running;
    this.#coap?.close();
    for (const peer of this.#orphans) peer.close();
    if (!this.#crashed) this.#setPhase("stopped");
  }

  get #over(): boolean {
    return this.#stopping || this.#crashed !== null || this.#disabled;
  }

  async #run(): Promise<void> {
    const { clock, tickMs = 10_000 } = this.#options;
    let count = 0;
    const tick = () => {
      this.#tree.set("3200/0/5501", String(++count));
      this.#tick = clock.after(tickMs, tick);
    };
    try {
      await this.#start();
      this.#tick = clock.after(tickMs, tick);
      while (!this.#over) {
        try {
          if (this.#items.lwm2m.uri === null) await this.#bootstrap();
          else await this.#serve(this.#items.lwm2m.uri);
        } catch (error) {
          if (!this.#over) await this.#recover(error);
        }
      }
      this.#setup.reject(new Stopped());
    } catch (error) {
      this.#setup.reject(error as Error);
      if (!this.#over) this.#options.log.warn(`The device gives up: ${(error as Error).message}`);
    } finally {
      this.#tick?.cancel();
      this.#notifier?.stop();
      if (this.#disabled) this.#setPhase("stopped");
    }
  }

  // ---- the process

  /** The client begins, with what lies in its store. */
  async #start(): Promise<void> {
    const { bundle, transport, store, clock, log, backoff = {}, lifetime = DEFAULT_LIFETIME } = this.#options;
    const stored = await store.load();
    this.#items = stored ?? factoryItems(bundle, transport);
    if (stored && stored.time !== null && stored.time < EARLIEST_TIME) {
      log.warn("The stored time is of another age: the store is wiped.");
      this.#items = factoryItems(bundle, transport);
      await store.save(this.#items);
    }
    this.#memory = new CoapMemory(clock);
    this.#backoff = new Backoff(backoff, this.#random);
    this.#rebootstrapMs = null;
    this.#internalEndpoint = null;
    this.#location = null;
    this.#registered = false;
    this.#lifetime = this.#toldLifetime = lifetime;
    this.#wants.clear();
    this.#makeObjects();
  }

  #makeObjects(): void {
    const { clock } = this.#options;
    this.#notifier?.stop();
    this.#tree = new PelionTree(1 + Math.floor(this.#random() * (MAX_AUTOMATIC - 64)));
    addPelionObjects(
      this.#tree,
      // It says U over TCP too.
      { lifetime: this.#lifetime, binding: "U", shortServerId: this.#shortServerId },
      {
        update: () => this.#want("update"),
        lifetime: (seconds) => {
          this.#lifetime = seconds;
          this.#want("update");
        },
        reboot: () => this.#want("reboot"),
        disable: () => this.#want("disable"),
        factoryReset: () => void this.#factoryReset(),
        renew: (call) => void this.#renew(call),
      },
      clock,
    );
    this.#notifier = new Notifier(this.#tree, clock, (path, token, answer, done) => {
      if (!this.#coap || !this.#registered) return false;
      this.#coap.notify(path, token, answer, done);
      return true;
    });
    this.#management = new PelionManagement(this.#tree, this.#notifier, (why) => this.#crash(why));
    this.#tree.onstructure = () => this.#want("update");
  }

  #crash(why: string): void {
    this.#crashed = why;
    this.#options.log.warn(`The client has crashed: ${why}.`);
    this.#setPhase("crashed");
    this.#coap?.close();
    for (const abort of this.#waiting) abort(new Stopped());
    this.#wake?.();
  }

  /** The store goes back to factory state; the process goes on with what it has in memory. */
  async #factoryReset(): Promise<void> {
    const { bundle, transport, store, log } = this.#options;
    log.info("Factory reset: the credentials are wiped, the next start bootstraps.");
    await store.save(factoryItems(bundle, transport));
  }

  async #reboot(): Promise<void> {
    this.#options.log.info("Rebooting.");
    const coap = this.#coap;
    this.#coap = null;
    coap?.abandon();
    // A TCP socket outlives the process that opened it, and nobody says good-bye.
    if (this.#leave) this.#resume = this.#leave();
    else if (coap) this.#orphans.push(coap);
    await this.#start();
  }

  /** Waits as the client does after a failure. */
  async #recover(error: unknown): Promise<void> {
    const { log, bundle, transport, store } = this.#options;
    const remedy = error instanceof Trouble ? error.remedy : "retry";
    const reason = (error instanceof Error ? error.message : String(error)).replace(/\.?$/, ".");
    let delay: number;
    if (remedy === "retry") {
      delay = this.#backoff.next();
      log.warn(`${reason} Trying again in ${Math.round(delay / 1000)} s.`);
    } else {
      const { least, most, max } = REBOOTSTRAP_MS;
      delay = this.#rebootstrapMs ?? Math.round(least + this.#random() * (most - least));
      this.#rebootstrapMs = Math.min(delay * 2, max);
      if (remedy === "wipe") this.#items = factoryItems(bundle, transport);
      this.#items.lwm2m = { ...NO_SERVER };
      this.#location = null;
      await store.save(this.#items);
      log.warn(`${reason} Bootstrapping again in ${Math.round(delay / 1000)} s.`);
    }
    this.#setPhase("waiting");
    await this.#sleep(delay);
  }

  // ---- bootstrap

  async #bootstrap(): Promise<void> {
    const { bundle, log, store } = this.#options;
    this.#setPhase("bootstrapping");
    const { internalEndpoint } = this.#items;
    let text = this.#items.bootstrap.uri;
    // Appended once and kept with the URI from then on.
    if (internalEndpoint && !text.includes(`&iep=${internalEndpoint}`)) text += `&iep=${internalEndpoint}`;
    const uri = parsePelionUri(text);
    if (!uri) throw new Trouble("retry", `${text} is no address of a bootstrap server`);
    log.info(`Bootstrapping at ${text} as ${bundle.endpointName}.`);

    const ended = new Outcome<never>();
    const finished = new Outcome<string | null>();
    const session = new PelionBootstrap(this.#items, text, {
      onstored: () => void store.save(this.#items),
      onfinished: (deviceId) => finished.resolve(deviceId),
      onabort: (reason) => finished.reject(new Trouble("retry", reason)),
      oncommand: (what) => log.info(`Bootstrap: ${what}`),
    });
    const coap = await this.#open(text, "bootstrap", (request, responder) =>
      session.handle(request, responder),
    );
    coap.onend = (reason) =>
      ended.reject(new Trouble("retry", `The bootstrap server ended the connection: ${reason}`));
    const limit = this.#options.clock.after(FLOW_MS, () =>
      ended.reject(new Trouble("retry", "The bootstrap took longer than 30 minutes")),
    );
    const until = <T>(promise: Promise<T>) => this.#until(Promise.race([ended.promise, promise]));
    try {
      const response = await until(
        coap.link.request({
          method: "POST",
          path: ["bs"],
          query: [`ep=${bundle.endpointName}`, ...uri.query, CLIENT_VERSION],
          // A Delete that came before would be ignored.
          onresponse: (code) => (session.accepted = code.startsWith("2.")),
        }),
      );
      if (!response.code.startsWith("2.")) {
        const trouble = new Trouble("retry", `The bootstrap server answered ${describe(response)}`);
        if (!HOPELESS.includes(response.code)) throw trouble;
        log.warn(`${trouble.message}. The client stays on the connection and does nothing more.`);
        this.#setPhase("stuck");
        await until(new Promise<never>(() => {}));
      }
      const deviceId = await until(finished.promise);
      await this.#takeAccount(session, deviceId, coap.link, until);
      log.info(`Bootstrapped: device ID ${this.#items.internalEndpoint}, server ${this.#items.lwm2m.uri}.`);
    } finally {
      limit.cancel();
      coap.link.close();
    }
    this.#backoff.reset();
  }

  async #takeAccount(
    session: PelionBootstrap,
    deviceId: string | null,
    link: PelionCoap,
    until: <T>(promise: Promise<T>) => Promise<T>,
  ): Promise<void> {
    const { store } = this.#options;
    const account = session.account();
    if (!account) throw new Trouble("retry", "No account was written");
    const items = this.#items;
    items.bootstrap.uri = session.bootstrapUri();
    if (session.time !== null) items.time = session.time;
    if (account.mode === MODE.est) {
      this.#internalEndpoint = deviceId;
      await this.#enrolFirst(account, deviceId ?? "", link, until);
    } else this.#internalEndpoint = null;
    const [leaf] = items.lwm2m.chain;
    const own = leaf && readOwnCertificate(leaf);
    if (account.mode !== MODE.noSecurity) {
      if (!own?.deviceId) throw new Trouble("wipe", "The certificate has no device ID (L)");
      items.internalEndpoint = own.deviceId;
    }
    items.lwm2m.uri = account.uri;
    await store.save(items);
    this.#shortServerId = session.server.shortServerId;
    const { lifetime } = session.server;
    this.#lifetime = lifetime ?? this.#lifetime;
    this.#makeObjects();
  }

  /** Asks for the first certificate, on the connection of the bootstrap. */
  async #enrolFirst(
    account: SecurityInstance,
    deviceId: string,
    link: PelionCoap,
    until: <T>(promise: Promise<T>) => Promise<T>,
  ): Promise<void> {
    const { bundle, store, log } = this.#options;
    const items = this.#items;
    const accountId = items.accountId ?? accountOf(account.uri);
    let fault = accountId ? null : `there is no aid in ${account.uri}`;
    if (accountId) {
      items.lwm2m.chain = [];
      items.lwm2m.privateKey = null;
      const subject = { deviceId, accountId, endpointName: bundle.endpointName };
      const { privateKey, request } = await until(enrol(subject));
      // The trap: the key is in the store before the request is out, and nothing takes it away when that fails.
      items.lwm2m.privateKey = privateKey;
      await store.save(items);
      const response = await until(link.request(enrolment(request)));
      const chain = response.code.startsWith("2.") ? readChain(response.payload) : null;
      if (chain) items.lwm2m.chain = chain;
      else fault = describe(response);
    }
    if (fault === null) return;
    log.warn(`The enrolment failed: ${fault}. The client waits until the server ends the connection.`);
    await until(new Promise<never>(() => {}));
  }

  // ---- registration

  async #serve(text: string): Promise<void> {
    this.#setPhase("registering");
    const items = this.#items;
    const uri = parsePelionUri(text);
    items.accountId ??= accountOf(text);
    const endpointName = items.lwm2m.chain[0] && readOwnCertificate(items.lwm2m.chain[0]).endpointName;
    // The client reports that it cannot read its credentials, wipes the store and begins anew.
    if (!uri || !items.accountId || !endpointName)
      throw new Trouble("wipe", `${text} is not the address of a LwM2M server with an account (aid)`);

    const ended = new Outcome<never>();
    const coap = await this.#open(text, "lwm2m", (request, responder) =>
      this.#management?.handle(request, responder),
    );
    coap.onend = (reason) =>
      ended.reject(new Trouble("retry", `The connection to the server ended: ${reason}`));
    this.#coap = coap.link;
    const until = <T>(promise: Promise<T>) => this.#until(Promise.race([ended.promise, promise]));
    const register = () => this.#register(coap.link, { endpointName, query: uri.query }, until);
    try {
      if (!this.#location) await register();
      else if (!(await this.#update(coap.link, until))) await register();
      for (;;) {
        this.#setPhase("registered");
        this.#setup.resolve();
        this.#notifier?.pump();
        await this.#nextEvent(until);
        if (this.#over) return;
        if (this.#wants.delete("reboot")) return await this.#reboot();
        if (this.#wants.delete("disable")) {
          await until(this.#deregister());
          this.#disabled = true;
          return;
        }
        if (!(await this.#update(coap.link, until))) await register();
      }
    } finally {
      this.#registered = false;
      this.#notifier?.disconnected();
      if (this.#coap) this.#coap.close();
      this.#coap = null;
    }
  }

  /** Waits until something is wanted, which it is at the latest when an update is due. */
  async #nextEvent(until: <T>(promise: Promise<T>) => Promise<T>): Promise<void> {
    const { clock } = this.#options;
    if (this.#wants.size > 0 || this.#over) return;
    const woken = new Outcome<void>();
    this.#wake = () => woken.resolve();
    const timer = clock.after(Math.max(0, this.#updateAt - clock.now()), () => woken.resolve());
    try {
      await until(woken.promise);
    } finally {
      timer.cancel();
      this.#wake = null;
    }
  }

  async #register(
    coap: PelionCoap,
    { endpointName, query }: { endpointName: string; query: string[] },
    until: <T>(promise: Promise<T>) => Promise<T>,
  ): Promise<void> {
    const { clock, log, store, lifetime = DEFAULT_LIFETIME } = this.#options;
    this.#setPhase("registering");
    this.#registered = false;
    this.#location = null;
    this.#wants.delete("update");
    this.#notifier?.reset();
    const links = this.#tree.links();
    this.#tree.told();
    this.#toldLifetime = lifetime;
    const limit = new Outcome<never>();
    const timer = clock.after(FLOW_MS, () =>
      limit.reject(new Trouble("retry", "The registration took longer than 30 minutes")),
    );
    try {
      const response = await until(
        Promise.race([
          limit.promise,
          coap.request({
            method: "POST",
            path: ["rd"],
            query: [
              `ep=${endpointName}`,
              "et=default",
              `lt=${lifetime}`,
              "lwm2m=1.0",
              `d=${this.#items.accountId}`,
              "b=U",
              ...query,
              CLIENT_VERSION,
            ],
            contentFormat: ContentFormat.link,
            payload: Buffer.from(links),
          }),
        ]),
      );
      if (response.code === "4.00" || response.code === "4.03")
        throw new Trouble("bootstrap", `The server refused the registration with ${describe(response)}`);
      if (response.code !== "2.01")
        throw new Trouble("retry", `The server answered the registration with ${describe(response)}`);
      if (response.locationPath.length === 0) {
        log.warn("The server gave the registration no location: the client ignores the answer.");
        await until(limit.promise);
      }
      this.#location = response.locationPath;
      if (response.maxAge !== null && response.maxAge >= MIN_LIFETIME)
        this.#lifetime = this.#toldLifetime = response.maxAge;
      this.#alive();
      const internal = this.#internalEndpoint ?? response.locationPath.at(-1) ?? null;
      if (this.#items.internalEndpoint && this.#items.internalEndpoint !== internal) {
        this.#items.internalEndpoint = internal;
        await store.save(this.#items);
      }
      log.info(`Registered as ${endpointName} at /${response.locationPath.join("/")}.`);
    } finally {
      timer.cancel();
    }
  }

  /** False when the server does not know the registration: a full one follows on the same connection. */
  async #update(coap: PelionCoap, until: <T>(promise: Promise<T>) => Promise<T>): Promise<boolean> {
    const { log } = this.#options;
    this.#wants.delete("update");
    const links = this.#tree.delta();
    this.#tree.told();
    const lifetime = this.#lifetime;
    const response = await until(
      coap.request({
        method: "POST",
        path: this.#location ?? [],
        query: ["et=default", ...(lifetime === this.#toldLifetime ? [] : [`lt=${lifetime}`])],
        contentFormat: ContentFormat.link,
        payload: Buffer.from(links),
      }),
    );
    if (response.code !== "2.04") {
      log.warn(`The server answered the update with ${describe(response)}: registering anew.`);
      return false;
    }
    this.#toldLifetime = lifetime;
    this.#alive();
    log.info("Updated the registration.");
    return true;
  }

  #alive(): void {
    this.#registered = true;
    this.#updateAt = this.#options.clock.now() + this.#lifetime * 1000 * UPDATE_AT;
    this.#backoff.reset();
  }

  async #deregister(): Promise<void> {
    if (!this.#coap || !this.#location) return;
    const path = this.#location;
    this.#location = null;
    const gaveUp = new Outcome<void>();
    const timer = this.#options.clock.after(DEREGISTER_TIMEOUT_MS, () => gaveUp.resolve());
    await Promise.race([this.#coap.request({ method: "DELETE", path }).catch(() => {}), gaveUp.promise]);
    timer.cancel();
  }

  // ---- certificate renewal

  async #renew(call: Delayed): Promise<void> {
    const result = await this.#renewed(call.arguments);
    this.#options.log.info(`The renewal of a certificate ended with ${result}.`);
    call.finish(String(result));
  }

  async #renewed(payload: Uint8Array): Promise<number> {
    const name = readRenewal(payload);
    const coap = this.#coap;
    const { lwm2m, accountId } = this.#items;
    if (name === null) return RenewalResult.malformed;
    if (FORBIDDEN_CERTIFICATES.includes(name)) return RenewalResult.forbidden;
    const own = name === LWM2M_CERTIFICATE && lwm2m.chain[0] ? readOwnCertificate(lwm2m.chain[0]) : null;
    if (!own || !coap || !accountId) return RenewalResult.notFound;
    const subject = { deviceId: own.deviceId ?? "", accountId, endpointName: own.endpointName ?? "" };
    try {
      const { privateKey, request } = await enrol(subject, true);
      const response = await coap.request(enrolment(request));
      const chain = response.code.startsWith("2.") ? readChain(response.payload) : null;
      if (!chain) return RenewalResult.enrolment;
      // Both at once; they are used from the next handshake on.
      this.#items.lwm2m = { ...this.#items.lwm2m, chain, privateKey };
      await this.#options.store.save(this.#items);
      return RenewalResult.success;
    } catch (error) {
      if (error instanceof CoapFailure) return RenewalResult.enrolment;
      throw error;
    }
  }

  // ---- connections and waiting

  async #open(
    text: string,
    to: "bootstrap" | "lwm2m",
    onrequest: (request: PelionIncoming, responder: Responder) => void,
  ): Promise<{ link: PelionCoap; onend: ((reason: string) => void) | null }> {
    const { connect, transport, clock, store, log } = this.#options;
    const { host = "", port = 0 } = parsePelionUri(text) ?? {};
    const target = {
      ...{ host, port, transport },
      server: this.#items[to],
      deviceTime: this.#items.time ?? 0,
    };
    // The session it stored is good for one try, and a bootstrap forgets it.
    const resume = to === "lwm2m" ? this.#resume : null;
    this.#resume = null;
    const opening = resume ? resume() : connect(target);
    try {
      const { peer, serverTime, leave } = await this.#until(opening);
      this.#leave = leave ?? null;
      if (serverTime !== null) {
        this.#items.time = serverTime;
        await store.save(this.#items);
      }
      let lost: string | null = null;
      const opened = {
        link: null as unknown as PelionCoap,
        onend: null as ((reason: string) => void) | null,
      };
      opened.link = new PelionCoap(peer, {
        ...{ clock, port, onrequest },
        random: this.#random,
        memory: this.#memory,
        ping: transport === "tcp" && to === "lwm2m",
        onend: (reason) => {
          lost = reason;
          log.warn(`The connection to ${text} ended: ${reason}.`);
          opened.onend?.(reason);
        },
      });
      if (lost !== null || peer.closed) throw new Error(lost ?? "it was closed at once");
      return opened;
    } catch (error) {
      if (this.#over) opening.then(({ peer }) => peer.close()).catch(() => {});
      const refused = error instanceof ConnectError && error.kind === "refused" && to === "lwm2m";
      throw new Trouble(
        refused ? "bootstrap" : "retry",
        `No connection to ${text}: ${(error as Error).message}`,
      );
    }
  }

  #until<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#over) {
        reject(new Stopped());
        return;
      }
      this.#waiting.add(reject);
      promise.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  #want(want: Want): void {
    this.#wants.add(want);
    this.#wake?.();
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#over) return;
    const slept = new Outcome<void>();
    const timer = this.#options.clock.after(ms, () => slept.resolve());
    await this.#until(slept.promise).catch(() => {});
    timer.cancel();
  }

  #setPhase(phase: DevicePhase): void {
    if (this.#phase === phase) return;
    this.#phase = phase;
    this.#options.onphase?.(phase);
  }
}

/** A promise with its two ends; nobody waiting for it is no reason to end the process. */
class Outcome<T> {
  resolve!: (value: T) => void;
  reject!: (error: Error) => void;
  readonly promise = new Promise<T>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor() {
    this.promise.catch(() => {});
  }
}

const enrolment = (request: Uint8Array) =>
  ({ method: "POST", path: ["est", "sen"], payload: request, block2: true }) as const;

const accountOf = (uri: string): string | null =>
  parsePelionUri(uri)
    ?.query.find((item) => item.startsWith("aid="))
    ?.slice(4) || null;

function describe(response: PelionResponse): string {
  const text = Buffer.from(response.payload).toString("utf8").slice(0, 200);
  return text ? `${response.code} (${text})` : response.code;
}
