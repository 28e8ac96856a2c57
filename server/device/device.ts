import type { Clock, Timer } from "@/server/clock";
import { CoapFailure, type CoapRequest, type CoapResponse } from "@/server/coap/types";
import { ContentFormat, formatLinks, type Link, link } from "@/server/lwm2m";
import type { Bundle } from "@/server/pki";
import { BootstrapSession } from "./bootstrap-session";
import { type OwnCertificate, readOwnCertificate } from "./certificate";
import { type Connect, ConnectError, type Credentials, isRefusal, type ServerLink } from "./link";
import { Management } from "./management";
import { addStandardObjects, type DeviceObjects } from "./objects";
import { Backoff, type BackoffOptions, Gate } from "./pacing";
import type { DeviceProfile, Identity } from "./profile";
import type { Account, DeviceState, StateStore } from "./state";
import { ResourceTree } from "./tree";
import { parseServerUri, type ServerUri } from "./uri";

/** Seconds. */
const DEFAULT_LIFETIME = 300;
/** Share of the lifetime after which the registration is renewed. */
const UPDATE_AT = 0.75;
/** How long a client waits for the next command of a bootstrap server: EXCHANGE_LIFETIME. [RFC7252 §4.8.2] */
const BOOTSTRAP_SILENCE_MS = 247_000;
/** A server that is gone must not hold up the end of the process. */
const DEREGISTER_TIMEOUT_MS = 2_000;

/** Where a device says what it does; pino's loggers fit. */
export interface DeviceLog {
  info(message: string): void;
  warn(message: string): void;
}

export type DevicePhase =
  | "idle"
  | "bootstrapping"
  | "registering"
  | "registered"
  | "waiting"
  /** Connected and never going on: what Pelion's client does after some answers. */
  | "stuck"
  | "crashed"
  | "stopped";

/** What every kind of device can be asked and told. */
export interface Device {
  readonly phase: DevicePhase;
  /** The ID the service gave it, once it has bootstrapped. */
  readonly deviceId: string | null;
  /** Starts it; resolves when it is registered for the first time, rejects when it is stopped before. */
  setup(): Promise<void>;
  /** Updates the registration now. */
  update(): void;
  stop(options?: { deregister?: boolean }): Promise<void>;
}

export interface DeviceOptions {
  bundle: Bundle;
  transport: "udp" | "tcp";
  state: StateStore;
  connect: Connect;
  clock: Clock;
  log: DeviceLog;
  profile: DeviceProfile;
  /** Software version the objects show. */
  version: string;
  /** Seconds; default 300. */
  lifetime?: number;
  /** How often the values change, ms; default 1000. */
  tickMs?: number;
  backoff?: BackoffOptions;
  /** From 0 to below 1; default Math.random. */
  random?: () => number;
  onphase?: (phase: DevicePhase) => void;
}

type Want = "update" | "bootstrap" | "reboot" | "factoryReset";

/** The server does not accept this device as it is: only a new bootstrap helps. */
class Refused extends Error {}

class Stopped extends Error {
  constructor() {
    super("The device was stopped.");
  }
}

/** A promise with its two ends. */
class Deferred<T> {
  resolve!: (value: T) => void;
  reject!: (error: Error) => void;
  readonly promise = new Promise<T>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor() {
    // Whoever waits sees the failure; nobody waiting is no reason to end the process.
    this.promise.catch(() => {});
  }
}

/** What the server knows of the device. */
interface Told {
  links: Link[];
  lifetime: number;
  binding: string;
}

/** A device with the whole life of one: bootstraps, registers, updates, answers, and finds its way back. */
export class ReferenceDevice implements Device {
  readonly #options: DeviceOptions;
  readonly #random: () => number;
  readonly #gate: Gate;
  readonly #backoff: Backoff;
  readonly #wants = new Set<Want>();
  readonly #registered = new Deferred<void>();
  /** What is waited for and has to end when the device is stopped. */
  readonly #waiting = new Set<(error: Error) => void>();
  #state: DeviceState = { deviceId: null, account: null };
  #certificate: OwnCertificate | null = null;
  #tree = new ResourceTree();
  #management: Management | null = null;
  #objects: DeviceObjects | null = null;
  #link: ServerLink | null = null;
  #closedBecause: string | null = null;
  #location: readonly string[] | null = null;
  #told: Told | null = null;
  /** When to update and when the server forgets us, ms. */
  #updateAt = 0;
  #expiresAt = 0;
  #mustBootstrap = false;
  #refusals = 0;
  #phase: DevicePhase = "idle";
  #tick: Timer | null = null;
  #wake: (() => void) | null = null;
  #running: Promise<void> | null = null;
  #stopping = false;

  constructor(options: DeviceOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#gate = new Gate(options.clock);
    this.#backoff = new Backoff(options.backoff ?? {}, this.#random);
  }

  get phase(): DevicePhase {
    return this.#phase;
  }

  /** The ID the service gave it, once it has bootstrapped. */
  get deviceId(): string | null {
    return this.#state.deviceId;
  }

  /** The objects it shows; instances may be added and taken away, the server is told with the next update. */
  get tree(): ResourceTree {
    return this.#tree;
  }

  /** Starts the device; resolves when it is registered for the first time, rejects when it is stopped before. */
  setup(): Promise<void> {
    this.#running ??= this.#run();
    return this.#registered.promise;
  }

  /** Updates the registration now. */
  update(): void {
    this.#want("update");
  }

  /** Bootstraps again, as after an Execute of /1/0/9. */
  rebootstrap(): void {
    this.#want("bootstrap");
  }

  /** Ends the device, after a Deregister unless told otherwise. */
  async stop({ deregister = true }: { deregister?: boolean } = {}): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true;
      if (deregister) await this.#deregister();
      for (const abort of this.#waiting) abort(new Stopped());
      this.#wake?.();
    }
    await this.#running;
    this.#closeLink();
    this.#setPhase("stopped");
  }

  async #run(): Promise<void> {
    const { clock, tickMs = 1000 } = this.#options;
    const tick = () => {
      this.#objects?.tick();
      this.#tick = clock.after(tickMs, tick);
    };
    try {
      await this.#loadState();
      this.#tick = clock.after(tickMs, tick);
      while (!this.#stopping) {
        try {
          await this.#step();
        } catch (error) {
          if (this.#stopping) break;
          await this.#sleep(this.#afterFailure(error));
        }
      }
      this.#registered.reject(new Stopped());
    } catch (error) {
      this.#registered.reject(error as Error);
    } finally {
      this.#tick?.cancel();
      this.#management?.observations.clear();
    }
  }

  /** Does the one thing that is due, or waits for the next. */
  async #step(): Promise<void> {
    if (this.#wants.delete("factoryReset")) await this.#factoryReset();
    if (this.#wants.delete("reboot")) await this.#reboot();
    if (this.#wants.delete("bootstrap")) this.#mustBootstrap = true;
    const { account } = this.#state;
    if (!account || this.#mustBootstrap || this.#isExpired()) return this.#bootstrap();
    if (!this.#link) return this.#connect(account);
    if (!this.#location) return this.#register(account);
    const now = this.#options.clock.now();
    if (this.#wants.delete("update") || now >= this.#updateAt) return this.#update();
    await this.#sleep(
      Math.min(this.#updateAt, this.#certificate?.notAfter ?? Number.POSITIVE_INFINITY) - now,
    );
  }

  #isExpired(): boolean {
    if (!this.#certificate || this.#options.clock.now() < this.#certificate.notAfter) return false;
    this.#options.log.warn("The LwM2M certificate has expired: bootstrapping again.");
    return true;
  }

  /** Says what went wrong, and how long to wait before going on. */
  #afterFailure(error: unknown): number {
    this.#closeLink();
    const text = error instanceof Error ? error.message : String(error);
    const reason = /[.!?]$/.test(text) ? text : `${text}.`;
    if (error instanceof Refused) {
      this.#mustBootstrap = true;
      this.#location = null;
      this.#options.log.warn(`${reason} Bootstrapping again.`);
      // A refusal straight after a bootstrap must not become a circle at full speed.
      if (++this.#refusals === 1) return 0;
    }
    const delay = this.#backoff.next();
    this.#setPhase("waiting");
    this.#options.log.warn(`${reason} Trying again in ${Math.round(delay / 1000)} s.`);
    return delay;
  }

  async #bootstrap(): Promise<void> {
    const { bundle, transport, profile, clock, log, connect } = this.#options;
    this.#setPhase("bootstrapping");
    this.#closeLink();
    this.#location = null;
    const uri = requireUri(bundle.bootstrapUri[transport]);
    const done = new Deferred<void>();
    const session = new BootstrapSession(
      {
        lwm2mVersion: profile.lwm2mVersion,
        bootstrapUri: uri.text,
        bootstrapInstance: profile.bootstrapInstance,
        account: this.#state.account,
        otherInstances: ["/3/0", "/3303/0"],
      },
      (account) => this.#takeAccount(account),
      () => done.resolve(),
    );
    log.info(`Bootstrapping at ${uri.text} as ${bundle.endpointName}.`);
    const server = await this.#open(connect, uri, bundle, {
      onrequest: (request) => session.handle(request),
      onclose: (reason) => done.reject(new Error(`The bootstrap server ended the connection: ${reason}.`)),
    });
    let silence = null as Timer | null;
    const listen = () => {
      silence?.cancel();
      silence = clock.after(BOOTSTRAP_SILENCE_MS, () =>
        done.reject(new Error("The bootstrap server fell silent.")),
      );
    };
    session.oncommand = (what) => {
      log.info(`Bootstrap: ${what}`);
      listen();
    };
    try {
      listen();
      const response = await this.#ask(server, {
        method: "POST",
        path: ["bs"],
        query: profile.bootstrapQuery(this.#identity(uri, bundle.endpointName)),
      });
      if (!response.code.startsWith("2.")) {
        throw new Error(`The bootstrap server answered ${describe(response)}.`);
      }
      await this.#untilStopped(done.promise);
      this.#mustBootstrap = false;
      log.info(
        `Bootstrapped: device ID ${this.#state.deviceId ?? "none"}, server ${this.#state.account?.uri}.`,
      );
    } finally {
      silence?.cancel();
      server.close();
    }
  }

  /** Makes what the bootstrap server wrote our own; on disk before Finish is answered. */
  async #takeAccount(account: Account): Promise<void> {
    const certificate = account.credentials && readOwnCertificate(account.credentials.certificate);
    const deviceId = certificate?.deviceId ?? this.#state.deviceId;
    if (this.#state.deviceId && deviceId !== this.#state.deviceId) {
      this.#options.log.warn(
        `The service changed the device ID from ${this.#state.deviceId} to ${deviceId}.`,
      );
    }
    const state: DeviceState = { deviceId, account };
    await this.#options.state.save(state);
    this.#takeState(state);
  }

  async #loadState(): Promise<void> {
    this.#takeState(await this.#options.state.load());
  }

  #takeState(state: DeviceState): void {
    this.#state = state;
    const credentials = state.account?.credentials;
    this.#certificate = credentials ? readOwnCertificate(credentials.certificate) : null;
    this.#makeObjects();
  }

  #makeObjects(): void {
    const { clock, profile, version, transport, lifetime = DEFAULT_LIFETIME, bundle } = this.#options;
    this.#management?.observations.clear();
    this.#tree = new ResourceTree();
    this.#objects = addStandardObjects(
      this.#tree,
      {
        serialNumber: this.#state.deviceId ?? bundle.endpointName,
        softwareVersion: version,
        shortServerId: this.#state.account?.shortServerId ?? 1,
        binding: profile.binding(transport),
        lifetime,
      },
      {
        update: () => this.#want("update"),
        bootstrap: () => this.#want("bootstrap"),
        reboot: () => this.#want("reboot"),
        factoryReset: () => this.#want("factoryReset"),
      },
      { clock, random: this.#random },
    );
    this.#management = new Management(this.#tree, profile.lwm2mVersion, clock, this.#objects.defaultPmin);
    this.#tree.onstructure = () => this.#want("update");
  }

  async #connect(account: Account): Promise<void> {
    this.#setPhase("registering");
    const uri = this.#serverUri(account);
    this.#closedBecause = null;
    this.#link = await this.#open(this.#options.connect, uri, account.credentials, {
      onrequest: (request) => this.#management!.handle(request),
      onclose: (reason) => {
        this.#closedBecause = reason;
        this.#link = null;
        this.#options.log.warn(`The connection to the server ended: ${reason}.`);
        this.#wake?.();
      },
    });
    // The registration may live on: an update tells, and costs less than a new one.
    if (this.#options.clock.now() >= this.#expiresAt) this.#location = null;
    if (this.#location) await this.#update();
  }

  async #register(account: Account): Promise<void> {
    if (!(await this.#pass("Registering"))) return;
    const { profile, bundle, log } = this.#options;
    this.#setPhase("registering");
    const objects = this.#objects!;
    const told: Told = {
      links: profile.links(this.#tree),
      lifetime: objects.lifetime(),
      binding: objects.binding(),
    };
    this.#wants.delete("update");
    this.#management!.observations.clear();
    const uri = this.#serverUri(account);
    const endpointName = this.#certificate?.endpointName ?? bundle.endpointName;
    const response = await this.#askServer({
      method: "POST",
      path: ["rd"],
      query: profile.registerQuery(this.#identity(uri, endpointName), told),
      contentFormat: ContentFormat.link,
      payload: new Uint8Array(Buffer.from(formatLinks(told.links))),
      blockSize: profile.blockSize,
    });
    if (response.code === "4.00" || response.code === "4.03") {
      throw new Refused(`The server refused the registration with ${describe(response)}.`);
    }
    if (response.code !== "2.01")
      throw new Error(`The server answered the registration with ${describe(response)}.`);
    if (response.locationPath.length === 0) throw new Error("The server gave the registration no location.");
    this.#location = response.locationPath;
    this.#alive(told);
    log.info(`Registered as ${endpointName} for ${told.lifetime} s at /${response.locationPath.join("/")}.`);
  }

  async #update(): Promise<void> {
    if (!(await this.#pass("Updating"))) return;
    const { log, profile } = this.#options;
    const told = this.#told;
    if (!this.#location || !told) return;
    const objects = this.#objects!;
    const now: Told = {
      links: profile.links(this.#tree),
      lifetime: objects.lifetime(),
      binding: objects.binding(),
    };
    this.#wants.delete("update");
    const delta = linkDelta(told.links, now.links);
    const response = await this.#askServer({
      method: "POST",
      path: this.#location,
      query: [
        ...(now.lifetime === told.lifetime ? [] : [`lt=${now.lifetime}`]),
        ...(now.binding === told.binding ? [] : [`b=${now.binding}`]),
      ],
      ...(delta.length > 0 && {
        contentFormat: ContentFormat.link,
        payload: new Uint8Array(Buffer.from(formatLinks(delta))),
        blockSize: profile.blockSize,
      }),
    });
    if (response.code !== "2.04") {
      log.warn(`The server answered the update with ${describe(response)}: registering anew.`);
      this.#location = null;
      return;
    }
    this.#alive(now);
    log.info("Updated the registration.");
  }

  /** The server just confirmed that it knows us. */
  #alive(told: Told): void {
    const now = this.#options.clock.now();
    this.#told = told;
    this.#updateAt = now + told.lifetime * 1000 * UPDATE_AT;
    this.#expiresAt = now + told.lifetime * 1000;
    this.#backoff.reset();
    this.#refusals = 0;
    this.#setPhase("registered");
    this.#registered.resolve();
  }

  /** Waits until a registration or update may go out; false when something else came first. */
  async #pass(what: string): Promise<boolean> {
    for (let wait = this.#gate.enter(); wait > 0; wait = this.#gate.enter()) {
      this.#options.log.warn(
        `${what} is on hold for ${Math.ceil(wait / 1000)} s: too many within a short time.`,
      );
      const until = this.#options.clock.now() + wait;
      while (this.#options.clock.now() < until) {
        await this.#sleep(until - this.#options.clock.now());
        const other =
          this.#wants.has("bootstrap") || this.#wants.has("factoryReset") || this.#wants.has("reboot");
        if (this.#stopping || !this.#link || other) return false;
      }
    }
    return true;
  }

  async #reboot(): Promise<void> {
    this.#options.log.info("Rebooting.");
    this.#closeLink();
    this.#location = null;
    await this.#loadState();
  }

  async #factoryReset(): Promise<void> {
    this.#options.log.info(
      "Resetting to factory state: the LwM2M credentials and the device ID are forgotten.",
    );
    this.#closeLink();
    this.#location = null;
    const empty: DeviceState = { deviceId: null, account: null };
    await this.#options.state.save(empty);
    this.#takeState(empty);
  }

  async #deregister(): Promise<void> {
    if (!this.#link || !this.#location) return;
    const gaveUp = new Deferred<void>();
    const timer = this.#options.clock.after(DEREGISTER_TIMEOUT_MS, () => gaveUp.resolve());
    try {
      await Promise.race([
        this.#link.request({ method: "DELETE", path: this.#location, timeoutMs: DEREGISTER_TIMEOUT_MS }),
        gaveUp.promise,
      ]);
      this.#options.log.info("Deregistered.");
    } catch {
      // The registration expires by itself.
    } finally {
      timer.cancel();
      this.#location = null;
    }
  }

  async #open(
    connect: Connect,
    uri: ServerUri,
    credentials: Credentials | null,
    events: Parameters<Connect>[2],
  ): Promise<ServerLink> {
    const opening = connect(uri, uri.secure ? credentials : null, events);
    try {
      return await this.#untilStopped(opening);
    } catch (error) {
      if (this.#stopping) opening.then((late) => late.close()).catch(() => {});
      const isBootstrap = this.#phase === "bootstrapping";
      if (!isBootstrap && error instanceof ConnectError && error.kind === "refused") {
        throw new Refused(`No connection to ${uri.text}: ${error.message}`);
      }
      throw new Error(`No connection to ${uri.text}: ${(error as Error).message}`);
    }
  }

  async #askServer(request: CoapRequest): Promise<CoapResponse> {
    const server = this.#link;
    if (!server) throw new Error("The connection to the server is gone.");
    try {
      return await this.#ask(server, request);
    } catch (error) {
      // With TLS 1.3 a client learns only afterwards that its certificate was refused.
      if (this.#closedBecause && isRefusal(this.#closedBecause)) {
        throw new Refused(`The server refused the certificate: ${this.#closedBecause}.`);
      }
      throw error;
    }
  }

  async #ask(server: ServerLink, request: CoapRequest): Promise<CoapResponse> {
    try {
      return await this.#untilStopped(server.request(request));
    } catch (error) {
      if (error instanceof CoapFailure)
        throw new Error(`No answer to ${request.method} /${request.path.join("/")}: ${error.message}`);
      throw error;
    }
  }

  #untilStopped<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      promise.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  #identity(uri: ServerUri, endpointName: string): Identity {
    return { endpointName, deviceId: this.#state.deviceId, uriQuery: uri.query };
  }

  /** As with Pelion's client `coaps:` says nothing of the transport: it is the one the device runs on. */
  #serverUri(account: Account): ServerUri {
    const uri = requireUri(account.uri);
    return uri.transport === "tcp" ? uri : { ...uri, transport: this.#options.transport };
  }

  #want(want: Want): void {
    this.#wants.add(want);
    this.#wake?.();
  }

  /** Waits, or less when something happens. */
  async #sleep(ms: number): Promise<void> {
    if (this.#stopping || ms <= 0) return;
    const woken = new Deferred<void>();
    this.#wake = () => woken.resolve();
    const timer = this.#options.clock.after(ms, () => woken.resolve());
    await woken.promise;
    timer.cancel();
    this.#wake = null;
  }

  #closeLink(): void {
    const server = this.#link;
    this.#link = null;
    this.#management?.observations.clear();
    server?.close();
  }

  #setPhase(phase: DevicePhase): void {
    if (this.#phase === phase) return;
    this.#phase = phase;
    this.#options.onphase?.(phase);
  }
}

function requireUri(text: string): ServerUri {
  const uri = parseServerUri(text);
  if (!uri) throw new Error(`${text} is not the URI of a server.`);
  return uri;
}

function describe(response: CoapResponse): string {
  const text = Buffer.from(response.payload).toString("utf8").slice(0, 200);
  return text ? `${response.code} (${text})` : response.code;
}

/** New and changed links, and those that are gone marked with d. */
function linkDelta(before: readonly Link[], after: readonly Link[]): Link[] {
  const known = new Set(before.map((one) => formatLinks([one])));
  const present = new Set(after.map((one) => one.target));
  return [
    ...after.filter((one) => !known.has(formatLinks([one]))),
    ...before.filter((one) => !present.has(one.target)).map((one) => link(one.target, { d: null })),
  ];
}
