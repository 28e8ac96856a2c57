import type { z } from "zod";
import { auditChange } from "../audit/record";
import { type Context, memberAccount, requireAdministrator } from "../context";
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
    select: {
      name: true,
      fingerprint: true,
      subject: true,
      developer: true,
      service: true,
      status: true,
      devices: { select: { id: true } },
    },
  });
  if (!named) throw notFound("Certificate");
  if (!named.developer) requireAdministrator(ctx.actor);
  const { devices, ...before } = named;
  await transaction(ctx, async (tx, tell) => {
    const { count } = await tx.trustedCertificate.deleteMany({ where: { id, accountId } });
    if (count === 0) throw notFound("Certificate");
    await auditChange(ctx, tx, {
      action: "trusted-certificate.deleted",
      objectType: "trusted-certificate",
      objectId: id,
      before: { ...before, devices: devices.length },
      after: null,
    });
    tell(
      await recordEvent(ctx, tx, "certificate.deleted", {
        accountId,
        deviceId: null,
        data: {
          certificateId: id,
          name: named.name,
          fingerprint: named.fingerprint,
          devices: devices.length,
        },
      }),
    );
    for (const device of devices) {
      tell({ kind: "device", accountId, deviceId: device.id, change: "updated" });
    }
  });
  await tellGateway(ctx, "trust.reload", {});
  return { devices: devices.length };
}
