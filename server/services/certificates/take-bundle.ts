import { z } from "zod";
import { developerBundle } from "@/server/pki";
import { auditChange } from "../audit/record";
import { type Context, memberAccount } from "../context";
import { notFound, ServiceError } from "../errors";
import { recordEvent } from "../events/record";
import { getServerCa } from "../instance/authorities";
import { transaction } from "../transaction";
import { idField, validate } from "../validate";
import { bundleName } from "./bundle-name";
import { DEVELOPER_KEY_PURPOSE } from "./create-developer";

// The account is added where Pelion's client wants it, so it must not be there yet.
const uri = z.string().regex(/^[^?]+$/, "must have no query");

export const takeBundleInput = z.object({
  id: idField,
  /** Where its devices bootstrap (server/services/instance/uris.ts). */
  uris: z.object({ bootstrap: z.object({ udp: uri, tcp: uri }) }),
});

/**
 * Hands out the bundle of a developer certificate with its private key, which is erased here: once. Only the key of a
 * certificate made through the API stays, because the API has to show it again.
 */
export async function takeBundle(
  ctx: Context,
  input: z.input<typeof takeBundleInput>,
): Promise<{ fileName: string; zip: Uint8Array }> {
  const accountId = memberAccount(ctx.actor);
  const { id, uris } = validate(takeBundleInput, input);
  const row = await ctx.db.trustedCertificate.findFirst({
    where: { id, accountId },
    select: {
      name: true,
      certificate: true,
      endpointName: true,
      developer: true,
      privateKey: true,
      keepsKey: true,
    },
  });
  if (!row?.developer || !row.endpointName) throw notFound("Developer certificate");
  if (!row.privateKey) throw taken();
  const fileName = bundleName(row.name);
  const at = ctx.clock.now();
  // Made before the key is erased: nothing that can fail comes after that.
  const zip = developerBundle({
    endpointName: row.endpointName,
    accountId,
    bootstrapUri: uris.bootstrap,
    certificate: row.certificate,
    privateKey: ctx.vault.open(row.privateKey, DEVELOPER_KEY_PURPOSE),
    serverCa: (await getServerCa(ctx)).der,
    fileName,
    madeAt: new Date(at),
  });
  await transaction(ctx, async (tx, tell) => {
    // Of two that ask at once only one finds the key.
    const { count } = await tx.trustedCertificate.updateMany({
      where: { id, accountId, privateKey: { not: null } },
      data: row.keepsKey
        ? { updatedAt: new Date(at) }
        : { privateKey: null, downloadedAt: new Date(at), updatedAt: new Date(at) },
    });
    if (count === 0) throw taken();
    const kept = (keyHere: boolean) => ({ name: row.name, keyHere });
    await auditChange(ctx, tx, {
      action: "trusted-certificate.downloaded",
      objectType: "trusted-certificate",
      objectId: id,
      before: kept(true),
      after: kept(row.keepsKey),
    });
    tell(
      await recordEvent(ctx, tx, "certificate.downloaded", {
        accountId,
        deviceId: null,
        data: { certificateId: id, name: row.name, ...(row.keepsKey && { kept: true }) },
      }),
    );
  });
  return { fileName, zip };
}

const taken = () =>
  new ServiceError(
    "conflict",
    "This bundle was already downloaded, and its private key is no longer here. Make another certificate.",
  );
