import type { z } from "zod";
import { type Context, memberAccount } from "../context";
import { notFound } from "../errors";
import { recordEvent } from "../events/record";
import { tellGateway, transaction } from "../transaction";
import { idInput, validate } from "../validate";

export const removeCertificateInput = idInput;

/** Stops trusting a certificate: its devices stay in the directory, their sessions end. */
export async function removeCertificate(
  ctx: Context,
  input: z.input<typeof removeCertificateInput>,
): Promise<{ devices: number }> {
  const accountId = memberAccount(ctx.actor);
  const { id } = validate(removeCertificateInput, input);
  const named = await ctx.db.trustedCertificate.findFirst({
    where: { id, accountId },
    select: { name: true, fingerprint: true, devices: { select: { id: true } } },
  });
  if (!named) throw notFound("Certificate");
  await transaction(ctx, async (tx, tell) => {
    const { count } = await tx.trustedCertificate.deleteMany({ where: { id, accountId } });
    if (count === 0) throw notFound("Certificate");
    tell(
      await recordEvent(ctx, tx, "certificate.deleted", {
        accountId,
        deviceId: null,
        data: {
          certificateId: id,
          name: named.name,
          fingerprint: named.fingerprint,
          devices: named.devices.length,
        },
      }),
    );
    for (const device of named.devices) {
      tell({ kind: "device", accountId, deviceId: device.id, change: "updated" });
    }
  });
  await tellGateway(ctx, "trust.reload", {});
  return { devices: named.devices.length };
}
