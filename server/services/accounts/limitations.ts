import { createHash } from "node:crypto";
import { KEYS_PER_ACCOUNT } from "../api-keys/create";
import { KEYS_PER_APPLICATION } from "../applications/access-keys";
import { APPLICATIONS_PER_ACCOUNT } from "../applications/change";
import { CERTIFICATES_PER_ACCOUNT, DEVICES_PER_CERTIFICATE } from "../certificates/view";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";

/** How much there may be of something. */
export interface Limitation {
  id: string;
  name: string;
  description: string;
  limit: number;
}

const limits: readonly Omit<Limitation, "id">[] = [
  { name: "api-keys", description: "API keys of an account", limit: KEYS_PER_ACCOUNT },
  { name: "applications", description: "Applications of an account", limit: APPLICATIONS_PER_ACCOUNT },
  { name: "access-keys", description: "Access keys of an application", limit: KEYS_PER_APPLICATION },
  {
    name: "trusted-certificates",
    description: "Trusted certificates of an account, developer certificates included",
    limit: CERTIFICATES_PER_ACCOUNT,
  },
  {
    name: "developer-certificate-devices",
    description: "Devices that one developer certificate is meant for",
    limit: DEVICES_PER_CERTIFICATE,
  },
];

/** The limits of the account; every account has the same. */
export function listLimitations(ctx: Context): Limitation[] {
  const accountId = memberAccount(ctx.actor);
  return limits.map((limit) => ({
    ...limit,
    // Follows from the account, so that no row is needed.
    id: createHash("sha256").update(`limitation:${accountId}:${limit.name}`).digest("hex").slice(0, 32),
  }));
}

/** One limit of the account. */
export function getLimitation(ctx: Context, { id }: { id: string }): Limitation {
  const found = listLimitations(ctx).find((one) => one.id === id);
  if (!found) throw notFound("Limitation");
  return found;
}
