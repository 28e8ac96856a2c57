import { type Config, uriHost } from "@/server/config";
import type { Context } from "../context";
import { ServiceError } from "../errors";
import { ping } from "../overview/get";
import { PUBLIC_HOST } from "./settings";

/** Where devices find the instance. */
export interface ServiceUris {
  bootstrap: { udp: string; tcp: string };
  lwm2m: { udp: string; tcp: string };
}

type Addresses = Pick<Config, "publicHost" | "bootstrapPort" | "lwm2mPort">;

/** The URIs of a host and its ports; with the account, as Pelion's client needs them (`?aid=`). */
export function serviceUris(addresses: Addresses, accountId?: string): ServiceUris {
  const host = uriHost(addresses.publicHost);
  const query = accountId ? `?aid=${accountId}` : "";
  const both = (port: number) => ({
    udp: `coaps://${host}:${port}${query}`,
    tcp: `coaps+tcp://${host}:${port}${query}`,
  });
  return { bootstrap: both(addresses.bootstrapPort), lwm2m: both(addresses.lwm2mPort) };
}

/**
 * The URIs that devices are told: of the host that the server certificates are made out to, and the ports that the
 * running gateway has; so they are right also where the environment of the asker differs from the gateway's.
 */
export async function deviceUris(
  ctx: Pick<Context, "db" | "bus" | "clock">,
  config: Addresses,
  accountId?: string,
): Promise<ServiceUris> {
  const [host, gateway] = await Promise.all([
    ctx.db.setting.findUnique({ where: { key: PUBLIC_HOST } }),
    ping(ctx),
  ]);
  const port = (service: "bootstrap" | "lwm2m", configured: number) => {
    const uri = gateway?.listeners.find((one) => one.service === service && one.uri.startsWith("coaps"))?.uri;
    const actual = Number(/:(\d+)(?:[/?].*)?$/.exec(uri ?? "")?.[1] ?? configured);
    if (actual === 0) {
      throw new ServiceError("unavailable", "The gateway is not running, so its port is not known.");
    }
    return actual;
  };
  return serviceUris(
    {
      publicHost: host?.value ?? config.publicHost,
      bootstrapPort: port("bootstrap", config.bootstrapPort),
      lwm2mPort: port("lwm2m", config.lwm2mPort),
    },
    accountId,
  );
}
