import type { Config } from "@/server/config";

/** Where devices find the instance. */
export interface ServiceUris {
  bootstrap: { udp: string; tcp: string };
  lwm2m: { udp: string; tcp: string };
}

/** The URIs that devices are told; with the account, as Pelion's client needs them (`?aid=`). */
export function serviceUris(
  config: Pick<Config, "publicHost" | "bootstrapPort" | "lwm2mPort">,
  accountId?: string,
): ServiceUris {
  const host = config.publicHost.includes(":") ? `[${config.publicHost}]` : config.publicHost;
  const query = accountId ? `?aid=${accountId}` : "";
  const both = (port: number) => ({
    udp: `coaps://${host}:${port}${query}`,
    tcp: `coaps+tcp://${host}:${port}${query}`,
  });
  return { bootstrap: both(config.bootstrapPort), lwm2m: both(config.lwm2mPort) };
}
