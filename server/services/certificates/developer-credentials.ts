import { z } from "zod";
import { developerCredentialsC, toPem } from "@/server/pki";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { getServerCa } from "../instance/authorities";
import { idField, validate } from "../validate";
import { DEVELOPER_KEY_PURPOSE } from "./create-developer";

export const developerCredentialsInput = z.object({
  id: idField,
  /** Where its devices bootstrap (server/services/instance/uris.ts), without the account. */
  bootstrapUri: z.object({ udp: z.string(), tcp: z.string() }),
});

/** What a developer needs to build devices. */
export interface DeveloperCredentials {
  id: string;
  accountId: string;
  name: string;
  description: string;
  certificate: string;
  /** Null for a certificate made in the portal, whose key is only handed out with its bundle. */
  secret: { privateKey: string; c: string } | null;
  createdAt: Date;
}

/** A developer certificate; with its private key when it was made to keep it. */
export async function getDeveloperCredentials(
  ctx: Context,
  input: z.input<typeof developerCredentialsInput>,
): Promise<DeveloperCredentials> {
  const accountId = memberAccount(ctx.actor);
  const { id, bootstrapUri } = validate(developerCredentialsInput, input);
  const row = await ctx.db.trustedCertificate.findFirst({
    where: { id, accountId, developer: true },
    select: {
      id: true,
      accountId: true,
      name: true,
      description: true,
      certificate: true,
      endpointName: true,
      privateKey: true,
      keepsKey: true,
      createdAt: true,
    },
  });
  if (!row) throw notFound("Developer certificate");
  const { certificate, endpointName, privateKey, keepsKey, ...rest } = row;
  let secret: DeveloperCredentials["secret"] = null;
  if (keepsKey && privateKey && endpointName) {
    const key = ctx.vault.open(privateKey, DEVELOPER_KEY_PURPOSE);
    const serverCa = (await getServerCa(ctx)).der;
    secret = {
      privateKey: toPem(key, "PRIVATE KEY"),
      c: developerCredentialsC({
        endpointName,
        accountId,
        bootstrapUri,
        certificate,
        privateKey: key,
        serverCa,
      }),
    };
  }
  return { ...rest, certificate: toPem(certificate, "CERTIFICATE"), secret };
}
