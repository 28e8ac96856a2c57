/** A version X.Y as numbers. */
export interface Version {
  major: number;
  minor: number;
}

/** The LwM2M versions this server speaks. */
export const SUPPORTED_LWM2M_VERSIONS: readonly string[] = ["1.0", "1.1", "1.2"];

/** Reads X.Y without leading zeros, each up to 32767; null otherwise. */
export function parseVersion(text: string): Version | null {
  const match = /^(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,4})$/.exec(text);
  if (!match) return null;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > 32767 || minor > 32767 ? null : { major, minor };
}

/** Negative, zero or positive, by number; what is no version sorts first. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [parseVersion(a), parseVersion(b)];
  if (!x || !y) return (x ? 1 : 0) - (y ? 1 : 0);
  return x.major - y.major || x.minor - y.minor;
}

// Versions of the core objects a client of this LwM2M version has when it does not say. [LwM2M-Core §6.2.1, §7.2.2]
const CORE_OBJECTS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  "1.0": {},
  "1.1": { 0: "1.1", 1: "1.1", 2: "1.0", 3: "1.1", 4: "1.2", 5: "1.0", 6: "1.0", 7: "1.0", 21: "1.0" },
  "1.2": { 0: "1.2", 1: "1.2", 2: "1.1", 3: "1.2", 4: "1.3", 5: "1.1", 6: "1.0", 7: "1.0", 21: "2.0" },
};

/** The version an object has when the client of that LwM2M version does not name one. */
export function defaultObjectVersion(lwm2mVersion: string, objectId: number): string {
  return CORE_OBJECTS[lwm2mVersion]?.[objectId] ?? "1.0";
}
