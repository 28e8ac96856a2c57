import { hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "@/server/config";

/** The key of the session cookies, derived from the secret that also seals the keys at rest. */
export function sessionSecret(config: Config): string {
  const master = config.secret ?? readFileSync(join(config.dataDir, "secret"));
  return Buffer.from(hkdfSync("sha256", master, "", "gangway portal session", 32)).toString("hex");
}
