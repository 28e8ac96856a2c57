import { randomInt } from "node:crypto";
import type { BusServer } from "@/server/bus";
import type { BusEvent } from "@/server/bus/messages";
import type { Clock } from "@/server/clock";
import { CoapEndpoint, type RequestHandler } from "@/server/coap";
import { type GroupCommit, type PrismaClient, storageTrouble } from "@/server/db";
import type { Logger } from "@/server/log";
import { DeviceCertificateIssuer } from "@/server/pki";
import type { Context } from "@/server/services/context";
import { loadAuthority } from "@/server/services/instance/authorities";
import type { Peer } from "@/server/transport";
import { AccountBook } from "./accounts";
import { Admissions, formatAddress } from "./admission";
import { BootstrapEndpoint } from "./bootstrap/endpoint";
import { Directory } from "./directory";
import { CertificateEnrolment } from "./est";
import { DeviceExchange } from "./exchange";
import { identityOf } from "./identity";
import { Notifier } from "./notifier";
import { DeviceOperations } from "./operations";
import { Presence } from "./presence";
import { RegistrationEndpoint } from "./registration/endpoint";
import { RegistrationPolicy } from "./registration/policy";
import { Registrations } from "./registration/registrations";
import { DeviceRequests } from "./requests";
import { Structures } from "./structures";
import { Subscriptions } from "./subscriptions";
import { Timeline } from "./timeline";
import { TrustBook } from "./trust";
import { Turns } from "./turns";

const DAY_MS = 86_400_000;
/** Devices that could not update while the gateway was down get this long after its start. */
const START_GRACE_MS = 30_000;
/** What bootstrap writes into /1/x/1, in seconds, unless the account says otherwise. */
const DEFAULT_LIFETIME_S = 3600;
/** When a device may come again while nothing can be stored, s: not all at once. */
const RETRY_AFTER_S = [30, 61] as const;

export interface PartsInput {
  context: Context;
  db: PrismaClient;
  commit: GroupCommit;
  bus: Pick<BusServer, "watched">;
  clock: Clock;
  log: Logger;
  publish(event: BusEvent): void;
  /** Where a device that came over this transport is to register, for instance "coaps://host:5684". */
  lwm2mUri(transport: Peer["transport"]): string;
  /** How long an issued LwM2M certificate is valid, ms; a year by default. */
  certificateLifetimeMs: number | undefined;
}

export type Parts = Awaited<ReturnType<typeof buildParts>>;

/** What a gateway consists of, each part made of those above it and filled with what the database has. */
export async function buildParts(input: PartsInput) {
  const { context, db, commit, bus, clock, log, publish } = input;
  const certificateLifetimeMs = input.certificateLifetimeMs ?? 365 * DAY_MS;
  const onchange = (device: { id: string; accountId: string }, change: "created" | "updated") =>
    publish({ kind: "device", accountId: device.accountId, deviceId: device.id, change });

  // What is known: devices, accounts, certificates.
  const directory = await Directory.load(db, clock.now() + START_GRACE_MS);
  const listeners = { watched: (accountId: string | null) => bus.watched(accountId), publish };
  const timeline = new Timeline(commit, listeners, clock, ({ id, deviceId }) => {
    // Whatever happens in between ends a run of updates: the next one stands behind it, on a row of its own.
    const registration = deviceId ? directory.registrationOf(deviceId) : undefined;
    if (registration?.keepAlive && registration.keepAlive.eventId !== id) registration.keepAlive = null;
  });
  const deviceCa = await loadAuthority(context, "device-ca");
  const serverCa = await loadAuthority(context, "server-ca");
  const credentials = {
    bootstrap: await loadAuthority(context, "bootstrap-server"),
    lwm2m: await loadAuthority(context, "lwm2m-server"),
  };
  const trust = new TrustBook(context, deviceCa.certificate, clock);
  await trust.load();
  const accounts = new AccountBook(db);
  await accounts.load();
  const turns = new Turns();
  const admissions = new Admissions(directory, db, clock, trust, turns);
  const issuer = new DeviceCertificateIssuer(deviceCa, clock);
  const enrolment = new CertificateEnrolment(issuer, clock, certificateLifetimeMs);
  const structures = new Structures();

  // What is asked of devices, and who is told of them.
  const onerror = (peer: Peer, message: string) => {
    const identity = identityOf(peer);
    const deviceId =
      identity?.kind === "lwm2m" && directory.byId(identity.deviceId) ? identity.deviceId : null;
    timeline.knock("request.malformed", `coap ${peer.remote.address} ${message}`, {
      accountId: identity?.accountId ?? null,
      deviceId,
      data: { address: formatAddress(peer), transport: peer.transport, reason: message },
    });
  };
  const coap = {
    bootstrap: new CoapEndpoint({ clock, onerror }),
    lwm2m: new CoapEndpoint({ clock, onerror }),
  };
  const notifier = new Notifier({ db, clock, commit, publish });
  await notifier.load();
  const presence = new Presence(clock);
  const exchange = new DeviceExchange({ clock, coap: coap.lwm2m, commit, presence, listeners });
  const subscriptions = new Subscriptions({
    clock,
    db,
    coap: coap.lwm2m,
    directory,
    turns,
    commit,
    timeline,
    presence,
    exchange,
    notifier,
    structures,
    publish,
    onerror: (error) => log.error({ err: error }, "observing failed"),
  });
  await subscriptions.load();
  const operations = new DeviceOperations({
    clock,
    directory,
    commit,
    timeline,
    presence,
    exchange,
    subscriptions,
    structures,
  });
  const requests = new DeviceRequests({
    db,
    clock,
    commit,
    directory,
    presence,
    exchange,
    notifier,
    timeline,
    mayHave: (registration, path) => structures.of(registration).mayHave(path),
    onerror: (error) => log.error({ err: error }, "a request to a device could not be dealt with"),
  });
  await requests.load();
  // Whatever waits for a device may go on when it is heard.
  presence.oncontact = (registration) => {
    requests.heard(registration);
    subscriptions.heard(registration);
  };

  // What devices ask for.
  const policy = new RegistrationPolicy({
    clock,
    directory,
    timeline,
    trusts: (caId) => trust.isActive(caId),
  });
  const registrations = new Registrations({
    clock,
    directory,
    turns,
    commit,
    timeline,
    notifier,
    structures,
    subscriptions,
    requests,
    presence,
    onchange,
  });
  const registration = new RegistrationEndpoint({
    clock,
    coap: coap.lwm2m,
    directory,
    turns,
    admissions,
    commit,
    timeline,
    structures,
    subscriptions,
    presence,
    enrolment,
    policy,
    registrations,
    registrationLifetime: (accountId) => accounts.get(accountId).registrationLifetime,
    onchange,
  });
  const bootstrap = new BootstrapEndpoint({
    clock,
    coap: coap.bootstrap,
    directory,
    turns,
    registrations,
    admissions,
    commit,
    timeline,
    issuer,
    enrolment,
    usesEst: (accountId) => accounts.get(accountId).deviceKeys,
    serverCa: serverCa.certificate,
    lwm2mCertificate: credentials.lwm2m.certificate,
    lwm2mUri: input.lwm2mUri,
    certificateLifetimeMs,
    registrationLifetime: (accountId) => accounts.get(accountId).registrationLifetime ?? DEFAULT_LIFETIME_S,
    onchange,
    onerror: (error) => log.error({ err: error }, "a bootstrap session failed"),
  });
  registrations.onregistered = (deviceId) => bootstrap.registered(deviceId);
  const answering =
    (handler: RequestHandler): RequestHandler =>
    async (request) => {
      try {
        return await handler(request);
      } catch (error) {
        log.error({ err: error, path: request.path.join("/") }, "a request of a device failed");
        if (storageTrouble(error) === null) return { code: "5.00" };
        return { code: "5.03", maxAge: randomInt(...RETRY_AFTER_S), payload: "nothing can be stored now" };
      }
    };
  coap.bootstrap.serve(answering((request) => bootstrap.handle(request)));
  coap.lwm2m.serve(answering((request) => registration.handle(request)));

  return {
    accounts,
    bootstrap,
    coap,
    credentials,
    directory,
    notifier,
    operations,
    policy,
    registration,
    registrations,
    requests,
    subscriptions,
    timeline,
    trust,
    turns,
  };
}
