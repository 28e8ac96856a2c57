import { parseVersion, SUPPORTED_LWM2M_VERSIONS } from "./version";

/** Seconds when a Register names no lifetime. [LwM2M-Core 1.1.1 §6.2.1] */
export const DEFAULT_LIFETIME = 86_400;
/** Longer lifetimes are cut to this: 68 years fit a signed 32-bit number. */
export const MAX_LIFETIME = 0x7fffffff;

/** The parameters of a Register, checked and with the defaults filled in. */
export interface RegisterParameters {
  /** Null when the client leaves its name to its security identity. [LwM2M-Core 1.1.1 §6.2.1] */
  endpointName: string | null;
  /** Seconds. */
  lifetime: number;
  lwm2mVersion: string;
  /** As sent, for instance "U" or "UQ" of a 1.0 client. */
  binding: string;
  queueMode: boolean;
  smsNumber: string | null;
  /** Parameters that LwM2M does not define, such as Pelion's et, d, aid and mccv. */
  attributes: Record<string, string>;
}

/** The parameters of an Update; null is "unchanged". */
export interface UpdateParameters {
  lifetime: number | null;
  binding: string | null;
  queueMode: boolean | null;
  smsNumber: string | null;
  attributes: Record<string, string>;
}

export interface ParameterFault {
  ok: false;
  code: "4.00" | "4.12";
  message: string;
}
export type Parsed<T> = { ok: true; value: T } | ParameterFault;

const KNOWN = new Set(["ep", "lt", "lwm2m", "b", "Q", "sms"]);
const MAX_ATTRIBUTES = 32;

class Fault extends Error {
  constructor(
    message: string,
    readonly code: "4.00" | "4.12" = "4.00",
  ) {
    super(message);
  }
}

/** Reads the query of a Register; a fault carries the code to answer and the reason in words. */
export function parseRegister(query: readonly string[]): Parsed<RegisterParameters> {
  return guarded(() => {
    const { known, attributes } = split(query);
    const lwm2mVersion = readVersion(known);
    return {
      endpointName: readEndpointName(known),
      lifetime: readLifetime(known) ?? DEFAULT_LIFETIME,
      lwm2mVersion,
      binding: readBinding(known, lwm2mVersion) ?? "U",
      queueMode: readQueueMode(known, lwm2mVersion) ?? readLegacyQueueMode(known, lwm2mVersion) ?? false,
      smsNumber: known.get("sms") ?? null,
      attributes,
    };
  });
}

/** Reads the query of an Update against the version the client registered with. */
export function parseUpdate(
  query: readonly string[],
  registered: { lwm2mVersion: string },
): Parsed<UpdateParameters> {
  return guarded(() => {
    const { known, attributes } = split(query);
    const { lwm2mVersion } = registered;
    return {
      lifetime: readLifetime(known),
      binding: readBinding(known, lwm2mVersion),
      queueMode: readQueueMode(known, lwm2mVersion) ?? readLegacyQueueMode(known, lwm2mVersion),
      smsNumber: known.get("sms") ?? null,
      attributes,
    };
  });
}

function guarded<T>(read: () => T): Parsed<T> {
  try {
    return { ok: true, value: read() };
  } catch (error) {
    if (error instanceof Fault) return { ok: false, code: error.code, message: error.message };
    throw error;
  }
}

function split(query: readonly string[]) {
  const known = new Map<string, string | null>();
  const attributes: [string, string][] = [];
  for (const item of query) {
    const cut = item.indexOf("=");
    const name = cut < 0 ? item : item.slice(0, cut);
    const value = cut < 0 ? null : item.slice(cut + 1);
    if (KNOWN.has(name)) {
      if (known.has(name)) throw new Fault(`The parameter "${name}" is given twice.`);
      known.set(name, value);
    } else if (name && value !== null) {
      attributes.push([name, value]);
    }
  }
  if (attributes.length > MAX_ATTRIBUTES) {
    throw new Fault(`More than ${MAX_ATTRIBUTES} additional parameters.`);
  }
  // fromEntries defines own properties, so that a parameter named __proto__ is only a name.
  return { known, attributes: Object.fromEntries(attributes) };
}

type Known = ReadonlyMap<string, string | null>;

function readEndpointName(known: Known): string | null {
  const name = known.get("ep");
  if (!name) return null;
  if (/\p{Cc}/u.test(name)) throw new Fault("The endpoint name holds a control character.");
  return name;
}

function readVersion(known: Known): string {
  const text = known.get("lwm2m");
  if (!text) throw new Fault("The parameter lwm2m (protocol version) is missing.");
  if (!parseVersion(text)) throw new Fault(`lwm2m=${text} is not a version of the form X.Y.`);
  if (!SUPPORTED_LWM2M_VERSIONS.includes(text)) {
    throw new Fault(`LwM2M ${text} is not supported, only ${SUPPORTED_LWM2M_VERSIONS.join(", ")}.`, "4.12");
  }
  return text;
}

function readLifetime(known: Known): number | null {
  if (!known.has("lt")) return null;
  const text = known.get("lt") ?? "";
  if (!/^\d{1,10}$/.test(text)) throw new Fault(`lt=${text} is not a lifetime in seconds.`);
  const lifetime = Number(text);
  // The specification gives 0 no meaning in Register; answering is better than expiring at once.
  if (lifetime === 0) throw new Fault("A lifetime of 0 seconds is not supported.");
  return Math.min(lifetime, MAX_LIFETIME);
}

// Letters each version knows; Q is a binding letter in 1.0 only. [LwM2M-Core 1.0 §5.3.1.1, 1.1.1 §6.2.1.2]
const BINDING_LETTERS: Readonly<Record<string, string>> = { "1.0": "USQ", "1.1": "UTSN", "1.2": "UTSNHM" };
const BINDINGS_1_0 = new Set(["U", "UQ", "S", "SQ", "US", "UQS", "USQ"]);

function readBinding(known: Known, version: string): string | null {
  if (!known.has("b")) return null;
  const text = known.get("b") ?? "";
  const letters = BINDING_LETTERS[version] ?? "";
  const valid =
    version === "1.0"
      ? BINDINGS_1_0.has(text)
      : text !== "" && [...text].every((c) => letters.includes(c)) && new Set(text).size === text.length;
  if (!valid) throw new Fault(`b=${text} is not a binding of LwM2M ${version}.`);
  return text;
}

function readQueueMode(known: Known, version: string): boolean | null {
  if (!known.has("Q")) return null;
  if (known.get("Q") !== null) throw new Fault("The parameter Q takes no value.");
  if (version === "1.0") throw new Fault("The parameter Q does not exist in LwM2M 1.0.");
  return true;
}

function readLegacyQueueMode(known: Known, version: string): boolean | null {
  const binding = known.get("b");
  return version === "1.0" && binding ? binding.includes("Q") : null;
}
