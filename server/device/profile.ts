import type { Link } from "@/server/lwm2m";
import { ANNOUNCED_FORMATS } from "./management";
import type { ResourceTree } from "./tree";

/** What a device knows of itself when it talks to a server. */
export interface Identity {
  endpointName: string;
  deviceId: string | null;
  /** Query items of the server's URI. */
  uriQuery: readonly string[];
}

/** Everything in which kinds of devices differ; the flow is the same for all of them. */
export interface DeviceProfile {
  readonly name: string;
  readonly lwm2mVersion: string;
  /** Largest block it sends. */
  readonly blockSize: number;
  /** Instance of the bootstrap account in /0. */
  readonly bootstrapInstance: number;
  bootstrapQuery(identity: Identity): string[];
  registerQuery(identity: Identity, parameters: { lifetime: number; binding: string }): string[];
  binding(transport: "udp" | "tcp"): string;
  links(tree: ResourceTree): Link[];
}

/** Our own client: standard LwM2M 1.1 that, like Pelion's, keeps its ID and updates by delta. */
export function referenceProfile(version: string): DeviceProfile {
  const mccv = `mccv=gangway-${version}`;
  return {
    name: "reference",
    lwm2mVersion: "1.1",
    blockSize: 1024,
    // As in Pelion's client, so that instance 0 is free for the server's account.
    bootstrapInstance: 1,
    bootstrapQuery: ({ endpointName, deviceId, uriQuery }) => [
      `ep=${endpointName}`,
      ...uriQuery,
      ...(deviceId ? [`iep=${deviceId}`] : []),
      mccv,
    ],
    registerQuery: ({ endpointName, uriQuery }, { lifetime, binding }) => [
      `ep=${endpointName}`,
      `lt=${lifetime}`,
      "lwm2m=1.1",
      `b=${binding}`,
      ...uriQuery,
      mccv,
    ],
    binding: (transport) => (transport === "tcp" ? "T" : "U"),
    links: (tree) => [
      {
        target: "/",
        attributes: new Map([
          ["rt", "oma.lwm2m"],
          ["ct", ANNOUNCED_FORMATS.join(" ")],
        ]),
      },
      ...tree.links("1.1"),
    ],
  };
}
