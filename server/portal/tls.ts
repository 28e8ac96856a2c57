import { readFileSync } from "node:fs";
import type { SecureContextOptions } from "node:tls";
import type { Config } from "@/server/config";
import type { Context } from "@/server/services/context";
import { loadAuthority } from "@/server/services/instance/authorities";

/** DER as PEM. */
export function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** The portal's certificate and key: the operator's own, or one of the instance's CA with that CA behind it. */
export async function portalCredentials(ctx: Context, config: Config): Promise<SecureContextOptions> {
  if (config.tls) return { cert: readFileSync(config.tls.certFile), key: readFileSync(config.tls.keyFile) };
  const [portal, ca] = await Promise.all([loadAuthority(ctx, "portal"), loadAuthority(ctx, "server-ca")]);
  return {
    cert: pem("CERTIFICATE", portal.certificate) + pem("CERTIFICATE", ca.certificate),
    key: pem("PRIVATE KEY", portal.privateKey),
  };
}
