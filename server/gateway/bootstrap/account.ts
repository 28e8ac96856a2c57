import type { Link } from "@/server/lwm2m";

/** Where in the client's objects the LwM2M account is to go. */
export interface AccountPlace {
  securityInstance: number;
  serverInstance: number;
  /** Enabler version the client told, for instance "1.1"; null when it told none. */
  lwm2mVersion: string | null;
}

/** Far from the ids that clients give their own bootstrap account, for those that cannot be asked. */
const BLIND_SECURITY_INSTANCE = 10;

/**
 * Finds places for the account in the answer to a Bootstrap-Discover [LwM2M-Core 1.1.1 §6.1.7.3]: the instances of the
 * same short server id where there are any, else the lowest free ids. A security instance without `ssid` is the
 * client's own bootstrap account and is never touched.
 */
export function placeAccount(links: readonly Link[] | null, shortServerId: number): AccountPlace {
  if (!links) return { securityInstance: BLIND_SECURITY_INSTANCE, serverInstance: 0, lwm2mVersion: null };
  const taken = { 0: new Set<number>(), 1: new Set<number>() };
  const ours: { 0?: number; 1?: number } = {};
  let lwm2mVersion: string | null = null;
  for (const { target, attributes } of links) {
    const version = attributes.get("lwm2m");
    if (target === "/" && version) lwm2mVersion = version;
    const match = /^\/([01])\/(\d+)$/.exec(target);
    if (!match) continue;
    const object = match[1] === "0" ? 0 : 1;
    const instance = Number(match[2]);
    taken[object].add(instance);
    if (attributes.get("ssid") === String(shortServerId)) ours[object] ??= instance;
  }
  const free = (object: 0 | 1) => {
    let instance = 0;
    while (taken[object].has(instance)) instance++;
    return instance;
  };
  return { securityInstance: ours[0] ?? free(0), serverInstance: ours[1] ?? free(1), lwm2mVersion };
}
