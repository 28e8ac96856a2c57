import { createHash } from "node:crypto";
import type { Config } from "@/server/config";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { getServerCa } from "../instance/authorities";
import { deviceUris } from "../instance/uris";

/** Where devices of the account find a service, and the CA by which they know it. */
export interface ServerCredentials {
  id: string;
  uri: string;
  /** PEM. */
  certificate: string;
  createdAt: Date;
}

type Addresses = Pick<Config, "publicHost" | "bootstrapPort" | "lwm2mPort">;

/** What a device needs to know of the two services. */
export async function getServerCredentials(
  ctx: Context,
  config: Addresses,
): Promise<Record<"bootstrap" | "lwm2m", ServerCredentials>> {
  const accountId = memberAccount(ctx.actor);
  const [uris, { pem }, authority] = await Promise.all([
    deviceUris(ctx, config, accountId),
    getServerCa(ctx),
    ctx.db.authority.findUnique({ where: { role: "server-ca" }, select: { createdAt: true } }),
  ]);
  if (!authority) throw notFound("The server CA");
  const of = (service: "bootstrap" | "lwm2m"): ServerCredentials => ({
    // It follows from the account, so that no row is needed.
    id: createHash("sha256").update(`server-credentials:${accountId}:${service}`).digest("hex").slice(0, 32),
    uri: uris[service].udp,
    certificate: pem,
    createdAt: authority.createdAt,
  });
  return { bootstrap: of("bootstrap"), lwm2m: of("lwm2m") };
}
