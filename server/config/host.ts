import { isIP } from "node:net";
import { networkInterfaces } from "node:os";

type Interfaces = ReturnType<typeof networkInterfaces>;

// Bridges of containers and virtual machines: an address there is no use to a device on the network.
const VIRTUAL = /^(docker|br-|veth|virbr|vmnet|vboxnet|lxc|cni|flannel|tun|tap|utun)/;

/** The host that devices are told when nobody named one: the machine's first IPv4 address, else `localhost`. */
export function defaultPublicHost(interfaces: Interfaces = networkInterfaces()): string {
  const names = Object.keys(interfaces).sort((a, b) => Number(VIRTUAL.test(a)) - Number(VIRTUAL.test(b)));
  for (const name of names) {
    for (const entry of interfaces[name] ?? []) {
      if (entry.family === "IPv4" && !entry.internal && !entry.address.startsWith("169.254."))
        return entry.address;
    }
  }
  return "localhost";
}

/** The address to listen on when nobody named one: both families where the machine has IPv6. */
export function defaultBindHost(interfaces: Interfaces = networkInterfaces()): string {
  const hasV6 = Object.values(interfaces).some((entries) =>
    entries?.some((entry) => entry.family === "IPv6"),
  );
  return hasV6 ? "::" : "0.0.0.0";
}

/** Whether a host name or address reaches this machine only. */
export function isLocalHost(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "::1" || /^127\./.test(host);
}

/** A host name or IP address without port, brackets removed and in lower case; null when it is neither. */
export function parseHost(text: string): string | null {
  const host = text
    .trim()
    .replace(/^\[(.*)\]$/, "$1")
    .toLowerCase();
  if (isIP(host)) return host;
  // [RFC1123 §2.1]; a name of digits and dots only is an address gone wrong.
  const label = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?";
  if (host.length > 253 || !new RegExp(`^${label}(\\.${label})*\\.?$`).test(host) || /^[\d.]+$/.test(host))
    return null;
  return host;
}

/** A host as it is written into a URI: IPv6 in brackets [RFC3986 §3.2.2]. */
export const uriHost = (host: string) => (isIP(host) === 6 ? `[${host}]` : host);
