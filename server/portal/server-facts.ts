import { X509Certificate } from "node:crypto";
import type { Context } from "@/server/services/context";
import { accountOf } from "@/server/services/context";
import { getAuthorityCertificate, getServerCa } from "@/server/services/instance/authorities";
import { deviceUris, serviceUris } from "@/server/services/instance/uris";
import { ping } from "@/server/services/overview/get";
import { runtime } from "./runtime";

const ROLES = [
  ["server-ca", "Server CA", "Devices check the bootstrap and LwM2M servers against it."],
  ["bootstrap-server", "Bootstrap server", "Presented on the bootstrap port."],
  ["lwm2m-server", "LwM2M server", "Presented on the device management port."],
  ["device-ca", "Device CA", "Issues the LwM2M certificate that each device gets at bootstrap."],
  ["portal", "Portal", "Presented by this portal over https."],
] as const;

/** Where devices find this instance, and what they are to trust. */
export async function serverFacts(ctx: Context) {
  const { config, ports, version } = runtime();
  const accountId = accountOf(ctx.actor);
  const [gateway, ...certificates] = await Promise.all([
    ping(ctx),
    ...ROLES.filter(([role]) => role !== "portal" || config.tls === null).map(
      async ([role, name, purpose]) => {
        const certificate = new X509Certificate(await getAuthorityCertificate(ctx, role));
        return {
          role,
          name,
          purpose,
          subject: certificate.subject.replaceAll("\n", ", "),
          fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
          notAfter: new Date(certificate.validTo),
        };
      },
    ),
  ]);
  return {
    // Without the gateway a port that was left to it is not known.
    uris: await deviceUris(ctx, config, accountId).catch(() => serviceUris(config, accountId)),
    publicHost: config.publicHost,
    publicHostIsLocal: config.publicHostIsLocal,
    insecureCoap: config.insecureCoap,
    portal: { http: ports.http, https: ports.https },
    version,
    gateway,
    certificates,
    caPem: (await getServerCa(ctx)).pem,
  };
}
