/** The classes by which a timeline can be filtered. */
export const eventCategories = [
  "bootstrap",
  "registration",
  "connection",
  "resource",
  "device",
  "certificate",
  "access",
] as const;
export type EventCategory = (typeof eventCategories)[number];

/** Pelion's words for how something ended. */
export type EventOutcome = "SUCCESS" | "FAIL" | "SKIPPED" | "INFO";

interface Definition<D> {
  category: EventCategory;
  outcome: EventOutcome;
  /** The state of the directory entry changes with it. */
  stateChange: boolean;
  /** One sentence for a person. */
  describe(data: D): string;
}

function define<D>(
  category: EventCategory,
  outcome: EventOutcome,
  describe: (data: D) => string,
  stateChange = false,
): Definition<D> {
  return { category, outcome, stateChange, describe };
}

/** Where something came from; `transport` is udp, tcp, dtls or tls. */
interface From {
  address?: string | undefined;
  transport?: string | undefined;
}

/** Why something did not work, in words, and what may help. */
interface Cause extends From {
  reason: string;
  hint?: string | undefined;
  /** Answer given, for instance "4.03". */
  code?: string | undefined;
  endpointName?: string | undefined;
}

interface ResourceFact {
  path: string;
  /** Name from the object definition. */
  name?: string | undefined;
}

const from = (data: From) =>
  (data.address ? ` from ${data.address}` : "") +
  (data.transport ? ` over ${data.transport.toUpperCase()}` : "");
const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);
/** What of Pelion's own objects people meet: they are in no registry. */
const PELION_NAMES: Readonly<Record<string, string>> = { "/35011/0/27002": "Certificate Renewal" };
const resource = (data: ResourceFact) => {
  const name = data.name ?? PELION_NAMES[data.path];
  return name ? `${name} (${data.path})` : data.path;
};
const OPERATIONS: Readonly<Record<string, string>> = {
  create: "create an instance of",
  configure: "set attributes of",
};
const list = (words: readonly string[]) =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
const duration = (seconds: number) => {
  const units = [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
  ] as const;
  for (const [unit, size] of units) {
    if (seconds >= size && seconds % size === 0)
      return `${seconds / size} ${unit}${seconds === size ? "" : "s"}`;
  }
  return `${seconds} second${seconds === 1 ? "" : "s"}`;
};

/** Everything that can stand in a timeline; the data of each is what its wording needs. */
export const eventTypes = {
  "bootstrap.requested": define<From & { endpointName: string; certificate?: string; again?: boolean }>(
    "bootstrap",
    "INFO",
    (data) =>
      `${data.again ? "Asked to bootstrap again" : "Asked to bootstrap"} as “${data.endpointName}”${from(data)}.`,
  ),
  "bootstrap.device-created": define<{ endpointName: string; certificate?: string }>(
    "bootstrap",
    "SUCCESS",
    (data) =>
      `Directory entry made at the first contact${data.certificate ? `, through certificate “${data.certificate}”` : ""}.`,
    true,
  ),
  "bootstrap.credentials-issued": define<{ fingerprint: string; notAfter: string; serverUri?: string }>(
    "bootstrap",
    "SUCCESS",
    (data) => `LwM2M certificate issued, valid until ${data.notAfter.slice(0, 10)}.`,
  ),
  "bootstrap.written": define<{ path: string; what?: string }>(
    "bootstrap",
    "SUCCESS",
    (data) => `Device took ${data.what ? `${data.what} at ${data.path}` : data.path}.`,
  ),
  "bootstrap.finished": define<{ durationMs?: number }>(
    "bootstrap",
    "SUCCESS",
    (data) => `Bootstrap finished${data.durationMs === undefined ? "" : ` in ${data.durationMs} ms`}.`,
    true,
  ),
  "bootstrap.failed": define<Cause & { step?: string }>("bootstrap", "FAIL", (data) =>
    sentence(`Bootstrap failed${data.step ? ` at ${data.step}` : ""}: ${data.reason}`),
  ),
  "bootstrap.refused": define<Cause & { trustedCertificateId?: string }>("bootstrap", "FAIL", (data) =>
    sentence(`Bootstrap refused${from(data)}: ${data.reason}`),
  ),

  "registration.registered": define<
    From & {
      endpointName: string;
      lifetime: number;
      lwm2mVersion: string;
      binding?: string;
      objects?: string[];
    }
  >(
    "registration",
    "SUCCESS",
    (data) => `Registered for ${duration(data.lifetime)} with LwM2M ${data.lwm2mVersion}${from(data)}.`,
    true,
  ),
  "registration.replaced": define<From & { previousAddress?: string }>(
    "registration",
    "INFO",
    (data) =>
      `A new registration took the place of the one${data.previousAddress ? ` from ${data.previousAddress}` : " before"}.`,
  ),
  "registration.updated": define<
    From & {
      /** Updates that this row stands for. */
      count?: number;
      firstAt?: number;
      lifetime?: number;
      added?: string[];
      removed?: string[];
      addressChanged?: boolean;
    }
  >("registration", "SUCCESS", (data) => {
    const changes = [
      data.lifetime === undefined ? "" : `lifetime ${duration(data.lifetime)}`,
      data.added?.length ? `added ${list(data.added)}` : "",
      data.removed?.length ? `removed ${list(data.removed)}` : "",
      data.addressChanged ? `now at ${data.address ?? "another address"}` : "",
    ].filter(Boolean);
    const times = (data.count ?? 1) > 1 ? ` ${data.count} times` : "";
    return `Registration updated${times}${changes.length ? `: ${list(changes)}` : ""}.`;
  }),
  "registration.deregistered": define<From>(
    "registration",
    "SUCCESS",
    (data) => `Deregistered by the device${from(data)}.`,
    true,
  ),
  "registration.expired": define<{ lifetime?: number }>(
    "registration",
    "INFO",
    (data) =>
      `Registration ran out${data.lifetime === undefined ? "" : `: no update within ${duration(data.lifetime)}`}.`,
    true,
  ),
  "registration.ended": define<{ reason: string }>(
    "registration",
    "INFO",
    (data) => sentence(`Registration ended: ${data.reason}`),
    true,
  ),
  "registration.refused": define<Cause>("registration", "FAIL", (data) =>
    sentence(`Registration refused${from(data)}: ${data.reason}`),
  ),
  "registration.held": define<{ requests: number; windowSeconds: number; holdSeconds: number }>(
    "registration",
    "SKIPPED",
    (data) =>
      `Put on hold for ${data.holdSeconds} s: ${data.requests} registrations or updates within ${data.windowSeconds} s.`,
  ),

  "session.established": define<
    From & { service?: string; cipher?: string; version?: string; cid?: boolean }
  >(
    "connection",
    "SUCCESS",
    (data) =>
      `Secure session with the ${data.service === "bootstrap" ? "bootstrap" : "LwM2M"} service${from(data)}${data.cipher ? ` (${data.cipher})` : ""}.`,
  ),
  "session.moved": define<{ from: string; to: string }>(
    "connection",
    "INFO",
    (data) => `Session went on from ${data.from} to ${data.to}.`,
  ),
  "session.closed": define<From & { reason: string }>("connection", "INFO", (data) =>
    sentence(`Session closed: ${data.reason}`),
  ),
  "handshake.failed": define<
    From & {
      reason: string;
      hint?: string | undefined;
      service?: string;
      alert?: string;
      fault?: string;
      subject?: string;
      issuer?: string;
      fingerprint?: string;
      /** What the certificate rests on, and what the device is called in it. */
      trustedCertificateId?: string;
      endpointName?: string;
      /** Failures that this row stands for. */
      count?: number;
    }
  >("connection", "FAIL", (data) => {
    const times = (data.count ?? 1) > 1 ? ` (${data.count} times)` : "";
    return sentence(`Handshake${from(data)} failed${times}: ${data.reason}`);
  }),
  "request.malformed": define<Cause & { request?: string; count?: number }>("connection", "FAIL", (data) => {
    const times = (data.count ?? 1) > 1 ? ` (${data.count} times)` : "";
    return sentence(
      `${data.request ? `Malformed ${data.request}` : "Malformed request"}${from(data)}${times}: ${data.reason}`,
    );
  }),

  "resource.read": define<ResourceFact & { value?: string }>(
    "resource",
    "SUCCESS",
    (data) => `Read ${resource(data)}${data.value === undefined ? "" : `: ${data.value}`}.`,
  ),
  "resource.written": define<ResourceFact & { value?: string }>(
    "resource",
    "SUCCESS",
    (data) => `Wrote ${data.value === undefined ? "" : `${data.value} to `}${resource(data)}.`,
  ),
  "resource.executed": define<ResourceFact & { args?: string }>(
    "resource",
    "SUCCESS",
    (data) => `Executed ${resource(data)}${data.args ? ` with ${data.args}` : ""}.`,
  ),
  "resource.created": define<ResourceFact>(
    "resource",
    "SUCCESS",
    (data) => `Created an instance of ${resource(data)}.`,
  ),
  "resource.deleted": define<ResourceFact>("resource", "SUCCESS", (data) => `Deleted ${resource(data)}.`),
  "resource.configured": define<ResourceFact & { attributes: string }>(
    "resource",
    "SUCCESS",
    (data) => `Set attributes of ${resource(data)}: ${data.attributes}.`,
  ),
  "resource.observed": define<ResourceFact>("resource", "SUCCESS", (data) => `Observing ${resource(data)}.`),
  "resource.unobserved": define<ResourceFact>(
    "resource",
    "SUCCESS",
    (data) => `Stopped observing ${resource(data)}.`,
  ),
  "resource.failed": define<
    ResourceFact & {
      operation: "read" | "write" | "execute" | "create" | "delete" | "configure" | "observe" | "unobserve";
      reason: string;
      code?: string;
    }
  >("resource", "FAIL", (data) =>
    sentence(`Could not ${OPERATIONS[data.operation] ?? data.operation} ${resource(data)}: ${data.reason}`),
  ),

  "device.created": define<{ endpointName: string }>(
    "device",
    "SUCCESS",
    (data) =>
      `Directory entry made${data.endpointName ? ` for “${data.endpointName}”` : ""} before the device was seen.`,
  ),
  "device.updated": define<{ fields: string[]; name?: string }>(
    "device",
    "SUCCESS",
    (data) => `Changed ${list(data.fields)}.`,
  ),
  "device.deleted": define<{ endpointName: string; name?: string }>(
    "device",
    "SUCCESS",
    (data) => `Device “${data.name || data.endpointName}” deleted.`,
    true,
  ),
  "device.claimed": define<{ identity: string }>(
    "device",
    "SUCCESS",
    (data) => `Claimed by its enrollment identity ${data.identity}.`,
  ),
  "device.unclaimed": define<{ identity: string }>(
    "device",
    "INFO",
    (data) => `The claim by its enrollment identity ${data.identity} was given up.`,
  ),
  "device.suspended": define<{ category: string; description?: string }>(
    "device",
    "SUCCESS",
    (data) => sentence(`Suspended (${data.category})${data.description ? `: ${data.description}` : ""}`),
    true,
  ),
  "device.resumed": define<{ category: string; description?: string }>(
    "device",
    "SUCCESS",
    (data) => sentence(`Resumed${data.description ? `: ${data.description}` : ""}`),
    true,
  ),
  "device.rebootstrap-requested": define<{ way: "execute" | "refuse-registration"; message: string }>(
    "device",
    "SUCCESS",
    (data) => sentence(`Re-bootstrap requested: ${data.message}`),
  ),

  "certificate.created": define<{
    certificateId: string;
    name: string;
    fingerprint: string;
    developer: boolean;
  }>(
    "certificate",
    "SUCCESS",
    (data) => `${data.developer ? "Developer certificate" : "Certificate"} “${data.name}” created.`,
  ),
  "certificate.downloaded": define<{ certificateId: string; name: string; kept?: boolean }>(
    "certificate",
    "SUCCESS",
    (data) =>
      `Bundle of “${data.name}” downloaded; its private key ${data.kept ? "stays here, because the certificate was made through the API" : "was erased here"}.`,
  ),
  "certificate.updated": define<{ certificateId: string; name: string; fields: string[]; status?: string }>(
    "certificate",
    "SUCCESS",
    (data) =>
      data.status
        ? `Certificate “${data.name}” switched ${data.status === "ACTIVE" ? "on" : "off"}.`
        : `Changed ${list(data.fields)} of certificate “${data.name}”.`,
  ),
  "certificate.renewed": define<{ fingerprint: string; notAfter: string }>(
    "certificate",
    "SUCCESS",
    (data) => `LwM2M certificate renewed, valid until ${data.notAfter.slice(0, 10)}.`,
  ),
  "certificate.deleted": define<{
    certificateId: string;
    name: string;
    fingerprint: string;
    devices: number;
  }>(
    "certificate",
    "SUCCESS",
    (data) =>
      `Certificate “${data.name}” deleted; ${data.devices === 1 ? "one device" : `${data.devices} devices`} came in by it.`,
  ),

  "account.updated": define<{
    name?: string;
    deviceKeys?: boolean;
    registrationLifetime?: number | null;
    /** How many of its details. */
    details?: number;
  }>("access", "SUCCESS", ({ name, deviceKeys, registrationLifetime, details }) => {
    const changes = [
      name === undefined ? "" : `it is called “${name}”`,
      deviceKeys === undefined
        ? ""
        : `devices of Pelion’s kind ${deviceKeys ? "make their own keys" : "get their keys from here"}`,
      registrationLifetime === undefined
        ? ""
        : registrationLifetime === null
          ? "devices register for the default time"
          : `devices register for ${duration(registrationLifetime)}`,
      details ? "its contact details are others" : "",
    ].filter(Boolean);
    return `Account settings changed: ${list(changes)}.`;
  }),
  "key.created": define<{ keyId: string; name: string }>(
    "access",
    "SUCCESS",
    (data) => `API key “${data.name}” created.`,
  ),
  "key.updated": define<{ keyId: string; name: string; fields: string[] }>(
    "access",
    "SUCCESS",
    (data) => `Changed ${list(data.fields)} of API key “${data.name}”.`,
  ),
  "key.deleted": define<{ keyId: string; name: string }>(
    "access",
    "SUCCESS",
    (data) => `API key “${data.name}” deleted.`,
  ),
  "user.created": define<{ userId: string; email: string; role: string }>(
    "access",
    "SUCCESS",
    (data) => `${data.role === "administrator" ? "Administrator" : "User"} ${data.email} created.`,
  ),
  "user.signed-in": define<{ userId: string; email: string }>(
    "access",
    "SUCCESS",
    (data) => `${data.email} signed in.`,
  ),
} as const;

export type EventType = keyof typeof eventTypes;

/** What goes with an event of this type. */
export type EventData<T extends EventType> = Parameters<(typeof eventTypes)[T]["describe"]>[0];

/** A row of the timeline as verbs return it. */
export interface EventView {
  id: string;
  deviceId: string | null;
  type: string;
  category: string;
  outcome: EventOutcome;
  description: string;
  data: Record<string, unknown>;
  stateChange: boolean;
  actor: string;
  /** Milliseconds since 1970. */
  at: number;
}
