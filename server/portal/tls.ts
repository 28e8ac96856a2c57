import { readFileSync } from "node:fs";
import type { SecureContextOptions } from "node:tls";
import type { Config } from "@/server/config";
import { toPem } from "@/server/pki";
import type { Context } from "@/server/services/context";
import { getServerCa, loadAuthority } from "@/server/services/instance/authorities";

/** The portal's certificate and key: the operator's own, or one of the instance's CA with that CA behind it. */
export async function portalCredentials(ctx: Context, config: Config): Promise<SecureContextOptions> {
  if (config.tls) return { cert: readFileSync(config.tls.certFile), key: readFileSync(config.tls.keyFile) };
  const [portal, ca] = await Promise.all([loadAuthority(ctx, "portal"), getServerCa(ctx)]);
  return {
    cert: toPem(portal.certificate, "CERTIFICATE") + ca.pem,
    key: toPem(portal.privateKey, "PRIVATE KEY"),
  };
}
