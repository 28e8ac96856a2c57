import { lookup as resolve } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";

/** Special-purpose ranges of IPv4: nothing in them is a server on the internet (IANA's registry). */
const NOT_PUBLIC_V4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
];

/** The part of IPv6 that is given out… */
const PUBLIC_V6 = ["2000::/3"];
/** …without what in it is for protocols, for examples, or hides an address of IPv4. */
const NOT_PUBLIC_V6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];
/** Ranges whose last 32 bits are an address of IPv4, by which they are judged: mapped [RFC4291 §2.5.5.2] and NAT64 [RFC6052 §2.1]. */
const EMBEDDED_V4 = ["::ffff:0:0/96", "64:ff9b::/96"];

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    const family = isIP(address) === 4 ? "ipv4" : "ipv6";
    list.addSubnet(address, Number(bits ?? (family === "ipv4" ? 32 : 128)), family);
  }
  return list;
}

const notPublicV4 = listOf(NOT_PUBLIC_V4);
const publicV6 = listOf(PUBLIC_V6);
const notPublicV6 = listOf(NOT_PUBLIC_V6);
const embeddedV4 = listOf(EMBEDDED_V4);

/** Whether an address is one of the internet; anything that is no address is not. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !notPublicV4.check(address, "ipv4");
    case 6: {
      // A zone names an interface of this machine.
      if (address.includes("%")) return false;
      if (embeddedV4.check(address, "ipv6")) return isPublicAddress(lastAsV4(address));
      return publicV6.check(address, "ipv6") && !notPublicV6.check(address, "ipv6");
    }
    default:
      return false;
  }
}

/** The last 32 bits of an address of IPv6, in IPv4's notation. */
function lastAsV4(address: string): string {
  // URL writes addresses in one way, without dots.
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1).split(":");
  const [high = 0, low = 0] = groups.slice(-2).map((group) => Number.parseInt(group || "0", 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** Why a callback may not go somewhere. */
export class RefusedTarget extends Error {}

/** Where callbacks may go: to the internet, and to what the operator allows beside. */
export class CallbackTargets {
  readonly #hosts: ReadonlySet<string>;
  readonly #networks: BlockList;

  constructor(allowed: readonly string[]) {
    const isNetwork = (one: string) => isIP(one.split("/")[0] ?? "") !== 0;
    this.#hosts = new Set(allowed.filter((one) => !isNetwork(one)));
    this.#networks = listOf(allowed.filter(isNetwork));
  }

  /** Whether a connection to this address, found under this name, may be made. */
  allows(hostname: string, address: string): boolean {
    const family = isIP(address);
    if (family === 0) return false;
    return (
      this.#hosts.has(hostname.toLowerCase().replace(/\.$/, "")) ||
      isPublicAddress(address) ||
      (!address.includes("%") && this.#networks.check(address, family === 4 ? "ipv4" : "ipv6"))
    );
  }

  /** Refuses an address that stands in a URL, for which nothing is looked up. */
  checkLiteral(hostname: string): void {
    const address = hostname.replace(/^\[(.*)\]$/, "$1");
    if (isIP(address) !== 0 && !this.allows(address, address)) throw refusal(hostname);
  }

  /** Looks a name up for the connection itself, so that what was checked is what is connected to. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, "");
      const [first] = addresses;
      if (!first || addresses.some(({ address }) => !this.allows(hostname, address)))
        return callback(refusal(hostname), "");
      if (options.all) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

const refusal = (hostname: string) =>
  new RefusedTarget(
    `${hostname} is not on the public internet; whoever runs this server may allow it with GANGWAY_CALLBACK_ALLOW.`,
  );
